"""How late the event loop is: a timer that should go off every 0.1 s notes how late it was."""

from __future__ import annotations

import asyncio
from time import monotonic

from discovery.core.metric import Histogram, histogram

TICK = 0.1
# Seconds. Timers of the loop count in whole milliseconds.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class LoopLag:
    def __init__(self) -> None:
        self._late = Histogram(_SECONDS)
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self.metric = histogram("discovery_event_loop_lag_seconds", "How late a timer is.", self._late)

    def start(self) -> None:
        self._due = monotonic() + TICK
        self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self._late.observe(max(0.0, monotonic() - self._due))
        self.start()
