"""The clock of leases: monotonic seconds that stand still while the process does.

A process that is stopped, swapped out or suspended hears no heartbeats, so that time must not count against those who sent them. A
tick several times a second shows that the event loop runs; who reads the clock when a tick is overdue learns of the pause first,
before anything is taken to have run out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

_log = logging.getLogger("discovery.clock")

TICK = 0.25
# Lateness that counts as a pause; less is a busy loop. A tenth of the usual lease.
LATE = 1.0
# Pauses that are remembered, so that times before them are shown as they were.
_MOST = 32


class Clock:
    """`on_pause(seconds, now)` is called, in the middle of whoever reads the clock, when a pause is noticed; `now` is after it."""

    def __init__(self, source: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._paused = 0.0
        self._pauses: deque[tuple[float, float]] = deque(maxlen=_MOST)  # when, by this clock, and how long
        self._too_late = float("inf")
        self._timer: asyncio.TimerHandle | None = None
        self.on_pause: Callable[[float, float], None] = lambda seconds, now: None

    def __call__(self) -> float:
        now = self._source()
        if now > self._too_late:
            self._notice(now)
        return now - self._paused

    @property
    def paused(self) -> float:
        """Seconds in all."""
        return self._paused

    def paused_since(self, reading: float) -> float:
        """Seconds for which it stood still after it showed this."""
        if not self._pauses or reading >= self._pauses[-1][0]:  # nearly always
            return 0.0
        return sum(seconds for at, seconds in self._pauses if reading < at)

    def tick(self) -> None:
        now = self._source()
        if now > self._too_late:
            self._notice(now)
        self._too_late = now + TICK + LATE

    def start(self) -> None:
        """Ticks until `stop`."""
        self.tick()
        self._timer = asyncio.get_running_loop().call_later(TICK, self.start)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._too_late = float("inf")  # nobody ticks any more

    def _notice(self, now: float) -> None:
        pause = now - (self._too_late - LATE)
        self._pauses.append((now - self._paused - pause, pause))
        self._paused += pause
        self._too_late = now + TICK + LATE
        _log.warning(
            "the process stood still for %(seconds).1f s, which count against no lease",
            {"event": "process.stood_still", "seconds": pause},
        )
        self.on_pause(pause, now - self._paused)
