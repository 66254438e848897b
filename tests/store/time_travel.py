"""An event loop that does not wait: when nothing is ready, its clock leaps to the next timer. An hour takes a millisecond.

Only the clock is made up; timers, callbacks and tasks are asyncio's own.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from discovery.system.turns import turns
from tests.store.making import START

T = TypeVar("T")


class TimeTravelLoop(asyncio.SelectorEventLoop):
    """`time()` starts at START and is the clock of what runs on it."""

    def __init__(self) -> None:
        self._now = START
        super().__init__(_NoWait(self))

    def time(self) -> float:
        return self._now

    def leap(self, seconds: float) -> None:
        self._now += seconds


class _NoWait(selectors.SelectSelector):
    def __init__(self, loop: TimeTravelLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "the test waits for what will never come"
        ready = super().select(0)
        if not ready:
            self._loop.leap(timeout)
        return ready


def travel(story: Coroutine[Any, Any, T]) -> T:
    """Runs the story on such a loop."""

    async def told() -> T:
        turns().clock = asyncio.get_running_loop().time
        return await story

    with asyncio.Runner(loop_factory=TimeTravelLoop) as runner:
        return runner.run(told())
