"""Writes items to a file in a thread of its own, so that a slow or hung disk delays nothing but those who wait for this very file.

What is put while a write is under way goes into the next one together. The event loop keeps all the state; the thread only calls
`write` with one group after the other. A group that fails is kept and tried again, in order, until it goes through.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Generic, TypeVar

from discovery.system.backlog import Backlog, retry_after

T = TypeVar("T")
# Seconds for what waits when the process ends. All files close at the same time, and requests in hand had two of the five that there are.
CLOSE_SECONDS = 2.0

# A write takes milliseconds. One that takes longer has a slow disk, and what follows waits.
SLOW_SECONDS = 2.0


class WriteRefused(Exception):
    """What could not be written, and why. `written`: how many items of the group are in the file all the same, the first ones."""

    def __init__(self, reason: str, written: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.written = written


@dataclass(eq=False)
class BackgroundWriter(Generic[T]):
    """To be made and used in the event loop. Its `trouble` is a warning of its owner; the log says what is lost at the end.

    `name`: of its lines and its thread. `file`: what they name. `meanwhile`: what becomes of everything else while it cannot be written.
    `write`: called in the thread; stores a group, or raises WriteRefused.
    `close_file`: in the thread, once, after the last write.
    `recovered`: in the loop, when writes are possible again.

    `patience`: seconds for one write, after which the file counts as refusing until that write returns.
    `max_items`, `max_octets`: more than this waiting is `full`. The writer itself never drops anything: its owner lets nothing more in.
    """

    name: str
    file: Path
    write: Callable[[Sequence[T]], None]
    close_file: Callable[[], None]
    meanwhile: str
    _: KW_ONLY
    patience: float
    max_items: int
    max_octets: int
    recovered: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._log = logging.getLogger(f"discovery.{self.name}")
        self._backlog = Backlog[T]()
        self._waiters: list[tuple[int, asyncio.Future[str | None]]] = []
        self._failing: str | None = None
        self._failed: str | None = None  # why it did since it was asked for its trouble, though that may be over
        self._failures = 0
        self._tries_again = False  # after the first failure, whose like may be over in a moment
        self._next: asyncio.Handle | None = None  # of the next write
        self._overdue: asyncio.TimerHandle | None = None  # while a write is under way
        self._closing = False
        self._group_at = 0.0  # when the latest write began
        self._slow_at = 0.0  # when the one began that was seen to be slow
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._groups: SimpleQueue[Sequence[T] | None] = SimpleQueue()
        # A daemon: a thread that hangs in the kernel must not keep the process from ending.
        threading.Thread(target=self._serve, name=self.name, daemon=True).start()

    @property
    def added(self) -> int:
        """The number of the last item put."""
        return self._backlog.added

    @property
    def done(self) -> int:
        """The number of the last item that is in the file; so are all with lower numbers."""
        return self._backlog.done

    @property
    def full(self) -> bool:
        return len(self._backlog) >= self.max_items or self._backlog.octets >= self.max_octets

    @property
    def refuses(self) -> str | None:
        """Why nothing can be written at the moment, or nothing more should be put; None when all is well."""
        return self._failing or (f"{len(self._backlog):,} changes wait for a slow disk" if self.full else None)

    def trouble(self) -> str | None:
        """For a warning: the file refuses, has done so since this was asked last, or is behind."""
        reason, self._failed = self.refuses or self._failed, None
        if reason is not None:
            return f"{self.file} cannot be written: {reason}; {self.meanwhile}. Is its disk full, read-only or away?"
        since = self._loop.time() - self._group_at
        if self._overdue is None or since < SLOW_SECONDS:
            return None
        # A process that stood still hears only afterwards that the write is done: at the first look nothing is said.
        seen, self._slow_at = self._slow_at, self._group_at
        if seen != self._group_at:
            return None
        return f"{self.file} is behind: {len(self._backlog):,} changes wait, for the disk has not answered for {since:.0f} s"

    def put(self, item: T, octets: int = 0) -> int:
        """The item's number. What one turn of the event loop puts is written together, unless it is more than a group may have."""
        number = self._backlog.put(item, octets)
        if self._next is None and self._overdue is None and not self._closing:
            self._next = self._loop.call_soon(self._start)
        return number

    async def settled(self, number: int) -> None:
        """Returns when that item is in the file. WriteRefused while nothing can be written, which a first failure does not prove: the
        next try does. It is tried again all the same.
        """
        if number <= self._backlog.done:
            return
        if self._failing is None or self._tries_again:
            waiter: asyncio.Future[str | None] = self._loop.create_future()
            self._waiters.append((number, waiter))
            reason = await waiter
        else:
            reason = self._failing
        if reason is not None:
            raise WriteRefused(reason)

    async def close(self) -> int:
        """Tries once more to write what waits, and closes the file; gives up after CLOSE_SECONDS. How many items are not in the file."""
        self._closing = True
        if self._next is not None:
            self._next.cancel()
        if self._overdue is None:
            self._start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._ended
        if left := len(self._backlog):
            reason = self.refuses or f"the disk has not answered for {CLOSE_SECONDS:g} s"
            self._log.error(
                "%(file)s: %(writes)d writes could not be made before the end: %(reason)s",
                {"event": f"{self.name}.lost", "file": self.file, "writes": left, "reason": reason},
            )
        return left

    def _start(self) -> None:
        """The next write, or the end."""
        self._next = None
        if self._backlog:
            self._overdue = self._loop.call_later(self.patience, self._is_overdue)
            self._group_at = self._loop.time()
            self._groups.put(self._backlog.group())
        elif self._closing:
            self._finish()

    def _finish(self) -> None:
        """Nothing more is written: whoever still waits, or comes later, is told."""
        self._groups.put(None)
        self._failing = self._failing or "the server is ending"
        self._tell(self._backlog.added, self._failing)

    def _is_overdue(self) -> None:
        self._tries_again = False
        self._fail(f"the disk has not answered for {self.patience:g} s")

    def _returned(self, written: int, reason: str | None) -> None:
        """A write has come to its end."""
        assert self._overdue is not None
        self._overdue.cancel()
        self._overdue = None
        self._backlog.wrote(written)
        self._failures = 0 if reason is None else self._failures + 1
        self._tries_again = self._failures == 1 and not self._closing
        if reason is None:  # not at once: those who are told now put their next items first
            self._next = self._loop.call_soon(self._start)
        elif self._closing:
            self._finish()
        else:
            self._next = self._loop.call_later(retry_after(self._failures), self._start)
        self._tell(self._backlog.done, None)
        if reason is None:
            self._recover()
        else:
            self._fail(reason)

    def _fail(self, reason: str) -> None:
        self._failing = self._failed = reason
        if not self._tries_again:
            self._tell(self._backlog.added, reason)

    def _recover(self) -> None:
        if self._failing is not None:
            self._failing = None
            self.recovered()

    def _tell(self, upto: int, reason: str | None) -> None:
        waiters, self._waiters = self._waiters, []
        for number, waiter in waiters:
            if number > upto:
                self._waiters.append((number, waiter))
            elif not waiter.done():
                waiter.set_result(reason)

    # -- in the thread

    def _serve(self) -> None:
        while (group := self._groups.get()) is not None:
            self._call_loop(partial(self._returned, *self._stored(group)))
        try:
            self.close_file()
        except Exception:
            self._log.exception("a file could not be closed", {"event": "file.close_failed"})
        self._call_loop(partial(_end, self._ended))

    def _stored(self, group: Sequence[T]) -> tuple[int, str | None]:
        try:
            self.write(group)
        except WriteRefused as refused:
            return refused.written, refused.reason
        except Exception:
            self._log.exception("a write failed in a way that was not foreseen", {"event": "file.write_failed"})
            return 0, "an error that the log tells of"
        return len(group), None

    def _call_loop(self, callback: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback)


def _end(ended: asyncio.Future[None]) -> None:
    if not ended.done():  # nobody gave up waiting
        ended.set_result(None)
