"""Work for many watchers, done in small steps over several turns of the event loop, so that nobody else waits long for his."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

# Seconds of one turn. A step that has begun is finished, so a turn may take one step more: half a millisecond.
TURN = 0.002

# Whether there is more to do; it is asked again then, after the others.
Step = Callable[[], bool]


class Turns:
    """`clock`: seconds."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._steps: deque[Step] = deque()
        self._running = False

    def add(self, step: Step) -> None:
        """From within the event loop; done in a turn to come."""
        self._steps.append(step)
        if not self._running:
            self._running = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        end = self._clock() + TURN
        try:
            while self._steps:
                step = self._steps.popleft()
                if step():
                    self._steps.append(step)
                if self._clock() >= end:
                    break
        finally:  # a defect of one keeps no other from its turn
            self._running = bool(self._steps)
            if self._running:
                asyncio.get_running_loop().call_soon(self._run)
