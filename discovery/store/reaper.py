"""The reaper tells the registry the time: it sleeps until the next deadline, calls `advance`, and sleeps again.

There is no polling. A change may bring an earlier deadline, so the reaper listens; heartbeats only ever move deadlines
back and are not listened to. A crowd of deadlines is worked off in pieces, with the event loop free in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from discovery.store.registry import Registry

# Entries between looks at the clock, and the seconds and entries for one turn of the event loop: what a change costs depends on
# who listens, 20 to 70 µs.
STEP = 20
TURN_SECONDS = 0.002
BATCH = 200
# The loop's timers count in whole milliseconds and may fire that much early.
TIMER_GRAIN = 0.001


class Reaper:
    def __init__(self, registry: Registry, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = float("inf")

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._registry.subscribe(lambda change: self._look())
        self._registry.on_window = self._look
        self._schedule()

    def stop(self) -> None:
        self._sleep_until(None)
        self._wakes_at = float("-inf")  # nothing is earlier, so no change wakes it again

    def _look(self) -> None:
        deadline = self._registry.next_deadline()
        if deadline is not None and deadline < self._wakes_at:
            self._sleep_until(deadline)

    def _wake(self) -> None:
        self._wakes_at = float("-inf")  # changes made by advance itself need no timer, _schedule follows
        started = self._clock()
        for _ in range(BATCH // STEP):
            now = self._clock()
            self._registry.advance(now, STEP)
            deadline = self._registry.next_deadline()
            if deadline is None or deadline > now or now - started > TURN_SECONDS:
                break
        self._schedule()

    def _schedule(self) -> None:
        self._sleep_until(self._registry.next_deadline())

    def _sleep_until(self, deadline: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wakes_at = float("inf") if deadline is None else deadline
        if deadline is not None:
            delay = max(0.0, deadline - self._clock() + TIMER_GRAIN)
            self._timer = self._loop.call_later(delay, self._wake)
