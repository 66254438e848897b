"""A transfer on a real connection: clients that do not read, that leave, that ask on; and a server that stops."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import dns.message
import pytest

from discovery.dns.message.query import CutShort, Transport
from discovery.dns.message.values import Type
from discovery.dns.server import tcp as server
from discovery.dns.server.tcp import TcpConnections, TcpServer
from discovery.system.waiting_octets import WaitingOctets
from tests.dns.sockets import LIMIT, connected, framed
from tests.dns.world import World, make_query
from tests.plugins.transfer.primary import INSIDE, Primary, request, rrs, signed, verified
from tests.waiting import until


class Behind:
    """The plugin's Respond as TcpServer wants it; every client is one inside."""

    def __init__(self, primary: Primary) -> None:
        self.primary = primary

    def respond(self, packet: bytes, now: float, client: str, transport: Transport):  # type: ignore[no-untyped-def]
        return self.primary.respond(packet, now, INSIDE, transport)


@pytest.fixture(name="primary")
def _primary(tmp_path: Path) -> Primary:
    world = World()
    for number in range(1500):
        world.add(f"s-{number % 300}", f"10.0.{number >> 8}.{number & 255}", 80, metadata={"text": "x" * 100})
    return Primary(tmp_path, world)


@contextlib.asynccontextmanager
async def serving(behind: Behind) -> AsyncIterator[TcpServer]:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    tcp = TcpServer(sock, behind.respond, lambda: 0.0, TcpConnections(512, WaitingOctets(2**26)))
    address: tuple[str, int] = sock.getsockname()
    tcp.address = address  # type: ignore[attr-defined]
    await tcp.start()
    try:
        yield tcp
    finally:
        await tcp.deferred.close()
        await tcp.close()


def at(tcp: TcpServer) -> tuple[str, int]:
    address: tuple[str, int] = tcp.address  # type: ignore[attr-defined]
    return address


async def read(reader: asyncio.StreamReader) -> bytes:
    size = int.from_bytes(await asyncio.wait_for(reader.readexactly(2), LIMIT), "big")
    return await asyncio.wait_for(reader.readexactly(size), LIMIT)


@contextlib.asynccontextmanager
async def asking(
    tcp: TcpServer,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, dns.message.QueryMessage]]:
    """A connection on which the query is sent; it takes little before it is read."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, at(tcp))
    reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
    query = signed(request())
    writer.write(framed(query.to_wire()))
    try:
        yield reader, writer, query
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def whole(reader: asyncio.StreamReader, query: dns.message.QueryMessage) -> int:
    """Reads all of it; how many instances there were."""
    wires: list[bytes] = []
    while True:
        wires.append(await read(reader))
        last = rrs(dns.message.from_wire(wires[-1], keyring=False, xfr=True, one_rr_per_rrset=True))
        if last[-1].type == Type.SOA and len(last) > 1:
            break
    records = [rr for message in verified(wires, query) for rr in rrs(message)]
    return len({rr.name for rr in records if rr.type == Type.A and rr.name[0].startswith(b"ip-")})


async def test_it_comes_whole_however_slowly_it_is_read(primary: Primary) -> None:
    async with serving(Behind(primary)) as tcp, asking(tcp) as (reader, _, query):
        assert await whole(reader, query) == 1500
        await until(lambda: primary.plugin.sending.sent == 1)


async def test_no_more_is_made_than_is_read(primary: Primary) -> None:
    made = 0
    messages = primary.plugin.sending.messages

    async def counted(*arguments: object) -> AsyncGenerator[bytes]:
        nonlocal made
        async for message in messages(*arguments):  # type: ignore[arg-type]
            made += 1
            yield message

    primary.plugin.sending.messages = counted  # type: ignore[method-assign,assignment]
    async with serving(Behind(primary)) as tcp, asking(tcp) as (reader, _, query):
        await until(lambda: made >= 2)
        for _ in range(200):
            await asyncio.sleep(0)
        assert made <= 12, "asyncio's 64 KiB, two sockets' buffers, and one that waits"
        assert await whole(reader, query) == 1500
    assert made > 25


async def test_who_does_not_read_is_let_go_and_makes_room(primary: Primary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TCP_IDLE_SECONDS", 0.1)
    async with serving(Behind(primary)) as tcp, asking(tcp):
        await until(lambda: primary.plugin.sending.under_way == 1)
        await until(lambda: primary.plugin.sending.under_way == 0)
        assert primary.plugin.sending.cut_short == 1


async def test_who_reads_something_now_and_then_is_not_idle(primary: Primary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TCP_IDLE_SECONDS", 1.0)
    loop = asyncio.get_running_loop()
    async with serving(Behind(primary)) as tcp, asking(tcp) as (reader, _, _):
        until_then = loop.time() + 1.5
        while loop.time() < until_then:
            await read(reader)
            await asyncio.sleep(0.05)
        assert primary.plugin.sending.cut_short == 0


async def test_who_leaves_makes_room(primary: Primary) -> None:
    async with serving(Behind(primary)) as tcp:
        for _ in range(3):
            async with asking(tcp) as (reader, writer, _):
                await read(reader)
                writer.transport.abort()
            await until(lambda: primary.plugin.sending.under_way == 0)
        assert primary.plugin.sending.cut_short == 3


async def test_other_queries_of_the_connection_are_answered(primary: Primary) -> None:
    """RFC 5936 §4.1.1: they may be pipelined; messages of both come, told apart by their ids."""
    query = signed(request())
    async with serving(Behind(primary)) as tcp, connected(at(tcp)) as client:
        client.send(framed(query.to_wire()))
        for number in range(5):
            client.send(framed(make_query("s-1.svc.local", id=(query.id + 1 + number) & 0xFFFF).to_wire()))
        seen: set[int] = set()
        while len(seen) < 6:
            prefix = await asyncio.wait_for(client._reader.readexactly(2), LIMIT)
            reply = await asyncio.wait_for(client._reader.readexactly(int.from_bytes(prefix, "big")), LIMIT)
            seen.add(int.from_bytes(reply[:2], "big"))
        assert seen == {(query.id + number) & 0xFFFF for number in range(6)}


async def test_what_cannot_go_on_ends_the_connection(primary: Primary) -> None:
    async def cut() -> AsyncGenerator[bytes]:
        yield b"first"
        raise CutShort

    primary.plugin.sending.messages = lambda *arguments: cut()  # type: ignore[method-assign]
    async with serving(Behind(primary)) as tcp, asking(tcp) as (reader, _, _):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                assert await read(reader) == b"first"
        assert reader.at_eof() or reader.exception() is not None


@pytest.mark.parametrize("begun", [False, True])
async def test_a_server_that_stops_stops_its_transfers(primary: Primary, begun: bool) -> None:
    sending = primary.plugin.sending
    async with serving(Behind(primary)) as tcp, asking(tcp):
        if begun:
            await until(lambda: sending.under_way == 1)
        await tcp.deferred.close()
        await until(lambda: sending.under_way == 0)
        await tcp.close()


async def test_more_transfers_than_may_wait_are_not_begun(primary: Primary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("discovery.dns.server.deferred.MAX_DEFERRED", 0)
    async with serving(Behind(primary)) as tcp, asking(tcp) as (_, writer, _):
        query = make_query("s-1.svc.local", id=7)
        writer.write(framed(query.to_wire()))
        async with connected(at(tcp)) as client:
            client.ask("s-1.svc.local", id=8)
            reply = await client.receive()
            assert reply is not None
            assert reply.id == 8
        assert primary.plugin.sending.under_way == 0
