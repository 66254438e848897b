"""Who changed what, and how it was before: a JSON line for each write, in a file that only grows. README.md beside this file.

It follows the commits, which say all of that by themselves, and hears of the writes that were refused. A write that was done is
answered when its line is in the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from discovery.core.caller import Caller
from discovery.core.errors import DiscoveryError
from discovery.core.event import Commit
from discovery.core.warning import one, warning
from discovery.plugins import Plugin, Seams
from discovery.plugins.audit import line
from discovery.plugins.audit.file import AuditFile
from discovery.plugins.audit.routes import AuditRoutes
from discovery.store.engine import Engine
from discovery.store.registry import Registry
from discovery.store.values import Snapshot
from discovery.store.write import Write
from discovery.system.background_writer import BackgroundWriter, WriteRefused
from discovery.system.env import EnvSettings

# What may wait to be written: 100,000 lines of the usual size.
MAX_LINES = 100_000
MAX_OCTETS = 32 * 1024 * 1024
# Seconds that a write to the file may take before nobody waits for it any more.
PATIENCE = 1.0


class Trail:
    """Lines on their way into the file, behind a writer in the background. Made in the event loop. `lost`: lines that will never be in
    the file.

    A file that refuses, or a disk that does not answer, holds up nobody: lines are kept for as long as they fit; those that do not fit are
    counted, and a line in the file says how many are missing.
    """

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


class Audit(Plugin):
    """`open_file`: AuditFile of `path`, or what takes its place. `wall`: epoch seconds. A keeper that never refuses."""

    safe = float("inf")  # what was written must not wait for its line when it is asked for again

    def __init__(
        self, path: Path, open_file: Callable[[], AuditFile], registry: Registry, wall: Callable[[], float] = time.time
    ) -> None:
        self._open_file = open_file
        self._registry = registry
        self._wall = wall
        self.trail: Trail | None = None
        self._routes = AuditRoutes(path, wall)

    def install(self, seams: Seams) -> None:
        seams.concerns.append(warning("audit_failing", one(self._trouble)))
        seams.followers.append(self.follow_commit)
        seams.refused.append(self.refused)
        seams.keepers.append(self)
        self._routes.install(seams)

    def _trouble(self) -> str | None:
        return None if self.trail is None else self.trail.writer.trouble()

    async def open(self, engine: Engine) -> None:
        """AuditFileUnusable."""
        self.trail = Trail(await asyncio.to_thread(self._open_file))

    async def close(self) -> None:
        await self._routes.close()
        if self.trail is not None:
            await self.trail.close()

    def follow_commit(self, commit: Commit) -> None:
        if self.trail is not None and (octets := line.of_commit(commit)) is not None:
            self.trail.add(octets)

    def refused(self, write: Write[Any], by: Caller, error: DiscoveryError) -> None:
        if self.trail is not None and write.lasts:
            self.trail.add(line.of_refused(write, by, error, self._registry.index, self._wall()))

    async def restore(self) -> Snapshot | None:
        return None

    def check(self) -> None:
        """Nothing is refused because it cannot be audited: see `Trail`."""

    async def settled(self) -> None:
        if self.trail is not None:
            await self.trail.flushed()

    def stats(self) -> Mapping[str, Any]:
        trail = self.trail
        if trail is None:
            return {}
        writer = trail.writer
        state = {"writable": writer.refuses is None, "reason": writer.refuses}
        return {"audit": state | {"written": writer.done, "waiting": writer.added - writer.done, "lost": trail.lost}}


class AuditSettings(EnvSettings):
    audit_file: Path | None = None
    """The file that gets a line for each write. Empty: off."""
    audit_max_mb: int = Field(64, ge=1, le=65536)
    """MiB (1 to 65536) after which the file is put aside as FILE.1."""
    audit_keep: int = Field(5, ge=1, le=1000)
    """How many files that were put aside are kept, 1 to 1000."""


def make(registry: Registry, clock: Callable[[], float]) -> Audit | AuditRoutes:
    settings = AuditSettings.read()
    if settings.audit_file is None:
        return AuditRoutes(None, time.time)
    octets = settings.audit_max_mb * 1024 * 1024
    open_file = partial(AuditFile, settings.audit_file, octets, settings.audit_keep)
    return Audit(settings.audit_file, open_file, registry)
