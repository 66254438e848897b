"""Waiting for what no event tells, inside a test's loop. What is asked of another process waits with `stories.process.until`."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any, cast

# Seconds that anything may take before a test fails; far above what it does take.
LIMIT = 60.0
# Seconds that one turn of a loop takes at most, for a clock that passes over stalls.
_TURN = 0.005


async def until(condition: Callable[[], Any], limit: float = LIMIT) -> None:
    """Lets the loop run until the condition is true; what it returns is awaited, if that can be awaited."""
    async with asyncio.timeout(limit):
        while not (await found if inspect.isawaitable(found := condition()) else found):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.002)


def pass_over_stalls(loop: Any) -> Callable[[], float]:
    """Makes time stand still for the loop while the process is not run, as when others use all cores: a timer that was not to fire before
    some octets are read does not fire before them. Returns the loop's clock.
    """
    select, now, seen = loop._selector.select, loop.time(), time.monotonic()

    def selected(timeout: float | None = None) -> Any:
        nonlocal now, seen
        events = select(timeout)
        passed = time.monotonic() - seen
        seen += passed
        now += min(passed, (timeout or 0.0) + _TURN)
        return events

    loop._selector.select, loop.time = selected, lambda: now
    return cast(Callable[[], float], loop.time)
