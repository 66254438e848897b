"""Group commit: what is added while a commit is under way goes into the next one. The disk's work is done in one thread; everything else
here happens in the event loop.

When a commit fails, those who wait for it are told, what it held is kept, and it is tried again until it goes through.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from discovery.plugins.journal.database import Database, Op
from discovery.plugins.journal.errors import CannotWrite
from discovery.store.errors import NotDurable

_log = logging.getLogger("discovery.journal")

# Seconds between tries of a commit that failed.
RETRY_SECONDS = 1.0


class Writer:
    """`failing`: why the last commit did not go through; None when it did."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread = ThreadPoolExecutor(1, "journal")
        self._waiting: deque[Op] = deque()
        self._there_is_work = asyncio.Event()
        self._closing = asyncio.Event()
        self._flushes: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self.added = 0
        self.committed = 0
        self.commits = 0
        self.failing: str | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    def add(self, statement: str, *values: object) -> None:
        self._waiting.append((statement, values))
        self.added += 1
        self._there_is_work.set()

    def check(self) -> None:
        """NotDurable while nothing can be written."""
        if self.failing is not None:
            raise NotDurable(self.failing)

    async def flushed(self) -> None:
        """Returns when all that was added so far is on disk; NotDurable when that failed (it is tried again all the same)."""
        if self.committed < self.added:
            done = asyncio.get_running_loop().create_future()
            self._flushes.append((self.added, done))
            await done

    async def close(self) -> None:
        """Once more what is left, then the file."""
        self._closing.set()
        self._there_is_work.set()
        if self._task is not None:
            await self._task
        if self._waiting:
            _log.error("%d changes could not be written before the end: %s", len(self._waiting), self.failing)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._database.close)
        self._thread.shutdown()

    async def _run(self) -> None:
        while True:
            await self._there_is_work.wait()
            if self._waiting:
                await self._commit()
            if self._closing.is_set() and (self.failing is not None or not self._waiting):
                return
            if self.failing is not None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), RETRY_SECONDS)
            elif not self._waiting:
                self._there_is_work.clear()

    async def _commit(self) -> None:
        group = list(self._waiting)  # all: what belongs to one write must not be parted
        self._waiting.clear()
        loop = asyncio.get_running_loop()
        try:
            if self.failing is not None:
                await loop.run_in_executor(self._thread, self._database.make_room)
            await loop.run_in_executor(self._thread, self._database.commit, group)
        except Exception as error:
            if not isinstance(error, CannotWrite):
                _log.exception("a commit failed in a way that was not foreseen")
            self._waiting.extendleft(reversed(group))
            if self.failing is None:
                _log.error("%s; register, deregister, drain and maintenance get 503 until it can be", error)
            # Without the path, which is not for strangers.
            self.failing = error.reason if isinstance(error, CannotWrite) else "an error that the log tells of"
            self._tell(self.added, NotDurable(self.failing))
            return
        if self.failing is not None:
            _log.warning("%s can be written again; nothing was lost", self._database.file)
            self.failing = None
        self.committed += len(group)
        self.commits += 1
        self._tell(self.committed, None)

    def _tell(self, upto: int, error: NotDurable | None) -> None:
        while self._flushes and self._flushes[0][0] <= upto:
            done = self._flushes.popleft()[1]
            if not done.done():
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)
