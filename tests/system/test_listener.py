"""The listener: a few connections in each turn, and none for a while when there is no room."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import pytest
import uvloop

from discovery.system import listener as module
from discovery.system.listener import Listener
from discovery.system.sockets import STREAM, bind


class Full:
    """A listening socket whose accept() fails for so many times; it counts them."""

    def __init__(self, sock: socket.socket, failures: int, number: int) -> None:
        self._sock = sock
        self._failures = failures
        self._number = number
        self.asked = 0

    def accept(self) -> Any:
        self.asked += 1
        if self.asked <= self._failures:
            raise OSError(self._number, "there is no room")
        return self._sock.accept()

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
async def test_without_room_it_waits_instead_of_spinning_and_goes_on_later(
    number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.05)
    [sock] = bind(["127.0.0.1"], 0, [STREAM], "PORT")
    full = Full(sock, 2, number)
    begun = asyncio.Event()

    class Counting(Listener):
        def _begin(self, connection: socket.socket, address: str) -> None:
            connection.close()
            begun.set()

    listener = Counting(cast("socket.socket", full), asyncio.Protocol)
    try:
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        for _ in range(20):
            await asyncio.sleep(0)
        assert full.asked == 1
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        assert "no room" in caplog.text
        await asyncio.wait_for(begun.wait(), 5)
        assert full.asked >= 3
        writer.close()
        del reader
    finally:
        listener.close()
        await listener.wait_closed()


@pytest.mark.parametrize("loop_factory", [asyncio.SelectorEventLoop, uvloop.Loop], ids=["asyncio", "uvloop"])
def test_of_many_that_came_at_once_a_few_are_taken_in_each_turn(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def story() -> list[int]:
        [sock] = bind(["127.0.0.1"], 0, [STREAM], "PORT")
        clients = [socket.create_connection(sock.getsockname()) for _ in range(200)]
        made, seen = 0, [0]

        class Made(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                nonlocal made
                made += 1

        listener = Listener(sock, Made)
        while made < len(clients):
            await asyncio.sleep(0)
            seen.append(made)
        listener.close()
        await listener.wait_closed()
        for client in clients:
            client.close()
        return seen

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        seen = runner.run(story())
    assert max(later - earlier for earlier, later in pairwise(seen)) <= 32
