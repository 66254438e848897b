"""Nothing acknowledged is lost: every change that must survive is on disk before its request is answered. README.md beside this file.

It stands in front of the engine: a write is applied, its changes come past as they do for every listener and are added to the next
commit, and the write returns when that is through. Heartbeats pass untouched.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from discovery.core.caller import NOBODY, Caller
from discovery.core.change import Change, Kind
from discovery.core.instance import Key
from discovery.core.maintenance import MAX_SECONDS, Scope, Window
from discovery.plugins import Plugin
from discovery.plugins.journal import rows, schema
from discovery.plugins.journal.database import AHEAD
from discovery.plugins.journal.files import open_for_service
from discovery.plugins.journal.inspection import Content
from discovery.plugins.journal.lock import Lock
from discovery.plugins.journal.settings import JournalSettings
from discovery.plugins.journal.writer import CLOSE_SECONDS, Writer, writer_of
from discovery.store.engine import Engine
from discovery.store.errors import NotDurable
from discovery.store.registry import Registry
from discovery.store.service import Entry
from discovery.store.tombstones import MAX_SECONDS as MAX_BURIED
from discovery.store.writes import Checked, Write
from discovery.system.background_writer import WriteRefused

_log = logging.getLogger("discovery.journal")

# Seconds between two removals of old tombstones from the file.
_TOMBSTONE_SWEEP = 60.0

T = TypeVar("T")


class Journal(Plugin):
    """`clock`: the registry's, monotonic seconds; `wall`: seconds since the epoch."""

    def __init__(
        self, folder: Path, registry: Registry, clock: Callable[[], float], wall: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder
        self._registry = registry
        self._clock = clock
        self._wall = wall
        self._lock: Lock | None = None
        self.writer: Writer | None = None
        self._windows: Mapping[Scope, Window] = registry.windows
        self._draining: set[str] = set()  # ids that are stored as draining
        self._unsafe: dict[str, int] = {}  # id → the writer's count at its last change, in that order
        self._reserved_index = 0
        self._next_sweep = 0.0

    def engine(self, inner: Engine) -> Engine:
        return DurableEngine(inner, self)

    def stats(self) -> Mapping[str, Any]:
        writer = self.writer
        if writer is None:
            return {}
        waiting = writer.added - writer.done
        return {"journal": {"writable": writer.refuses is None, "reason": writer.refuses, "waiting": waiting}}

    async def restore(self) -> None:
        """Fills the registry from the file. DataDirUnusable, DataDirInUse, Interrupted, Damaged, NewerFormat, CannotRead, CannotWrite."""
        self._lock = await asyncio.to_thread(Lock, self._folder)
        started = time.perf_counter()
        opened, content = await asyncio.to_thread(open_for_service, self._folder, self._wall())
        self.writer = writer_of(opened)
        self._fill(content)
        self._put(schema.DELETE_OLD_TOMBSTONES, self._wall())
        self._reserve_index()
        try:
            await self.flushed()
        except NotDurable as error:
            _log.error("it starts all the same, for reading and heartbeats: %s", error)
        _log.info(
            "%d instances of %d services restored from %s in %.2f s",
            len(self._registry), len(self._registry.services), opened.file, time.perf_counter() - started,
        )  # fmt: skip

    def _fill(self, content: Content) -> None:
        registry, now, wall = self._registry, self._clock(), self._wall()
        # One more, since all are healthy again, which is visible.
        registry.index = max(registry.index, content.reserved_index) + 1
        for scope, window in content.windows:
            if not wall < window.until <= wall + MAX_SECONDS:  # over, or from a clock that was wrong
                continue
            registry.restore_window(scope, window, now, wall)
        self._windows = registry.windows
        for instance in content.instances:
            if instance.draining:
                self._draining.add(instance.id)
            registry.restore(instance, now)
        for key, until in content.tombstones:
            if until > wall and not registry.knows(key):
                registry.bury(key, now + min(until - wall, MAX_BURIED), now)

    def changed(self, change: Change) -> None:
        if change.kind is Kind.RESTORED or self.writer is None:
            return
        instance = change.instance
        if change.kind in (Kind.DEREGISTERED, Kind.EXPIRED):
            self._draining.discard(instance.id)
            self._put(schema.DELETE_INSTANCE, instance.id)
            if change.kind is Kind.DEREGISTERED:
                self._bury(instance.spec.key)
        elif change.kind in (Kind.REGISTERED, Kind.UPDATED) or instance.draining != (instance.id in self._draining):
            (self._draining.add if instance.draining else self._draining.discard)(instance.id)
            self._put(schema.PUT_INSTANCE, *rows.of_instance(instance))
            self._forget_safe()
            self._unsafe.pop(instance.id, None)
            self._unsafe[instance.id] = self.writer.added
        if change.kind is Kind.REGISTERED:
            self._put(schema.DELETE_TOMBSTONE, *instance.spec.key)
        if change.index > self._reserved_index - AHEAD // 2:
            self._reserve_index()

    def _put(self, statement: str, *values: object) -> None:
        assert self.writer is not None
        self.writer.put([(statement, values)], sum(len(value) for value in values if isinstance(value, bytes)))

    def check(self) -> None:
        """NotDurable while nothing can be written."""
        if self.writer is not None and (reason := self.writer.refuses) is not None:
            raise NotDurable(reason)

    async def flushed(self) -> None:
        """Returns when all that was put so far is on disk. NotDurable."""
        assert self.writer is not None
        try:
            await self.writer.settled(self.writer.added)
        except WriteRefused as refused:
            raise NotDurable(refused.reason) from None

    def is_committed(self, id: str) -> bool:
        return self.writer is None or self._unsafe.get(id, 0) <= self.writer.done

    def _forget_safe(self) -> None:
        """Those in front, the oldest, which are committed."""
        assert self.writer is not None
        while self._unsafe and self._unsafe[first := next(iter(self._unsafe))] <= self.writer.done:
            del self._unsafe[first]

    def note_windows(self) -> None:
        """The windows are few: they are written whole when they changed."""
        if self._registry.windows is self._windows or self.writer is None:
            return
        self._windows = self._registry.windows
        self._put(schema.DELETE_WINDOWS)
        for scope, window in self._windows.items():
            self._put(schema.PUT_WINDOW, *rows.of_window(scope, window))

    def _bury(self, key: Key) -> None:
        assert self.writer is not None
        wall = self._wall()
        self._put(schema.PUT_TOMBSTONE, *rows.of_tombstone(key, wall + self._registry.buried(key, self._clock())))
        if self._clock() > self._next_sweep:
            self._next_sweep = self._clock() + _TOMBSTONE_SWEEP
            self._put(schema.DELETE_OLD_TOMBSTONES, wall)

    def _reserve_index(self) -> None:
        assert self.writer is not None
        self._reserved_index = self._registry.index + AHEAD
        self._put_index(self._reserved_index, self._wall())

    def _put_index(self, index: int, wall: float) -> None:
        assert self.writer is not None
        self._put(schema.PUT_META, *rows.sealed("index", index))
        self._put(schema.PUT_META, *rows.sealed("wall", int(wall)))

    async def close(self) -> None:
        if self.writer is not None:
            self.note_windows()
            if self.writer.refuses is None:
                self._put_index(self._registry.index, 0)  # exactly
            if left := await self.writer.close(CLOSE_SECONDS):
                _log.error("%d changes could not be written before the end: %s", left, self.writer.refuses)
        if self._lock is not None:
            self._lock.close()


class DurableEngine:
    def __init__(self, inner: Engine, journal: Journal) -> None:
        self._inner = inner
        self._journal = journal

    async def open(self) -> None:
        await self._journal.restore()
        await self._inner.open()

    async def submit(self, write: Write[T], by: Caller = NOBODY) -> T:
        """As the inner engine, and NotDurable: before the write when the disk is known to refuse, after it when it just began to."""
        writer = self._journal.writer
        # What checks say is an observation, like a heartbeat: there is nothing to keep.
        if writer is None or isinstance(cast("object", write), Checked):
            return await self._inner.submit(write, by)
        self._journal.check()
        result = await self._inner.submit(write, by)
        self._journal.note_windows()
        await self._journal.flushed()  # also of a write that changed nothing: it may repeat one that is under way
        return result

    def renew(self, which: Key | str, by: Caller = NOBODY) -> Entry:
        return self._inner.renew(which, by)

    def is_safe(self, id: str) -> bool:
        return self._journal.is_committed(id) and self._inner.is_safe(id)

    async def close(self) -> None:
        await self._inner.close()


def make(registry: Registry, clock: Callable[[], float]) -> Journal | None:
    folder = JournalSettings.read().data_dir
    return None if folder is None else Journal(folder, registry, clock)
