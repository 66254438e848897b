"""Who changed what, and how it was before: a JSON line for each write, in a file that only grows. README.md beside this file.

It stands outermost in front of the engine. A write's changes come past as they do for every listener, in the middle of it, and are told
apart by the task that makes them; the line is in the file before the write returns. Heartbeats pass untouched.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

from discovery.core.caller import NOBODY, Caller
from discovery.core.change import Change
from discovery.core.instance import Key
from discovery.plugins import Plugin
from discovery.plugins.audit.file import AuditFile
from discovery.plugins.audit.line import Record
from discovery.plugins.audit.settings import AuditSettings
from discovery.plugins.audit.trail import Trail
from discovery.store.engine import Engine
from discovery.store.registry import Registry
from discovery.store.service import Entry
from discovery.store.writes import Checked, Write

T = TypeVar("T")


class Audit(Plugin):
    """`clock`: the registry's, monotonic seconds; `wall`: seconds since the epoch. `open_file`: AuditFile, or what takes its place."""

    def __init__(
        self,
        open_file: Callable[[], AuditFile],
        registry: Registry,
        clock: Callable[[], float],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._open_file = open_file
        self._registry = registry
        self._clock = clock
        self._wall = wall
        self._under_way: dict[asyncio.Task[Any] | None, Record] = {}
        self.trail: Trail | None = None

    def engine(self, inner: Engine) -> Engine:
        return AuditedEngine(inner, self)

    async def open(self, engine: Engine) -> None:
        """AuditFileUnusable."""
        self.trail = Trail(await asyncio.to_thread(self._open_file))

    async def close(self) -> None:
        if self.trail is not None:
            await self.trail.close()

    def changed(self, change: Change) -> None:
        if self._under_way and (record := self._under_way.get(asyncio.current_task())) is not None:
            record.changes.append(change)

    def begin(self, write: object, by: Caller) -> Record:
        """The changes that this task makes are the write's from now on, until `end`."""
        record = Record(write, by, self._registry, self._clock())
        self._under_way[asyncio.current_task()] = record
        return record

    def end(self, record: Record, error: BaseException | None) -> None:
        """Its line, if it has one, is on its way."""
        assert self.trail is not None
        del self._under_way[asyncio.current_task()]
        octets = record.line(error, self._wall())
        if octets is not None:
            self.trail.add(octets)

    def stats(self) -> Mapping[str, Any]:
        trail = self.trail
        if trail is None:
            return {}
        writer = trail.writer
        state = {"writable": writer.refuses is None, "reason": writer.refuses}
        return {"audit": state | {"written": writer.done, "waiting": writer.added - writer.done, "lost": trail.lost}}


class AuditedEngine:
    def __init__(self, inner: Engine, audit: Audit) -> None:
        self._inner = inner
        self._audit = audit

    async def open(self) -> None:
        await self._inner.open()

    async def submit(self, write: Write[T], by: Caller = NOBODY) -> T:
        """As the inner engine, and not before there is a line of it; see `Trail` for a file that cannot be written."""
        trail = self._audit.trail
        # What checks say is an observation, like a heartbeat.
        if trail is None or isinstance(cast("object", write), Checked):
            return await self._inner.submit(write, by)
        record = self._audit.begin(write, by)
        try:
            result = await self._inner.submit(write, by)
        except asyncio.CancelledError as error:
            self._audit.end(record, error)
            raise
        except Exception as error:
            self._audit.end(record, error)
            await trail.flushed()
            raise
        self._audit.end(record, None)
        await trail.flushed()
        return result

    def renew(self, which: Key | str, by: Caller = NOBODY) -> Entry:
        return self._inner.renew(which, by)

    def is_safe(self, id: str) -> bool:
        return self._inner.is_safe(id)

    async def close(self) -> None:
        await self._inner.close()


def make(registry: Registry, clock: Callable[[], float]) -> Audit | None:
    settings = AuditSettings.read()
    if settings.audit_file is None:
        return None
    octets = settings.audit_max_mb * 1024 * 1024
    return Audit(partial(AuditFile, settings.audit_file, octets, settings.audit_keep), registry, clock)
