"""Work that may never end, such as reading from a mount that hangs: in a thread for which nobody waits when the process ends.

The threads of `asyncio.to_thread` are waited for, so that one of them which hangs keeps the process from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def start_in_daemon_thread(work: Callable[[], T]) -> tuple[Thread, asyncio.Future[T]]:
    """The thread, started, and the future of what `work` returns or raises. To be called in the event loop."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        settle: Callable[[], None]
        try:
            settle = partial(future.set_result, work())
        except BaseException as error:
            settle = partial(future.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(lambda: None if future.done() else settle())

    thread = Thread(target=run, name=f"daemon-{work!r}", daemon=True)
    thread.start()
    return thread, future


async def in_daemon_thread(work: Callable[[], T]) -> T:
    """What `work` returns or raises. Cancelled, it leaves the thread to itself."""
    return await start_in_daemon_thread(work)[1]
