"""TCP on real sockets (RFC 7766): framing in every shape, clients that idle, trickle, flood or never read."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from typing import Any

import dns.flags
import dns.rcode
import pytest
import uvloop

from discovery.dns.server import tcp as server
from discovery.system.sockets import STREAM, bind
from discovery.system.waiting_octets import WaitingOctets
from tests.dns.sockets import Served, ask_udp, connected, framed, serving
from tests.dns.world import World, data, make_query, outcome
from tests.waiting import until


@pytest.fixture(name="world")
def _world() -> World:
    world = World()
    world.add("web", "10.0.0.1")
    for number in range(300):
        world.add("many", f"10.1.{number // 200}.{number % 200}", 4000 + number)
    return world


async def still_works(served: Served) -> None:
    async with connected(served.tcp) as client:
        client.ask()
        reply = await client.receive()
        assert reply is not None
        assert data(reply.answer) == ["10.0.0.1"]
    assert data((await ask_udp(served.udp)).answer) == ["10.0.0.1"]


async def test_a_large_answer_is_whole_over_tcp(world: World) -> None:
    async with serving(world) as served, connected(served.tcp) as client:
        client.ask("many.svc.local", "SRV")
        reply = await client.receive()
        assert reply is not None
        assert len(reply.answer) == len(reply.additional) == 300
        assert not reply.flags & dns.flags.TC


@pytest.mark.parametrize("burst", [1, 7, server.BURST])
async def test_rfc7766_6_2_1_1_pipelined_queries_are_all_answered(
    world: World, burst: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "BURST", burst)
    async with serving(world) as served, connected(served.tcp) as client:
        for number in range(200):
            client.ask(("web", "WEB", "nope")[number % 3] + ".svc.local", id=number)
        replies = [await client.receive() for _ in range(200)]
        assert sorted(reply.id for reply in replies if reply) == list(range(200))
        assert {outcome(reply) for reply in replies if reply and reply.id % 3 == 2} == {"NXDOMAIN"}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 31])
async def test_rfc7766_8_a_message_may_come_in_any_pieces(world: World, size: int) -> None:
    stream = b"".join(framed(make_query("web.svc.local", id=number).to_wire()) for number in range(5))
    loop = asyncio.get_running_loop()
    async with serving(world) as served:
        with socket.create_connection(served.tcp) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            received = b""
            for at in range(0, len(stream), size):
                await loop.sock_sendall(sock, stream[at : at + size])
                await asyncio.sleep(0)
            while len(received) < 5 * (2 + len(world.ask("web.svc.local").wire or b"")):
                received += await asyncio.wait_for(loop.sock_recv(sock, 65535), 60)
        assert received[2:4] == b"\0\0"


async def test_a_length_of_0_meets_silence_and_the_next_query_an_answer(world: World) -> None:
    async with serving(world) as served, connected(served.tcp) as client:
        client.send(b"\0\0" * 1000)
        client.ask(id=7)
        reply = await client.receive()
        assert reply is not None
        assert reply.id == 7


async def test_65535_octets_of_zero_are_a_format_error_and_the_next_query_is_answered(world: World) -> None:
    async with serving(world) as served, connected(served.tcp) as client:
        client.send(framed(bytes(65535)))
        client.ask(id=7)
        first, second = await client.receive(), await client.receive()
        assert first is not None
        assert first.rcode() == dns.rcode.FORMERR
        assert second is not None
        assert data(second.answer) == ["10.0.0.1"]


async def test_a_response_sent_as_a_query_meets_silence(world: World) -> None:
    query = bytearray(make_query("web.svc.local").to_wire())
    query[2] |= 0x80
    async with serving(world) as served, connected(served.tcp) as client:
        client.send(framed(bytes(query)))
        client.ask(id=7)
        reply = await client.receive()
        assert reply is not None
        assert reply.id == 7


START = framed(make_query("web.svc.local").to_wire())


@pytest.mark.parametrize(
    "sent", [b"", b"\0", b"\0\x1f", START[:-1], START], ids=["nothing", "half", "prefix", "part", "whole"]
)
async def test_rfc7766_6_2_3_an_idle_connection_is_closed(
    world: World, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "TCP_IDLE_SECONDS", 0.2)
    async with serving(world) as served, connected(served.tcp) as client:
        client.send(sent)
        if sent == START:
            assert await client.receive() is not None
        assert await client.receive() is None
        await still_works(served)


async def test_a_trickle_of_octets_holds_no_connection_open(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TCP_IDLE_SECONDS", 0.1)

    async with serving(world) as served, connected(served.tcp) as client:

        def trickle() -> bool:
            client.send(b"\xff")
            return client.closed

        await until(trickle)


async def test_beyond_the_maximum_of_all_servers_the_longest_idle_connection_makes_way(world: World) -> None:
    both = server.TcpConnections(3, WaitingOctets(2**26))
    async with (
        serving(world, connections=both) as served,
        serving(world, connections=both) as other,
        contextlib.AsyncExitStack() as stack,
    ):
        first, second, third = [
            await stack.enter_async_context(connected(each.tcp)) for each in (served, other, served)
        ]
        for client in (first, second, third, first):  # so the second has been idle longest
            client.ask()
            assert await client.receive() is not None
        fourth = await stack.enter_async_context(connected(served.tcp))
        assert await second.receive() is None
        for client in (first, third, fourth):
            client.ask()
            assert await client.receive() is not None


async def test_a_burst_of_connections_does_not_get_past_the_maximum(world: World) -> None:
    """All are in the kernel's queue before the server gets its turn."""
    loop = asyncio.get_running_loop()
    async with (
        serving(world, connections=server.TcpConnections(3, WaitingOctets(2**26))) as served,
        contextlib.AsyncExitStack() as stack,
    ):
        socks = [stack.enter_context(socket.create_connection(served.tcp)) for _ in range(30)]
        for sock in socks:
            sock.setblocking(False)
        await still_works(served)  # the queue has been worked off
        open_ones = 0
        for sock in socks:
            with contextlib.suppress(ConnectionError, BrokenPipeError):
                sock.send(START)
        await still_works(served)
        for sock in socks:
            with contextlib.suppress(ConnectionError):
                received = await asyncio.wait_for(loop.sock_recv(sock, 4096), 60)
                open_ones += bool(received)
        assert open_ones <= 3


@pytest.mark.parametrize("burst", [1, server.BURST])
async def test_a_client_that_never_reads_is_not_answered_without_end_and_stops_nobody(
    world: World, burst: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the kernel and one write buffer hold, and no more, whether or not they fill up at the end of a burst."""
    monkeypatch.setattr(server, "BURST", burst)
    queries = framed(make_query("many.svc.local", "SRV").to_wire()) * 400
    async with serving(world, send_buffer=65536) as served:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sock.connect(served.tcp)
            sock.setblocking(False)
            sock.send(queries)
            for _ in range(20):
                await still_works(served)
            assert 0 < world.asked - 40 <= 100


async def test_a_client_that_never_reads_is_dropped_when_its_time_is_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "TCP_IDLE_SECONDS", 0.1)
    queries = framed(make_query("many.svc.local", "SRV").to_wire()) * 400

    def gone() -> bool:
        try:
            sock.send(b"x")
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
        return False

    async with serving(world, send_buffer=65536) as served:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sock.connect(served.tcp)
            sock.setblocking(False)
            sock.send(queries)
            await until(gone)


async def test_a_client_that_reads_late_gets_everything(world: World) -> None:
    async with serving(world, send_buffer=65536) as served, connected(served.tcp) as client:
        for number in range(15):
            client.ask("many.svc.local", "SRV", id=number)
        await still_works(served)
        ids = [reply.id for _ in range(15) if (reply := await client.receive())]
        assert sorted(ids) == list(range(15))


async def test_closing_the_server_ends_its_connections(world: World) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with serving(world) as served:
            client = await stack.enter_async_context(connected(served.tcp))
            client.ask()
            assert await client.receive() is not None
        assert await client.receive() is None


# -- the ends of connections


def test_a_client_that_resets_before_it_is_accepted_is_nobody(world: World) -> None:
    """Then there is no peer any more whose address could be asked for. In the server's own loop: asyncio's knows it all the same."""

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        errors: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda loop, context: errors.append(context))
        stream = socket.create_server(("127.0.0.1", 0))
        stream.setblocking(False)
        tcp = server.TcpServer(
            stream, world.responder.respond, lambda: 0.0, server.TcpConnections(512, WaitingOctets(2**26))
        )

        async def ask_once() -> None:
            async with connected(stream.getsockname()) as client:
                client.ask()
                assert await client.receive()

        await tcp.start()
        await ask_once()
        before = open_files()
        for _ in range(50):  # nothing is accepted meanwhile: this coroutine holds the loop
            with socket.create_connection(stream.getsockname()) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await ask_once()
        await until(lambda: open_files() <= before)
        assert not errors
        await tcp.close()

    uvloop.run(serve())


async def test_queries_that_were_received_before_the_end_are_answered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "FINISH_SECONDS", 60.0)  # on a machine that does other things, too,
    monkeypatch.setattr(
        server, "SILENT_SECONDS", 1.0
    )  # whose kernel hands over the first of them 50 ms before the others
    async with serving(world) as served, connected(served.tcp) as client:
        client.ask(id=999)
        assert await client.receive()
        for number in range(500):
            client.ask(id=number)
        await client.drain()
        closing = asyncio.ensure_future(served.close_tcp())
        replies = [await client.receive() for _ in range(500)]
        assert sorted(reply.id for reply in replies if reply) == list(range(500))
        assert await client.receive() is None, "and then it ends"
        await closing


async def test_a_client_that_never_reads_holds_the_end_up_for_a_moment_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "FINISH_SECONDS", 0.3)
    async with serving(world, send_buffer=4096) as served:
        with socket.create_connection(served.tcp) as sock:
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    sock.send(framed(make_query("many.svc.local", "SRV").to_wire()) * 100)
            await asyncio.wait_for(served.close_tcp(), 60)


async def test_the_backlog_stays_as_it_was_bound(world: World) -> None:
    """More connections at once than asyncio's own backlog of 100 has room for."""
    stream = bind(["127.0.0.1"], 0, [STREAM], "")[0]
    tcp = server.TcpServer(
        stream, world.responder.respond, lambda: 0.0, server.TcpConnections(512, WaitingOctets(2**26))
    )
    await tcp.start()
    try:
        waiting = [socket.socket() for _ in range(300)]
        for sock in waiting:  # nothing is accepted meanwhile: this coroutine holds the loop
            sock.settimeout(60)
            sock.connect(stream.getsockname())
        for sock in waiting:
            sock.close()
    finally:
        await tcp.close()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
