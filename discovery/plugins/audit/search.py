"""The file and its predecessors, read back, while the server writes, too: all lines, or the newest that somebody asks for, however long the
files are.

Blocks are read from the end of each file to its beginning, in a thread that lets others go first between two blocks. A page ends when it
has its lines, or when it has taken its time; its cursor says where the next one goes on. A cursor names a file by a digest of its first
line, which the file keeps when it is put aside (and its inode, but that is another file's as soon as it is deleted).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from discovery.core.errors import DiscoveryError, InvalidField, reason_of
from discovery.core.name import fold
from discovery.plugins.audit.file import predecessor
from discovery.rest.api.times import iso

# Octets that are read at a time: some hundred lines, a millisecond of work.
BLOCK = 65_536
# Seconds for one page, and octets of its lines: a line about 100 instances may have 150 KB.
SECONDS = 2.0
MAX_OCTETS = 2 * 1024 * 1024
# Seconds between two blocks that are everybody else's.
_PAUSE = 0.00005
# Seconds by which a line may be older than one before it: the clock was set.
SLACK = 3600.0
# Behind every time of a line.
_LAST = "~"


class NoAuditFile(DiscoveryError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} cannot be read: {reason}; AUDIT_FILE or --file names the file that the server writes")


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


class Cursor(NamedTuple):
    """The next page has what stands before octet `at` of the file `file`, and in older files."""

    file: int
    at: int


@dataclass(frozen=True)
class Asked:
    """None: all. `actor`: a token's name, or an address. `service` folded. `since` is part of it, `until` is not; epoch seconds."""

    limit: int = 100
    actor: str | None = None
    service: str | None = None
    since: float | None = None
    until: float | None = None
    before: Cursor | None = None

    @cached_property
    def _times(self) -> tuple[str, str]:
        """As lines have them: they are in order as text."""
        return _text(self.since) or "", _text(self.until) or _LAST

    def holds(self, line: dict[str, Any]) -> bool:
        """Whether it is about what is asked for."""
        by, (since, until) = line["by"], self._times
        if self.actor is not None and self.actor not in (by.get("name"), by.get("address")):
            return False
        if self.service is not None and fold(line.get("service") or "") != self.service:
            return False
        time: str = line["time"]
        return since <= time < until


class Page(NamedTuple):
    """Newest first, as they stand in the file, without their ends. `next` None: there is no more. `broken`: lines that were passed over."""

    lines: list[bytes]
    next: Cursor | None
    broken: int


@dataclass(eq=False)
class Search:
    """One page. `path` is the youngest file. `ended()`: nobody wants it any more."""

    path: Path
    asked: Asked
    ended: Callable[[], bool]
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        since, until = self.asked.since, self.asked.until
        self._long_ago = _text(None if since is None else max(0.0, since - SLACK))
        self._much_later = _text(None if until is None else until + SLACK)
        self._lines: list[bytes] = []
        self._octets = 0
        self._broken = 0
        self._over = False

    def page(self) -> Page:
        """NoAuditFile; InvalidField, where the file of the cursor has been deleted since."""
        until = self.clock() + SECONDS
        with opened(self.path) as files:
            for file, end in self._from(files[::-1]):
                for at, line in _lines_before(file, end):
                    if line is not None:
                        if not self._take(line):
                            return self._page(Cursor(_digest(file), at + len(line)))
                        if len(self._lines) == self.asked.limit:
                            return self._page(Cursor(_digest(file), at))
                    elif self.clock() > until or self.ended():
                        return self._page(Cursor(_digest(file), at))
                    else:
                        time.sleep(_PAUSE)
        return self._page(None)

    def _page(self, cursor: Cursor | None) -> Page:
        return Page(self._lines, None if self._over else cursor, self._broken)

    def _take(self, line: bytes) -> bool:
        """False: it does not fit, or there is nothing to be found from here on."""
        content = content_of(line)
        if content is None:
            self._broken += 1
        elif self._long_ago is not None and content["time"] < self._long_ago:
            self._over = True
            return False
        elif self.asked.holds(content):
            if self._lines and self._octets + len(line) > MAX_OCTETS:
                return False
            self._lines.append(line[:-1])
            self._octets += len(line)
        return True

    def _from(self, files: list[BinaryIO]) -> Iterator[tuple[BinaryIO, int]]:
        """Those that may have what is asked for, youngest first: file, and the octet before which to begin."""
        cursor = self.asked.before
        for file in files:
            end = os.fstat(file.fileno()).st_size
            if cursor is not None:
                if _digest(file) != cursor.file:
                    continue
                end, cursor = min(end, cursor.at), None
            if not self._begins_later(file):
                yield file, end
        if cursor is not None:
            raise InvalidField("before", "is of a file that has been deleted since; ask without it")

    def _begins_later(self, file: BinaryIO) -> bool:
        """A whole file of later lines need not be read."""
        if self._much_later is None:
            return False
        content = content_of(_first_line(file))
        return content is not None and content["time"] > self._much_later


def _first_line(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.readline(MAX_OCTETS)


def _digest(file: BinaryIO) -> int:
    """64 bits. Each line has the time and the index of its write: no two files begin with the same."""
    return int.from_bytes(blake2b(_first_line(file), digest_size=8).digest())


def _lines_before(file: BinaryIO, end: int) -> Iterator[tuple[int, bytes | None]]:
    """Each line with the place of its first octet, the last line first; after each block None, with the place before which to go on.

    Lines have their newlines; one that is cut at the end of the file has none.
    """
    rest: list[bytes] = []  # of the line whose beginning has not been read yet, the last piece first
    at = given = end
    while at > 0:
        size = min(BLOCK, at)
        at -= size
        file.seek(at)
        block = file.read(size)
        first, *more = block.split(b"\n")
        if more:
            more[-1] += b"".join(rest[::-1])
            more[:-1] = [line + b"\n" for line in more[:-1]]
            for line in more[::-1]:
                if line:
                    given = given - len(line)
                    yield given, line
            rest = [first + b"\n"]
        else:
            rest.append(first)
        yield given, None
    if line := b"".join(rest[::-1]):
        yield 0, line


def _text(wall: float | None) -> str | None:
    return None if wall is None else iso(wall)
