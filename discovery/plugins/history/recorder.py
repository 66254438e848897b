"""The event loop's side of writing: commits are gathered for a moment, then put to the writer; files begin and end.

All that it costs the hot path is a list that grows by one commit. What the disk takes too slowly is counted and told of by the next file.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

from discovery.core.event import RESTORE, Commit, ValueEvent, octets_of
from discovery.core.kinds import SettingsEvent, WindowEvent, begun
from discovery.plugins.history.file import SIGN_OF_LIFE, Began, Checkpoint
from discovery.plugins.history.folder import Folder, Step
from discovery.plugins.history.rows import Keyed, keyed
from discovery.store.registry import Registry
from discovery.system.background_writer import BackgroundWriter, WriteRefused

# Seconds for which commits are gathered, and how many at the most: many go into a file at the price of a few.
GATHER = 0.25
_MAX_GATHERED = 1000
# What may wait for the disk: some seconds of a busy registry. It is the history that has a hole then, and nothing else.
MAX_ITEMS = 10_000
MAX_OCTETS = 32 * 1024 * 1024
# Seconds that a write may take before the log says so; that a question waits for what was just put.
PATIENCE = 10.0
_FLUSH_SECONDS = 1.0
# Seconds by which the wall clock may go back within a file; what happens in them has the time before.
_SET_BACK = 1.0
_DAY = 86400


class Recorder:
    """Made in the event loop. `wall`: epoch seconds. Nothing is written before the state was restored, which is when the folder is ours."""

    def __init__(self, folder: Folder, registry: Registry, wall: Callable[[], float]) -> None:
        self.folder = folder
        self._registry = registry
        self._wall = wall
        self._gathered: list[Keyed] = []
        self._end = 0  # behind the keys so far
        self._timer: asyncio.TimerHandle | None = None
        self._life: asyncio.TimerHandle | None = None
        self._last = 0.0  # wall of the last commit
        self._day_ends = 0.0  # 0: no file was begun
        self._began = 0  # the number of the writer's last item that begins a file
        self._missing = 0
        self._missing_from: float | None = None
        self._loop = asyncio.get_running_loop()
        self.restored = asyncio.Event()  # all that was there before this process is in the table
        self.writer = BackgroundWriter[Step](
            "history", folder.path, folder.write, folder.close, "everything else goes on, and the history will say what it misses",
            patience=PATIENCE, max_items=MAX_ITEMS, max_octets=MAX_OCTETS,
        )  # fmt: skip

    @property
    def unwritten(self) -> int:
        """Events that no file will ever have."""
        return self.folder.unwritten + self._missing

    def follow_commit(self, commit: Commit) -> None:
        if commit.action == RESTORE:
            self.restored.set()
            self._begin(Began.START, commit.index, commit.wall)
            self._tick()
            return
        commit = self._in_order(commit)
        if self.writer.full:
            self._missing += len(commit.events)
            self._missing_from = commit.wall if self._missing_from is None else self._missing_from
            return
        if (why := self._next_file(commit.wall)) is not None:
            self._begin(why, commit.index, commit.wall)
        self._last = commit.wall
        self._gathered += keyed([commit], self._end)
        self._end = self._gathered[-1].end
        if len(self._gathered) >= _MAX_GATHERED:
            self._flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(GATHER, self._flush)

    def _in_order(self, commit: Commit) -> Commit:
        if self._last - _SET_BACK <= commit.wall < self._last:
            return commit._replace(wall=self._last)
        return commit

    def _next_file(self, wall: float) -> Began | None:
        """Why one is due before what happens at `wall`."""
        if not self._day_ends:
            return Began.START
        if self._missing:
            return Began.UNRECORDED
        if wall < self._last:
            return Began.CLOCK
        if wall >= self._day_ends:
            return Began.DAY
        return self.folder.wants if self.writer.done >= self._began else None

    def _begin(self, why: Began, index: int, wall: float) -> None:
        """The state is a commit's, after it. That commit is told of in the new file too: it says nothing that the state does not have."""
        self._flush()
        entries = list(self._registry)
        instances = [entry.instance for entry in entries]  # 100,000 in 6 ms; a third list would take 9
        values: list[ValueEvent[Any, Any]] = [*begun(WindowEvent, self._registry.windows)]
        values.append(SettingsEvent(None, self._registry.settings, ""))
        checkpoint = Checkpoint(index, wall, why, instances, entries, values, self._missing, self._missing_from)
        self._began = self.writer.put(partial(Folder.begin, checkpoint=checkpoint))
        self.folder.unwritten += self._missing
        self._missing, self._missing_from = 0, None
        self._last, self._day_ends = wall, wall - wall % _DAY + _DAY

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._gathered:
            commits, self._gathered = self._gathered, []
            octets = sum(octets_of(event) for each in commits for event in each.commit.events)
            self.writer.put(partial(Folder.append, commits=commits), octets)

    def _tick(self) -> None:
        self._life = self._loop.call_later(SIGN_OF_LIFE, self._tick)
        wall = self._wall()
        if self.writer.full:
            return
        if (why := self._next_file(wall)) is not None:
            self._begin(why, self._registry.index, wall)
        self._last = max(self._last, wall)
        self.writer.put(partial(Folder.alive, wall=wall))

    async def flushed(self) -> None:
        """Returns when all that has happened can be read, or when the disk has not taken it for a second."""
        self._flush()
        with contextlib.suppress(WriteRefused, TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self.writer.settled(self.writer.added)

    async def close(self) -> None:
        self._flush()
        if self._life is not None:
            self._life.cancel()
        if self._day_ends:
            self.writer.put(partial(Folder.stop, wall=self._wall()))
        await self.writer.close()
