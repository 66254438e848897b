"""The listener: a few connections in each turn, and none for a while when there is no room."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop

from discovery.system import listener as module
from discovery.system.listener import Listener
from discovery.system.sockets import STREAM, bind
from discovery.system.tls import Tls
from tests.stories.process import LIMIT
from tests.stories.standards.secure import make_certificate


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
        await asyncio.wait_for(begun.wait(), 60)
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


@pytest.mark.parametrize("loop_factory", [asyncio.SelectorEventLoop, uvloop.Loop], ids=["asyncio", "uvloop"])
def test_a_tls_connection_keeps_little_for_what_it_reads_and_says(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    """It is a part of asyncio that no page describes: each version of Python has to be seen to follow it."""
    pair = make_certificate(tmp_path)
    texts = [octet * 1_000_000 for octet in (b"x", b"y")]

    async def story() -> None:
        [sock] = bind(["127.0.0.1"], 0, [STREAM], "PORT")
        # Of each connection too: else the kernel may take all that there is to say.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        made: list[Echo] = []

        class Echo(asyncio.Protocol):
            """Says a piece for each that it is to say, while its client reads."""

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                made.append(self)
                self.transport = cast("asyncio.Transport", transport)
                self.transport.set_write_buffer_limits(high=4096)
                self.received, self.said, self.may, self.waited = bytearray(), 0, True, 0

            def data_received(self, data: bytes) -> None:
                self.received += data
                if len(self.received) == len(texts[0]):
                    self.say()

            def say(self) -> None:
                while self.may and self.said < len(self.received):
                    piece = bytes(self.received[self.said : self.said + 16 * 1024])
                    self.said += len(piece)
                    self.transport.write(piece)

            def pause_writing(self) -> None:
                self.may, self.waited = False, max(self.waited, self.transport.get_write_buffer_size())

            def resume_writing(self) -> None:
                self.may = True
                asyncio.get_running_loop().call_soon(self.say)

        listener = Listener(sock, Echo, Tls(pair.cert, pair.key))
        trusted = ssl.create_default_context(cafile=str(pair.cert))
        ends = [await asyncio.open_connection(*sock.getsockname(), ssl=trusted) for _ in texts]
        for (_, writer), text in zip(ends, texts, strict=True):
            writer.write(text)
        for (reader, _), text in zip(ends, texts, strict=True):
            assert await reader.readexactly(len(text)) == text
        first, second = (echo.transport._ssl_protocol for echo in made)  # type: ignore[attr-defined]  # no part of the API
        assert first._ssl_buffer is second._ssl_buffer
        assert len(first._ssl_buffer) == 16 * 1024
        assert all(0 < echo.waited < 40 * 1024 for echo in made), "it was paused, and went on"
        for _, writer in ends:
            writer.close()
        listener.close()
        await listener.wait_closed()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(story())


def end_its_side(transport: asyncio.Transport, client: ssl.SSLSocket) -> None:
    """While it is not read. Python's own ends such a connection never."""
    client.shutdown(socket.SHUT_WR)


def be_closed_twice(transport: asyncio.Transport, client: ssl.SSLSocket) -> None:
    """Python's own forgets at the second time what it is about, and logs what is said after the end."""
    transport.close()
    for _ in range(10):
        transport.write(b"too late")
    transport.close()
    assert transport.get_write_buffer_size() == 0
    transport.abort()


@pytest.mark.parametrize("happens", [end_its_side, be_closed_twice])
@pytest.mark.parametrize("loop_factory", [asyncio.SelectorEventLoop, uvloop.Loop], ids=["asyncio", "uvloop"])
def test_no_tls_connection_stays_for_ever(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
    happens: Callable[[asyncio.Transport, ssl.SSLSocket], None],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pair = make_certificate(tmp_path)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        made: asyncio.Future[asyncio.Transport] = loop.create_future()
        lost: asyncio.Future[object] = loop.create_future()

        class Unread(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                cast("asyncio.Transport", transport).pause_reading()
                made.set_result(cast("asyncio.Transport", transport))

            def connection_lost(self, exc: Exception | None) -> None:
                lost.set_result(None)

        [sock] = bind(["127.0.0.1"], 0, [STREAM], "PORT")
        listener = Listener(sock, Unread, Tls(pair.cert, pair.key))
        trusting = ssl.create_default_context(cafile=str(pair.cert))
        plain = await asyncio.to_thread(socket.create_connection, sock.getsockname())
        client = await asyncio.to_thread(trusting.wrap_socket, plain, server_hostname="127.0.0.1")
        happens(await made, client)
        await asyncio.wait_for(lost, LIMIT)
        client.close()
        listener.close()
        await listener.wait_closed()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(story())
    assert caplog.records == []
