"""UDP on real sockets: answers, silence, bursts, clients that are gone, and the source address of a reply."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import dns.flags
import pytest

from discovery.dns.message.query import Transport
from discovery.dns.message.reason import Reason
from discovery.dns.server import udp as server
from discovery.dns.server.traffic import COLUMNS, TC, Exchange
from discovery.system import datagrams, turns
from tests.dns.sockets import LIMIT, ask_udp, serving, udp_client
from tests.dns.world import World, data, make_query, parsed


@pytest.fixture(name="world")
def _world() -> World:
    world = World()
    world.add("web", "10.0.0.1")
    for number in range(100):
        world.add("many", f"10.1.{number}.1")
    return world


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_query_over_udp_is_answered(world: World, host: str) -> None:
    async with serving(world, host) as served:
        assert data((await ask_udp(served.udp)).answer) == ["10.0.0.1"]


async def test_a_large_answer_over_udp_is_cut_to_512_octets(world: World) -> None:
    async with serving(world) as served:
        reply = await ask_udp(served.udp, "many.svc.local", "SRV")
        assert len(reply.wire or b"") <= 512
        assert reply.flags & dns.flags.TC


@pytest.mark.parametrize(
    ("host", "asked"),
    [("0.0.0.0", "127.0.0.1"), ("0.0.0.0", "127.0.0.2"), ("0.0.0.0", "127.1.2.3"), ("::", "::1")],
)
async def test_on_a_wildcard_address_the_reply_comes_from_the_address_that_was_asked(
    world: World, host: str, asked: str
) -> None:
    async with serving(world, host) as served:
        assert data((await ask_udp((asked, served.udp[1]))).answer) == ["10.0.0.1"]


@pytest.mark.parametrize("most", [1, 2, datagrams.MOST])
@pytest.mark.parametrize("turn", [-1.0, turns.TURN])
async def test_every_query_of_a_flood_is_answered(
    world: World, most: int, turn: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent before the server gets its turn: more than one batch. A turn that is over at once has one query."""
    monkeypatch.setattr(datagrams, "MOST", most)
    monkeypatch.setattr(server, "TURN", turn)
    async with serving(world) as served:
        with udp_client(served.udp) as client:
            for number in range(100):
                client.send(make_query("web.svc.local", id=number).to_wire())
            replies = [
                await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 4096), LIMIT) for _ in range(100)
            ]
    assert sorted(parsed(reply).id for reply in replies) == list(range(100))


async def test_a_query_that_waits_is_answered_between_the_others_of_one_round_of_the_loop(world: World) -> None:
    async with serving(world) as served:
        with udp_client(served.udp) as client:
            client.send(make_query("web.svc.local").to_wire())
            turns.turns().read_urgent()
            assert data(parsed(client.recv(4096)).answer) == ["10.0.0.1"]
    assert not turns.turns().urgent


async def test_garbage_and_empty_datagrams_do_not_stop_it(world: World) -> None:
    async with serving(world) as served:
        with udp_client(served.udp) as client:
            for packet in (
                b"",
                b"x",
                b"\0" * 12,
                b"\xff" * 600,
                bytes(60_000),
                make_query("web.svc.local").to_wire()[:-1],
            ):
                client.send(packet)
        assert data((await ask_udp(served.udp)).answer) == ["10.0.0.1"]


async def test_a_client_that_is_gone_before_its_reply_does_not_stop_it(world: World) -> None:
    async with serving(world) as served:
        for _ in range(20):
            with udp_client(served.udp) as client:
                client.send(make_query("web.svc.local").to_wire())
        assert data((await ask_udp(served.udp)).answer) == ["10.0.0.1"]


@pytest.mark.parametrize("urgently", [False, True])
async def test_a_defect_met_by_one_query_of_a_batch_is_told_and_costs_no_other_anything(
    world: World, urgently: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor whoever has it read between two sockets of his."""
    inner, failed = world.responder.respond, list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failed.append(context["exception"]))
    defect = ZeroDivisionError("of a look-up")

    def respond(packet: bytes, now: float, client: str, way: Transport) -> bytes | Coroutine[Any, Any, bytes] | None:
        if packet[:2] == b"\0\2":
            raise defect
        return inner(packet, now, client, way)

    monkeypatch.setattr(world.responder, "respond", respond)
    async with serving(world) as served:
        with udp_client(served.udp) as client:
            for number in range(5):
                client.send(make_query("web.svc.local", id=number).to_wire())
            if urgently:
                turns.turns().read_urgent()
            replies = [
                await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 4096), LIMIT) for _ in range(4)
            ]
    assert [parsed(reply).id for reply in replies] == [0, 1, 3, 4]
    assert failed == [defect]


async def test_each_query_is_counted_and_shown_once(world: World) -> None:
    """The server has its own way of counting replies that it sends at once."""
    seen = list[Exchange]()
    world.traffic.watch(seen.append)
    async with serving(world) as served:
        with udp_client(served.udp) as client:
            for _ in range(3):
                client.send(make_query("web.svc.local").to_wire())
            client.send(make_query("many.svc.local", "SRV").to_wire())
            client.send(b"x")
        await ask_udp(served.udp, "nobody.svc.local")
    assert [(of.outcome.rcode, of.outcome.reason, of.reply is None) for of in seen] == [
        *[("NOERROR", Reason.ANSWER, False)] * 4,
        ("none", Reason.IGNORED, True),
        ("NXDOMAIN", Reason.UNKNOWN_NAME, False),
    ]
    sent = Counter[str]()
    for outcome in world.traffic.outcomes:
        sent[outcome.rcode] += sum(outcome.sent)
    assert +sent == {"NOERROR": 4, "none": 1, "NXDOMAIN": 1}
    assert sum(outcome.sent[COLUMNS["udp"] | TC] for outcome in world.traffic.outcomes) == 1  # that of many
    assert {exchange.transport for exchange in seen} == {"udp"}


async def test_queries_that_wait_as_it_closes_are_answered(world: World) -> None:
    with contextlib.ExitStack() as stack:
        async with serving(world) as served:
            client = stack.enter_context(udp_client(served.udp))
            for number in range(100):
                client.send(make_query("web.svc.local", id=number).to_wire())
        assert [parsed(client.recv(4096)).id for _ in range(100)] == list(range(100))


async def test_one_that_was_not_started_is_closed_too(world: World) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        await server.UdpServer(sock, world.responder.respond, lambda: 0.0).close()
        assert sock.fileno() == -1


async def test_closing_frees_the_port(world: World) -> None:
    async with serving(world) as served:
        await ask_udp(served.udp)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(served.udp)
