"""The file: lines are appended, and when it is full it becomes FILE.1, FILE.1 becomes FILE.2, and so on. Used by one thread at a time.

A line is there as a whole or not at all: when a full disk takes only a part of it, that part is cut off again. After a crash the last
line may be incomplete; the next one then begins on a line of its own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from discovery.core.errors import DiscoveryError, reason_of
from discovery.system.background_writer import WriteRefused


class AuditFileUnusable(DiscoveryError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"AUDIT_FILE: {path} cannot be written: {reason}; name a file in a folder that this user may write to, or leave AUDIT_FILE "
            "empty for no audit"
        )


class AuditFile:
    """At most `max_octets` long (but for a single line that is longer), with `keep` predecessors. AuditFileUnusable when it cannot be
    opened; its folder is made when it is missing. Only its owner may read a file that is made here.
    """

    def __init__(self, path: Path, max_octets: int, keep: int) -> None:
        self.path = path
        self._max = max_octets
        self._keep = keep
        self._descriptor = -1
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.exists() and not path.is_file():  # a rotation of /dev/stdout is no rotation
                raise AuditFileUnusable(path, "it is no regular file")
            self._open()
        except OSError as error:
            raise AuditFileUnusable(path, reason_of(error)) from None

    def append(self, lines: Sequence[bytes]) -> None:
        """Each ends with a newline, and survives the machine's end when this returns. WriteRefused."""
        written = 0
        try:
            self._reopen_if_moved()
            for part in self._parts(lines):
                self._write(b"".join(part))
                written += len(part)
        except OSError as error:
            raise WriteRefused(reason_of(error), written) from None

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _parts(self, lines: Iterable[bytes]) -> Iterator[list[bytes]]:
        """Groups of lines, each for one file. The file is rotated between two groups."""
        part: list[bytes] = []
        size = os.fstat(self._descriptor).st_size
        for line in lines:
            if size and size + len(line) > self._max:
                if part:
                    yield part
                self._rotate()
                part, size = [], 0
            part.append(line)
            size += len(line)
        if part:
            yield part

    def _write(self, octets: bytes) -> None:
        """All of it, synced, or nothing."""
        before = os.fstat(self._descriptor).st_size
        left = memoryview(octets)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
            os.fsync(self._descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, before)
            raise

    def _rotate(self) -> None:
        """A crash between two renames leaves a free number. The next rotation fills it, so nothing is dropped."""
        self.close()
        free = next((number for number in range(1, self._keep) if not self._old(number).exists()), self._keep)
        for number in range(free - 1, 0, -1):
            os.replace(self._old(number), self._old(number + 1))
        os.replace(self.path, self._old(1))
        self._open()

    def _old(self, number: int) -> Path:
        return predecessor(self.path, number)

    def _reopen_if_moved(self) -> None:
        """Also when it was deleted, and when it could not be opened the last time."""
        with contextlib.suppress(FileNotFoundError):
            if self._descriptor >= 0 and os.path.samestat(os.fstat(self._descriptor), os.stat(self.path)):
                return
        self.close()
        self._open()

    def _open(self) -> None:
        # A link could lead to somebody else's file.
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")


def predecessor(path: Path, number: int) -> Path:
    """FILE.1 is the youngest."""
    return path.with_name(f"{path.name}.{number}")
