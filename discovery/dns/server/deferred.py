"""Replies that take time, because another server is asked (Deferred): the only tasks on the DNS side."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

# On all sockets together. Beyond, a query gets no answer and its client asks again.
MAX_DEFERRED = 500


class DeferredReplies:
    """One for all sockets of a process."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, reply: Coroutine[Any, Any, bytes], send: Callable[..., object], *to: object) -> None:
        """`send(octets, *to)` sends it."""
        if len(self._tasks) >= MAX_DEFERRED:
            reply.close()
            return
        self._start(_send(reply, send, to))

    def stream(self, sending: Coroutine[Any, Any, None]) -> None:
        """A reply of several messages, which takes care of sending them."""
        if len(self._tasks) >= MAX_DEFERRED:
            sending.close()
            return
        self._start(sending)

    async def close(self) -> None:
        """Replies that are not there yet are not sent any more."""
        for task in self._tasks:
            task.cancel()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _send(reply: Coroutine[Any, Any, bytes], send: Callable[..., object], to: tuple[object, ...]) -> None:
    octets = await reply
    with contextlib.suppress(OSError):  # the client or its connection is gone
        send(octets, *to)
