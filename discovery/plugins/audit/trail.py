"""Lines on their way into the file: what is added while others are written goes with the next ones. The disk's work is done in one
thread; everything else here happens in the event loop.

A slow disk holds up the writes. One that refuses does not: the lines are kept and tried again for as long as they fit, and those that
no longer do are counted, in the file too once it can be written again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from discovery.plugins.audit import line
from discovery.plugins.audit.file import AuditFile, CannotAppend

_log = logging.getLogger("discovery.audit")

# Octets that may wait to be written: 100,000 lines of the usual size. Beyond, new writes wait.
MAX_WAITING = 32 * 1024 * 1024
# Octets handed to the thread at a time.
MAX_GROUP = 1024 * 1024
# Seconds between tries when the file cannot be written; from a line to the fsync that makes it survive the machine's end.
RETRY_SECONDS = 1.0
SYNC_SECONDS = 1.0


class Trail:
    """`failing`: why the file cannot be written, None when it can. `lost`: lines that will never be in it."""

    def __init__(self, file: AuditFile) -> None:
        self._file = file
        self._thread = ThreadPoolExecutor(1, "audit")
        self._waiting: deque[bytes] = deque()
        self._octets = 0
        self._there_is_work = asyncio.Event()
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._sync_timer: asyncio.TimerHandle | None = None
        self._untold = 0  # of those lost
        self._closing = False
        self.added = 0
        self.written = 0
        self.lost = 0
        self.failing: str | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run())

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def room(self) -> None:
        """Returns when there is room for another line; at once when the file cannot be written."""
        while self._octets > MAX_WAITING and self.failing is None:
            await self.flushed()

    def add(self, octets: bytes) -> None:
        if self.failing is not None and self._octets + len(octets) > MAX_WAITING:
            self.lost += 1
            self._untold += 1
            return
        self._waiting.append(octets)
        self._octets += len(octets)
        self.added += 1
        self._there_is_work.set()

    async def flushed(self) -> None:
        """Returns when all that was added so far was handed to the system, or when that failed (it is tried again)."""
        if self.failing is None and self.written < self.added:
            done = self._loop.create_future()
            self._waiters.append((self.added, done))
            await done

    async def close(self) -> None:
        """Once more what is left, then the file."""
        self._closing = True
        self._there_is_work.set()
        if self._task is not None:
            await self._task
        if self._sync_timer is not None:
            self._sync_timer.cancel()
        lost = await self._loop.run_in_executor(self._thread, self._finish)
        if lost:
            _log.error("%d lines of the audit log could not be written before the end: %s", lost, self.failing)
        self._thread.shutdown()

    def _finish(self) -> int:
        """How many lines are lost for good."""
        left = len(self._waiting)
        try:
            self._file.append(self._waiting)
            left = 0
            self._file.sync()
        except CannotAppend as error:
            left -= error.written
        self._file.close()
        return left + self._untold

    async def _run(self) -> None:
        while not self._closing:
            await self._there_is_work.wait()
            group = self._take()
            try:
                await self._loop.run_in_executor(self._thread, self._file.append, group)
            except CannotAppend as error:
                self._done(group[: error.written])
                self._put_back(group[error.written :])
                self._fail(str(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._done(group)
            self._recover()
            if not self._waiting:
                self._there_is_work.clear()

    def _take(self) -> list[bytes]:
        group, octets = [], 0
        while self._waiting and octets < MAX_GROUP:
            group.append(self._waiting.popleft())
            octets += len(group[-1])
        return group

    def _put_back(self, group: list[bytes]) -> None:
        self._waiting.extendleft(reversed(group))

    def _done(self, group: list[bytes]) -> None:
        self.written += len(group)
        self._octets -= sum(map(len, group))
        self._tell(self.written)
        if group and self._sync_timer is None:
            self._sync_timer = self._loop.call_later(SYNC_SECONDS, self._sync)

    def _tell(self, upto: int) -> None:
        while self._waiters and self._waiters[0][0] <= upto:
            done = self._waiters.popleft()[1]
            if not done.done():
                done.set_result(None)

    def _fail(self, reason: str) -> None:
        if self.failing is None:
            _log.error(
                "%s cannot be written: %s; writes go on, and their lines are kept until it can or until they are too many",
                self._file.path, reason,
            )  # fmt: skip
        self.failing = reason
        self._tell(self.added)

    def _recover(self) -> None:
        if self.failing is None:
            return
        self.failing = None
        _log.warning("%s can be written again; %d lines were lost", self._file.path, self._untold)
        if self._untold:
            self.add(line.of_lost(self._untold, time.time()))
            self._untold = 0

    def _sync(self) -> None:
        self._sync_timer = None
        self._loop.run_in_executor(self._thread, self._file.sync).add_done_callback(self._synced)

    def _synced(self, sync: asyncio.Future[None]) -> None:
        if (error := sync.exception()) is not None:
            self._fail(str(error))
