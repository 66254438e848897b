"""Who changed what, and how it was before: a JSON line for each write, in a file that only grows. README.md beside this file.

It follows the commits, which say all of that by themselves, and hears of the writes that were refused. A write that was done is
answered when its line is in the file.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from discovery.core.caller import Caller
from discovery.core.errors import DiscoveryError
from discovery.core.event import Commit
from discovery.core.warning import one, warning
from discovery.plugins import Plugin, Seams
from discovery.plugins.audit import line
from discovery.plugins.audit.file import AuditFile
from discovery.plugins.audit.routes import AuditRoutes
from discovery.plugins.audit.settings import AuditSettings
from discovery.plugins.audit.trail import Trail
from discovery.rest.api.times import Times
from discovery.store.engine import Engine
from discovery.store.registry import Registry
from discovery.store.snapshot import Snapshot
from discovery.store.write import Write


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
        self._routes = AuditRoutes(path, Times(wall, wall))

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


def make(registry: Registry, clock: Callable[[], float]) -> Audit | AuditRoutes:
    settings = AuditSettings.read()
    if settings.audit_file is None:
        return AuditRoutes(None, Times(clock, time.time))
    octets = settings.audit_max_mb * 1024 * 1024
    open_file = partial(AuditFile, settings.audit_file, octets, settings.audit_keep)
    return Audit(settings.audit_file, open_file, registry)
