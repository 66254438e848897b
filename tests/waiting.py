"""Waiting for what no event tells, inside a test's loop. What is asked of another process waits with `stories.process.until`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

# Seconds that anything may take before a test fails; far above what it does take.
LIMIT = 60.0


async def until(condition: Callable[[], Any], limit: float = LIMIT) -> None:
    """Lets the loop run until the condition is true; what it returns is awaited, if that can be awaited."""
    async with asyncio.timeout(limit):
        while not (await found if inspect.isawaitable(found := condition()) else found):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.002)
