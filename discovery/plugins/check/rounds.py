"""When whom: one loop timer a watch until it is due, then a place in a lane, then a task for the one probe, and again.

Watches whose probes are slow have a lane of their own: waiting for the dead must not keep anybody else's checks from being made.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, TypeVar

from discovery.core.log_fields import fields
from discovery.plugins.check.watch import Watch

T = TypeVar("T")

_log = logging.getLogger("discovery.check")

# Probes at a time in each of the two lanes; each holds a file and about 5 KB. When a fifth of 10,000 instances fall silent at once,
# each for 2 s, the quick lane is through with them within their leases of 10 s.
MAX_IN_HAND = 500
# Probes started in one turn of the loop, of each lane: about 2 ms. There may be hundreds due at once, after a pause for instance;
# all in one turn, 2,000 hold the loop up for 50 to 65 ms, so for 10 to 30 (most of that is the answers that come in together).
STEP = 20
# Timers count in whole milliseconds and may fire that much early.
TIMER_GRAIN = 0.001


class Lane(Generic[T]):
    """Whose turn it is: so many at a time, the others in the order in which they came."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: OrderedDict[T, None] = OrderedDict()
        self._in_hand = 0

    def enter(self, item: T) -> None:
        self._waiting[item] = None

    def next(self) -> T | None:
        """Who may go now, and has to `leave`; None when nobody waits, or all places are taken."""
        if not self._waiting or self._in_hand >= self._most:
            return None
        self._in_hand += 1
        return self._waiting.popitem(last=False)[0]

    def leave(self) -> None:
        self._in_hand -= 1

    def drop(self, item: T) -> None:
        """It waits no longer, if it did."""
        self._waiting.pop(item, None)


class Rounds:
    """`clock`: the leases' monotonic seconds. `work` makes one probe, and tells by `watch.probing` until when it may be cancelled."""

    def __init__(self, clock: Callable[[], float], work: Callable[[Watch], Coroutine[Any, Any, None]]) -> None:
        self._clock = clock
        self._work = work
        self._quick: Lane[Watch] = Lane(MAX_IN_HAND)
        self._slow: Lane[Watch] = Lane(MAX_IN_HAND)
        self._tasks: set[asyncio.Task[None]] = set()
        self._moving = False

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()

    @property
    def in_hand(self) -> int:
        return len(self._tasks)

    def add(self, watch: Watch, seconds: float) -> None:
        """Its first probe is in so many."""
        self._sleep(watch, seconds)

    def remove(self, watch: Watch) -> None:
        watch.over = True
        if watch.timer is not None:
            watch.timer.cancel()
        if watch.probing is not None:
            watch.probing.cancel()
        self._lane(watch).drop(watch)

    async def close(self) -> None:
        """After every watch was removed."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _sleep(self, watch: Watch, seconds: float) -> None:
        watch.timer = self._loop.call_later(seconds, self._wake, watch)

    def _wake(self, watch: Watch) -> None:
        watch.timer = None
        left = watch.due - self._clock()
        if left > TIMER_GRAIN:  # it beat meanwhile, or the process stood still
            self._sleep(watch, left)
            return
        self._lane(watch).enter(watch)
        self._move_soon()

    def _lane(self, watch: Watch) -> Lane[Watch]:
        return self._slow if watch.slow else self._quick

    def _move_soon(self) -> None:
        if not self._moving:
            self._moving = True
            self._loop.call_soon(self._move)

    def _move(self) -> None:
        """Starts those whose turn it is, a few for each turn of the loop, so that everybody else's work comes in between."""
        self._moving = False
        for lane in (self._quick, self._slow):
            for _ in range(STEP):
                watch = lane.next()
                if watch is None:
                    break
                self._start(watch, lane)
            else:
                self._move_soon()

    def _start(self, watch: Watch, lane: Lane[Watch]) -> None:
        watch.started = self._clock()
        watch.probing = task = self._loop.create_task(self._work(watch))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, watch, lane))

    def _ended(self, watch: Watch, lane: Lane[Watch], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        lane.leave()
        if not task.cancelled() and (error := task.exception()) is not None:
            instance = watch.entry.instance
            _log.error(
                "the check %s of instance %s failed itself; it goes on",
                watch.check.id,
                instance.id,
                exc_info=error,
                extra=fields("check.failed", ip=instance.spec.ip, port=instance.spec.port, id=instance.id),
            )
        if not watch.over:
            self._sleep(watch, max(0.0, watch.due - self._clock()))
        self._move_soon()
