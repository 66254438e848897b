"""Nothing acknowledged is lost: every commit is on disk before its write is answered. README.md beside this file.

It follows the commits and keeps the state that they lead to: each commit is one transaction of the file, `settled` when it is through.
Heartbeats, and statuses that time or checks bring about, are no part of it: after a restart every instance has a full lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_settings import SettingsConfigDict

from discovery.core.event import RESTORE, Commit, Event, InstanceEvent, ValueEvent, octets_of
from discovery.core.kinds import SettingsEvent
from discovery.core.metric import Histogram, gauge, histogram
from discovery.core.warning import critical, one
from discovery.plugins import Plugin, Seams
from discovery.plugins.journal import moved, rows, schema
from discovery.plugins.journal.database import AHEAD, OCTETS, SECONDS, Op, Writer, writer_of
from discovery.plugins.journal.errors import DataDirMoved
from discovery.plugins.journal.files import open_for_service
from discovery.plugins.journal.inspection import snapshot_of
from discovery.plugins.journal.lock import Lock
from discovery.store.engine import Engine
from discovery.store.errors import NotDurable
from discovery.store.registry import Registry
from discovery.store.values import Snapshot, Tombstones
from discovery.system.background_writer import WriteRefused
from discovery.system.env import EnvSettings

_log = logging.getLogger("discovery.journal")

# Seconds between two removals of old tombstones and remembered drains from the file.
_SWEEP = 60.0


class Journal(Plugin):
    """`wall`: epoch seconds."""

    def __init__(self, folder: Path, registry: Registry, wall: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._registry = registry
        self._wall = wall
        self._lock: Lock | None = None
        self.writer: Writer | None = None
        self._buried = Tombstones()  # those in the file
        self._put_away: deque[tuple[int, int]] = deque()  # number of the writer's item, index of its commit
        self._safe = float("-inf")
        self._broken: str | None = None  # why a commit is not in the file and never will be
        self._reserved_index = 0
        self._next_sweep = 0.0
        self._commit_seconds, self._commit_octets = Histogram(SECONDS), Histogram(OCTETS)

    def install(self, seams: Seams) -> None:
        seams.followers.append(self.follow_commit)
        seams.keepers.append(self)
        seams.folders.append(self._folder)
        seams.concerns.append(critical("journal_failing", one(self._trouble)))
        seams.metrics.extend(
            [
                histogram("discovery_journal_commit_seconds", "One transaction, on disk.", self._commit_seconds),
                histogram("discovery_journal_commit_size_bytes", "What is in one transaction.", self._commit_octets),
                gauge("discovery_journal_waiting", "Commits that are not on disk yet.", self._waiting),
                gauge(
                    "discovery_journal_writable",
                    "0: the disk refuses, writes get 503.",
                    lambda: int(self._is_writable()),
                ),
            ]
        )

    def stats(self) -> Mapping[str, Any]:
        writer = self.writer
        if writer is None:
            return {}
        return {"journal": {"writable": writer.refuses is None, "reason": writer.refuses, "waiting": self._waiting()}}

    def _trouble(self) -> str | None:
        if self._broken is not None:
            return f"writes get 503: {self._broken}"
        return None if self.writer is None else self.writer.trouble()

    def _waiting(self) -> int:
        return 0 if self.writer is None else self.writer.added - self.writer.done

    def _is_writable(self) -> bool:
        return self._broken is None and self.writer is not None and self.writer.refuses is None

    # -- as a keeper

    async def restore(self) -> Snapshot:
        """DataDirUnusable, DataDirInUse, DataDirMoved, Damaged, NewerFormat, CannotRead, CannotWrite."""
        self._lock = await asyncio.to_thread(Lock, self._folder)
        started, wall = time.perf_counter(), self._wall()
        mark = await asyncio.to_thread(moved.read, self._folder)
        if mark is not None:
            raise DataDirMoved(self._folder, mark.cluster)
        opened, content = await asyncio.to_thread(open_for_service, self._folder, wall)
        self.writer = writer_of(opened, self._commit_seconds, self._commit_octets)
        snapshot = snapshot_of(content, wall)
        for key, until in snapshot.tombstones:
            self._buried.bury(key, until, wall)
        self._reserved_index = snapshot.index + AHEAD
        kept = set(snapshot.values)
        over = [_without(event) for event in content.values if event not in kept]
        known = (
            [] if snapshot.number(SettingsEvent) else [rows.of_value(SettingsEvent(None, self._registry.settings, ""))]
        )
        settings = [(schema.PUT_VALUE, row) for row in known]  # so that the next start knows whether they have changed
        self.writer.put([*_index(self._reserved_index, wall), *_old(wall), *over, *settings])
        with contextlib.suppress(NotDurable):  # it starts all the same, for reading and heartbeats
            await self.settled()
        _log.info(
            "%(instances)d instances restored from %(file)s in %(seconds).2f s",
            {
                "event": "journal.restored", "file": opened.file, "instances": len(snapshot.instances), "index": snapshot.index,
                "seconds": round(time.perf_counter() - started, 6),
            },
        )  # fmt: skip
        return snapshot

    def check(self) -> None:
        reason = self._broken or (self.writer.refuses if self.writer is not None else None)
        if reason is not None:
            raise NotDurable(reason)

    async def settled(self) -> None:
        if self._broken is not None:
            raise NotDurable(self._broken)
        if self.writer is None:
            return
        try:
            await self.writer.settled(self.writer.added)
        except WriteRefused as refused:
            raise NotDurable(refused.reason) from None

    @property
    def safe(self) -> float:
        self._note_done()
        return self._safe

    def _note_done(self) -> None:
        done = self.writer.done if self.writer is not None else 0
        while self._put_away and self._put_away[0][0] <= done:
            self._safe = self._put_away.popleft()[1]

    # -- as a follower

    def follow_commit(self, commit: Commit) -> None:
        if commit.action == RESTORE:
            self._safe = commit.index
        elif self.writer is not None:
            try:
                self._keep(commit, self.writer)
            except Exception as error:
                # The table has what the file will never have: no later answer may claim that all is kept.
                self._broken = f"commit {commit.index} could not be written down ({error!r}); restart the server"
                raise

    def _keep(self, commit: Commit, writer: Writer) -> None:
        ops = [op for event in commit.events for op in self._ops(event, commit.wall)]
        if commit.index > self._reserved_index - AHEAD // 2:
            self._reserved_index = commit.index + AHEAD
            ops += _index(self._reserved_index, commit.wall)
        if ops and commit.wall > self._next_sweep:
            ops += self._sweep(commit.wall)
        if ops:
            writer.put(ops, sum(map(octets_of, commit.events)))
        if self._put_away and self._put_away[-1][0] == writer.added:
            self._put_away.pop()  # nothing was put since, so both are through at once
        self._put_away.append((writer.added, commit.index))
        self._note_done()

    def _ops(self, event: Event, wall: float) -> Iterator[Op]:
        if isinstance(event, InstanceEvent):
            before, after = event.before, event.after
            if after is None:
                yield schema.DELETE_INSTANCE, (event.instance.id,)
                if event.buried_until is not None:
                    self._buried.bury(event.instance.spec.key, event.buried_until, wall)
                    yield schema.PUT_TOMBSTONE, rows.of_tombstone(event.instance.spec.key, event.buried_until)
            elif before is None or rows.kept(before) != rows.kept(after):
                if before is None and self._buried.pop(after.spec.key) is not None:
                    yield schema.DELETE_TOMBSTONE, after.spec.key
                yield schema.PUT_INSTANCE, rows.of_instance(after)
        elif event.kind.kept:
            yield _without(event) if event.after is None else (schema.PUT_VALUE, rows.of_value(event))

    def _sweep(self, wall: float) -> list[Op]:
        self._next_sweep = wall + _SWEEP
        return _old(wall)

    async def close(self) -> None:
        writer, self.writer = self.writer, None
        if writer is not None:
            if writer.refuses is None:
                writer.put(_index(self._registry.index, 0))  # exactly
            await writer.close()
        if self._lock is not None:
            self._lock.close()


def _index(index: int, wall: float) -> list[Op]:
    """`wall` 0: the index is exactly this."""
    return [
        (schema.PUT_META, rows.sealed("index", index)),
        (schema.PUT_META, rows.sealed("wall", int(wall))),
    ]


def _old(wall: float) -> list[Op]:
    return [(schema.DELETE_OLD_TOMBSTONES, (wall,)), (schema.DELETE_OLD_VALUES, (wall,))]


def _without(event: ValueEvent[Any, Any]) -> Op:
    return schema.DELETE_VALUE, (event.kind.name, rows.path(event))


class DataFolder(Plugin):
    """The folder alone, where the engine keeps the state: this process's own, for what others keep in it (the history)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: Lock | None = None

    def install(self, seams: Seams) -> None:
        seams.folders.append(self._folder)

    async def open(self, engine: Engine) -> None:
        """DataDirUnusable, DataDirInUse."""
        self._lock = await asyncio.to_thread(Lock, self._folder)

    async def close(self) -> None:
        if self._lock is not None:
            self._lock.close()


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


class JournalSettings(EnvSettings):
    model_config = SettingsConfigDict(env_ignore_empty=False)  # DATA_DIR= is a choice: memory only

    data_dir: Annotated[Path | None, BeforeValidator(_empty_is_none)] = Path("data")
    """Folder where everything registered is kept. DATA_DIR= keeps it in memory only."""


def make(registry: Registry, clock: Callable[[], float]) -> Journal | None:
    folder = JournalSettings.read().data_dir
    return None if folder is None else Journal(folder, registry)


def make_folder(registry: Registry, clock: Callable[[], float]) -> DataFolder | None:
    folder = JournalSettings.read().data_dir
    return None if folder is None else DataFolder(folder)
