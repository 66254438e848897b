"""Screens and bars that move while a command runs: only on a terminal, elsewhere commands print once and wait in silence."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

from discovery.cli.output import console

if TYPE_CHECKING:
    from rich.console import RenderableType


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


@contextlib.contextmanager
def bar(text: str, seconds: float) -> Iterator[None]:
    """What goes on meanwhile takes so long. On standard error, and gone at the end."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(sys.stderr), transient=True) as progress:
        task, began, ended = progress.add_task(text, total=seconds), time.monotonic(), threading.Event()

        def tick() -> None:
            while not ended.wait(0.1):
                progress.update(task, completed=time.monotonic() - began)

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
