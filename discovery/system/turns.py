"""One scheduler of turns for each event loop: whoever has much to do hands over pieces, and all together they run for 2 ms a turn of the
loop, one after the other. Sockets are read between turns, those of DNS among them; where a thousand are readable at once, those of DNS
every 2 ms.

A piece is a step that is called, or what a coroutine does until it awaits `over` again. One that has begun is finished.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from weakref import WeakKeyDictionary

# Seconds of one turn: a DNS answer waits for no more than a few of them.
TURN = 0.002

# Whether there is more to do; it is called again then, after the others.
Step = Callable[[], bool]


class Turns:
    """`clock`: seconds. `urgent`: read what waits in their sockets; see `read_urgent`."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self._small: deque[Step] = deque()
        self._steps: deque[Step | asyncio.Future[None]] = deque()
        self._running = self._resumed = False
        self._until = 0.0
        self.urgent: list[Callable[[], None]] = []
        self._urgent_at = 0.0
        self._ahead = 0.0  # seconds of small steps outside of any turn, since the last began

    def add(self, step: Step) -> None:
        """From within the event loop; done in a turn to come."""
        self._steps.append(step)
        if not self._running:
            self._start()

    def add_small(self, step: Step) -> None:
        """Before those of `add`, of which one is done in each turn all the same."""
        self._small.append(step)
        if not self._running:
            self._start()

    def may_go_ahead(self) -> bool:
        """Whether a small step may be done now, outside of any turn, since to wait for one costs more than most of them: nobody waits for
        his, and those that were done so have not taken the time of a turn.
        """
        return self._ahead < TURN and not self._small and not self._steps

    def read_urgent(self) -> None:
        """Asked by whoever is called for a socket, before he changes anything: within one round of the loop as many are called as sockets
        are ready, and what is urgent would wait for all of them.
        """
        if self.clock() >= self._urgent_at:
            for read in self.urgent:
                read()
            self._urgent_at = self.clock() + TURN

    def spent(self, seconds: float) -> None:
        """So long did a small step take. A turn begins before they have taken a whole one, so that seldom one has to wait for it."""
        self._ahead += seconds
        if self._ahead > TURN / 2 and not self._running:
            self._start()

    def reserve(self, seconds: float) -> None:
        """The step at hand has begun a task, which will take about so long: as much less is done in this turn."""
        self._until -= seconds
        self.spent(seconds)

    def is_over(self) -> bool:
        """Whether it is time to hand back."""
        if self._running:
            return self.clock() >= self._until
        self._start()
        self._until = self.clock() + TURN
        return False

    async def over(self) -> None:
        """Hands back when this turn is over, and returns in a turn to come."""
        if self.is_over():
            future = asyncio.get_running_loop().create_future()
            self._steps.append(future)
            await future
            self._until = self.clock() + TURN

    def _start(self) -> None:
        self._running = True
        asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        """A coroutine that was resumed has run before this, and what is left of its turn is for others."""
        if not self._resumed:
            self._until = self.clock() + TURN
        self._resumed = False
        small, steps = self._small, self._steps
        try:
            while small:
                step = small.popleft()
                if step():
                    small.append(step)
                if self.clock() >= self._until:
                    break
            while steps and not self._resumed:
                self._next(steps.popleft())
                if self.clock() >= self._until:
                    break
        finally:  # a defect of one keeps no other from its turn
            self._ahead = 0.0
            self._running = bool(small or steps or self._resumed)
            if self._running:
                asyncio.get_running_loop().call_soon(self._run)

    def _next(self, step: Step | asyncio.Future[None]) -> None:
        if not isinstance(step, asyncio.Future):
            if step():
                self._steps.append(step)
        elif not step.done():  # else whoever waited was cancelled
            step.set_result(None)
            self._resumed = True


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Turns] = WeakKeyDictionary()


def turns() -> Turns:
    """Those of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _of_loop.get(loop)
    if found is None:
        found = _of_loop[loop] = Turns()
    return found
