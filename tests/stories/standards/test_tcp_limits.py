"""The limits of a TCP connection that a story would wait too long for: the server's own sockets, in this process."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import dns.message
import pytest

from discovery.dns.server import tcp as module
from discovery.dns.server.tcp import TcpConnections, TcpServer
from discovery.system.waiting_octets import WaitingOctets

# What a stub responder gives for each query.
Respond = Callable[[bytes], bytes | Awaitable[bytes] | None]
# Seconds; the other is far above what anything takes.
IDLE, LIMIT = 0.2, 60.0
QUERY = dns.message.make_query("shop.svc.local", "A").to_wire()
PREFIX = struct.Struct("!H")


class Stub:
    """Stands for the responder, which has its own tests."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self.asked = 0

    def respond(self, packet: bytes, *_: object) -> bytes | Awaitable[bytes] | None:
        self.asked += 1
        return self._respond(packet)


@asynccontextmanager
async def serving(stub: Stub, send_buffer: int | None = None) -> AsyncIterator[int]:
    """Its port. `send_buffer`: octets that the kernel keeps for each connection."""
    sock = socket.socket()
    sock.setblocking(False)
    if send_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    sock.bind(("127.0.0.1", 0))
    sock.listen(200)
    server = TcpServer(sock, stub.respond, time.monotonic, TcpConnections(512, WaitingOctets(2**26)))  # type: ignore[arg-type]
    await server.start()
    try:
        yield sock.getsockname()[1]
    finally:
        await server.close()


def now() -> float:
    """As the server has it."""
    return asyncio.get_running_loop().time()


@pytest.fixture(autouse=True)
def _short_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TCP_IDLE_SECONDS", IDLE)


@pytest.mark.parametrize(
    "sent", [b"", b"\0", PREFIX.pack(len(QUERY)) + QUERY[:5]], ids=["nothing", "half a prefix", "half a query"]
)
async def test_rfc7766_6_2_3_an_idle_connection_is_closed(sent: bytes) -> None:
    async with serving(Stub(lambda packet: packet)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        begun = now()
        assert await asyncio.wait_for(reader.read(), LIMIT) == b""
        assert now() - begun > IDLE * 0.9
        writer.close()


async def test_each_whole_query_restarts_the_clock_and_a_trickle_of_octets_does_not() -> None:
    async with serving(Stub(lambda packet: packet)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        begun = now()
        while now() - begun < 3 * IDLE:
            writer.write(PREFIX.pack(len(QUERY)) + QUERY)
            assert len(await asyncio.wait_for(reader.readexactly(2 + len(QUERY)), LIMIT)) == 2 + len(QUERY)
            await asyncio.sleep(IDLE / 4)
        begun = now()
        writer.write(PREFIX.pack(60000))
        while not (reader.at_eof() or reader.exception()) and now() - begun < 5:
            writer.write(b"x")
            await asyncio.sleep(IDLE / 8)
        assert now() - begun < 3 * IDLE
        writer.close()


async def test_a_client_that_never_reads_is_given_no_more_than_buffers_hold_wherever_they_are_full() -> None:
    """Each connection begins its flood one query later, so that one of them is full at every place in a burst."""
    reply, flood = bytes(1022), 4000
    answered = []
    for ahead in range(module.BURST + 1):
        stub = Stub(lambda packet: reply)
        async with serving(stub, send_buffer=4096) as port:
            with socket.socket() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                sock.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(sock, ("127.0.0.1", port))
                query = PREFIX.pack(12) + bytes(12)
                if ahead:
                    await loop.sock_sendall(sock, query * ahead)
                    await _settled(stub)
                    assert stub.asked == ahead
                await loop.sock_sendall(sock, query * flood)
                await _settled(stub)
                answered.append(stub.asked)
    assert max(answered) < flood / 2, f"answers that nobody reads pile up: {answered}"


async def _settled(stub: Stub) -> None:
    """Until fifty turns of the loop ask nothing more."""
    quiet, seen = 0, -1
    while quiet < 50:
        quiet = quiet + 1 if stub.asked == seen else 0
        seen = stub.asked
        await asyncio.sleep(0)


async def test_a_client_that_never_reads_is_thrown_out_when_idle() -> None:
    stub = Stub(lambda packet: bytes(60000))
    async with serving(stub, send_buffer=4096) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write((PREFIX.pack(12) + bytes(12)) * 200)
        deadline = now() + LIMIT
        while not writer.is_closing() and now() < deadline:
            try:
                writer.write(b"\0")
                await writer.drain()
            except ConnectionError:
                break
            await asyncio.sleep(IDLE / 4)
        assert now() < deadline
        assert stub.asked < 200
        writer.close()
        assert reader is not None


async def test_answers_that_take_time_are_overtaken() -> None:
    release = asyncio.Event()

    async def late(packet: bytes) -> bytes:
        await release.wait()
        return packet

    async with serving(Stub(lambda packet: late(packet) if packet[0] else packet)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        slow, quick = b"\1" + bytes(11), bytes(12)
        writer.write(PREFIX.pack(12) + slow + PREFIX.pack(12) + quick)
        assert await asyncio.wait_for(reader.readexactly(14), LIMIT) == PREFIX.pack(12) + quick
        release.set()
        assert await asyncio.wait_for(reader.readexactly(14), LIMIT) == PREFIX.pack(12) + slow
        writer.close()
