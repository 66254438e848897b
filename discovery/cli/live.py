"""Screens and bars that move while a command runs: only on a terminal, elsewhere commands print once and wait in silence."""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from discovery.cli.output import console

if TYPE_CHECKING:
    from rich.console import RenderableType

# The bar moves as often.
_STEP_SECONDS = 0.1


def on_a_terminal(output: str) -> bool:
    return output in ("table", "wide") and sys.stdout.isatty()


async def show(draw: Callable[[int, int], Awaitable[RenderableType]], changed: asyncio.Event, every: float) -> None:
    """Until it is cancelled. `draw` gets the width and height of the screen; it is asked at once, then `every` seconds and when
    `changed` is set, once in half a second at the most."""
    from rich.live import Live

    screen = console()
    with Live(console=screen, auto_refresh=False, screen=True, vertical_overflow="crop") as live:
        while True:
            changed.clear()
            live.update(await draw(screen.width, screen.height), refresh=True)
            await asyncio.sleep(0.5)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), max(0.0, every - 0.5))


def sleep(text: str, seconds: float) -> None:
    """With a bar on standard error that says `text`, and is gone at the end."""
    if not sys.stderr.isatty():
        time.sleep(seconds)
        return
    from rich.progress import track

    steps = math.ceil(seconds / _STEP_SECONDS)
    for _ in track(range(steps), text, console=console(sys.stderr), transient=True):
        time.sleep(seconds / steps)
