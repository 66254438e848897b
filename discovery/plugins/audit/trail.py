"""Lines on their way into the file, behind a writer in the background.

A write is answered when its line is in the file. A file that refuses, or a disk that does not answer, holds up nobody: lines are kept
for as long as they fit; those that do not fit are counted, and a line in the file says how many are missing.
"""

from __future__ import annotations

import contextlib
import time

from discovery.plugins.audit import line
from discovery.plugins.audit.file import AuditFile
from discovery.system.background_writer import BackgroundWriter, WriteRefused

# What may wait to be written: 100,000 lines of the usual size.
MAX_LINES = 100_000
MAX_OCTETS = 32 * 1024 * 1024
# Seconds that a write to the file may take before nobody waits for it any more.
PATIENCE = 1.0


class Trail:
    """Made in the event loop. `lost`: lines that will never be in the file."""

    def __init__(self, file: AuditFile) -> None:
        self._untold = 0  # lost lines of which the file does not know yet
        self.lost = 0
        self.writer = BackgroundWriter[bytes](
            "audit", file.path, file.append, file.close,
            "writes go on, and their lines are kept until it can or until they are too many",
            patience=PATIENCE, max_items=MAX_LINES, max_octets=MAX_OCTETS, recovered=self._tell_lost,
        )  # fmt: skip

    def add(self, octets: bytes) -> None:
        if self.writer.full:
            self.lost += 1
            self._untold += 1
            return
        self._tell_lost()
        self.writer.put(octets, len(octets))

    async def flushed(self) -> None:
        """Returns when all that was added so far is in the file, or when the file cannot be written."""
        with contextlib.suppress(WriteRefused):
            await self.writer.settled(self.writer.added)

    async def close(self) -> None:
        """Once more what is left, then the file."""
        self._tell_lost()
        await self.writer.close()

    def _tell_lost(self) -> None:
        if self._untold:
            octets = line.of_lost(self._untold, time.time())
            self._untold = 0
            self.writer.put(octets, len(octets))
