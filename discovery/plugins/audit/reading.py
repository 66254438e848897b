"""The file and its predecessors, read back: lines in the order in which they were written. While the server writes, too."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from discovery.core.errors import DiscoveryError, reason_of
from discovery.core.name import fold
from discovery.plugins.audit.file import predecessor


class NoAuditFile(DiscoveryError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} cannot be read: {reason}; AUDIT_FILE or --file names the file that the server writes")


class Wanted(NamedTuple):
    """Lines of this actor (a token's name, or an address), about this service (folded), from `since` on and before `until`, as lines have
    times: they are in order as text. None: all.
    """

    actor: str | None = None
    service: str | None = None
    since: str | None = None
    until: str | None = None

    def holds(self, line: dict[str, Any]) -> bool:
        by, time = line["by"], line["time"]
        if self.actor is not None and self.actor not in (by.get("name"), by.get("address")):
            return False
        if self.service is not None and fold(line.get("service") or "") != self.service:
            return False
        return (self.since is None or time >= self.since) and (self.until is None or time < self.until)


class Reading:
    """The lines of `path` and its predecessors, the oldest first. NoAuditFile. `broken`: lines so far that were cut, or are not ours."""

    def __init__(self, path: Path) -> None:
        self.broken = 0
        self._stack = contextlib.ExitStack()
        self._files = self._stack.enter_context(opened(path))

    def close(self) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for file in self._files:
            for octets in file:
                content = content_of(octets)
                if content is None:
                    self.broken += 1
                else:
                    yield content


@contextlib.contextmanager
def opened(path: Path) -> Iterator[list[BinaryIO]]:
    """The file and its predecessors, the oldest first. NoAuditFile.

    All are opened before any is read, the youngest first. A rotation meanwhile can then make a file appear twice, which is noticed here,
    but none disappear.
    """
    files: list[BinaryIO] = []
    known = set()
    with contextlib.ExitStack() as stack:
        for each in [path, *_predecessors(path)]:
            try:
                file = stack.enter_context(each.open("rb"))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise NoAuditFile(each, reason_of(error)) from None
            status = os.fstat(file.fileno())
            if (status.st_dev, status.st_ino) not in known:
                known.add((status.st_dev, status.st_ino))
                files.append(file)
        if not files:
            raise NoAuditFile(path, "there is no such file")
        yield files[::-1]


def _predecessors(path: Path) -> list[Path]:
    """Youngest first; also those beyond today's AUDIT_KEEP."""
    with contextlib.suppress(OSError):
        suffixes = (each.name.removeprefix(path.name + ".") for each in path.parent.iterdir())
        numbers = sorted(int(suffix) for suffix in suffixes if suffix.isascii() and suffix.isdigit())
        return [predecessor(path, number) for number in numbers]
    return []


# Fields that every line has, and fields that it may have, with their types.
_NEEDED = {"time": str, "action": str, "by": dict}
_OPTIONAL = {"instance": dict, "before": dict, "after": dict, "service": str, "outcome": str, "error": str}


def content_of(octets: bytes) -> dict[str, Any] | None:
    """None for a line that was cut, or that the audit did not write."""
    try:
        content = orjson.loads(octets)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(content, dict) or not octets.endswith(b"\n"):
        return None
    needed = all(isinstance(content.get(name), kind) for name, kind in _NEEDED.items())
    optional = all(content.get(name) is None or isinstance(content[name], kind) for name, kind in _OPTIONAL.items())
    return content if needed and optional else None
