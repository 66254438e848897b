"""When whom: one loop timer a watch until it is due, then a task, in its turn, which waits for a place in a lane and makes the one probe,
and again.

Watches whose probes are slow have a lane of their own: waiting for the dead must not keep anybody else's checks from being made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from discovery.plugins.check.watch import Watch
from discovery.system.turns import turns

_log = logging.getLogger("discovery.check")

# Probes at a time in each of the two lanes; each holds a file and about 5 KB. When a fifth of 10,000 instances fall silent at once,
# each for 2 s, the quick lane is through with them within their leases of 10 s.
MAX_IN_HAND = 500
# What a probe takes of a turn of the event loop before it waits for the network.
_BEGIN_SECONDS = 0.0001
# Timers count in whole milliseconds and may fire that much early.
TIMER_GRAIN = 0.001


class Rounds:
    """`clock`: the leases' monotonic seconds. `work` makes one probe, and tells by `watch.probing` until when it may be cancelled.
    `in_hand`: probes that are being made.
    """

    def __init__(self, clock: Callable[[], float], work: Callable[[Watch], Coroutine[Any, Any, None]]) -> None:
        self._clock = clock
        self._work = work
        self._lanes = {slow: asyncio.Semaphore(MAX_IN_HAND) for slow in (False, True)}
        self._tasks: set[asyncio.Task[None]] = set()
        self.in_hand = 0

    def open(self) -> None:
        self._loop, self._turns = asyncio.get_running_loop(), turns()

    def add(self, watch: Watch, seconds: float) -> None:
        """Its next probe is in so many."""
        watch.timer = self._loop.call_later(seconds, self._wake, watch)

    def remove(self, watch: Watch) -> None:
        watch.over = True
        if watch.timer is not None:
            watch.timer.cancel()
        if watch.probing is not None:
            watch.probing.cancel()

    async def close(self) -> None:
        """After every watch was removed."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _wake(self, watch: Watch) -> None:
        watch.timer = None
        left = watch.due - self._clock()
        if left > TIMER_GRAIN:  # it beat meanwhile, or the process stood still
            self.add(watch, left)
            return
        # There may be hundreds due at once, and everybody else's work comes in between.
        self._turns.add(partial(self._begin, watch))

    def _begin(self, watch: Watch) -> bool:
        if not watch.over:
            self._turns.reserve(_BEGIN_SECONDS)
            watch.probing = task = self._loop.create_task(self._probe(watch))
            self._tasks.add(task)
            task.add_done_callback(partial(self._ended, watch))
        return False

    async def _probe(self, watch: Watch) -> None:
        """The first come are the first served."""
        async with self._lanes[watch.slow]:
            watch.started = self._clock()
            self.in_hand += 1
            try:
                await self._work(watch)
            finally:
                self.in_hand -= 1

    def _ended(self, watch: Watch, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            instance = watch.entry.instance
            spec = instance.spec
            _log.error(
                "the check %(check)s of instance %(id)s failed itself; it goes on",
                {"event": "check.failed", "ip": spec.ip, "port": spec.port, "id": instance.id, "check": watch.check.id},
                exc_info=error,
            )
        if not watch.over:
            self.add(watch, max(0.0, watch.due - self._clock()))
