"""The fast lane's place on a connection: what it takes and when, what it holds and what it keeps."""

from __future__ import annotations

import asyncio
import time
import tracemalloc

import pytest
from aiohttp import web

from discovery.core.caller import Caller
from discovery.core.instance import Registration
from discovery.rest.api import views
from discovery.rest.api.handlers import Handlers
from discovery.rest.http.fast import FastLane
from tests.rest.harness import LIMIT, ORIGIN, serving
from tests.rest.wire import HEALTH, LAST, RESOLVE, filled, heartbeat, replies, request, statuses, talk

CHUNKED = b"POST /heartbeat HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


@pytest.fixture(name="taken")
def _taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for every request that the fast lane has answered."""
    taken: list[str] = []
    heartbeat_at_once, resolve_at_once = Handlers.heartbeat_at_once, Handlers.resolve_at_once

    def heartbeat(self: Handlers, body: bytes, caller: Caller) -> bytes | None:
        answer = heartbeat_at_once(self, body, caller)
        taken.extend(["heartbeat"] * (answer is not None))
        return answer

    def resolve(self: Handlers, name: bytes, caller: Caller) -> bytes | None:
        answer = resolve_at_once(self, name, caller)
        taken.extend(["resolve"] * (answer is not None))
        return answer

    monkeypatch.setattr(Handlers, "heartbeat_at_once", heartbeat)
    monkeypatch.setattr(Handlers, "resolve_at_once", resolve)
    return taken


async def test_a_thousand_heartbeats_in_a_row_are_all_answered_there(taken: list[str]) -> None:
    async with filled(lane=True) as api:
        got = replies(await talk(api.port, heartbeat() * 1000 + LAST))
        assert statuses(got) == [200] * 1001
        assert taken == ["heartbeat"] * 1000
        assert api.registry.renewals == 1000


async def test_a_request_in_two_packets_is_answered_there(taken: list[str]) -> None:
    whole = heartbeat()
    async with filled(lane=True) as api:
        for at in (30, len(whole) - 60, len(whole) - 1):
            assert statuses(replies(await talk(api.port, whole[:at], whole[at:] + LAST))) == [200, 200]
    assert taken == ["heartbeat"] * 3


async def test_usual_requests_are_taken_and_others_are_not(taken: list[str]) -> None:
    async with filled(lane=True) as api:
        await talk(api.port, heartbeat() + RESOLVE + HEALTH + heartbeat(port="3001") + RESOLVE + LAST)
        assert taken[:2] == ["heartbeat", "resolve"]
        await talk(api.port, heartbeat(f"Origin: {ORIGIN}"), heartbeat("Sec-Fetch-Site: none"), LAST)
        assert "heartbeat" not in taken[1:]


@pytest.mark.parametrize("lane", [True, False])
async def test_however_many_come_behind_one_that_only_aiohttp_can_measure(lane: bool) -> None:
    """aiohttp takes in 32 at a time and asks itself for more with an empty `data_received`."""
    async with filled(lane) as api:
        got = statuses(replies(await talk(api.port, CHUNKED + HEALTH * 100 + LAST)))
        assert got == [400] + [200] * 101


@pytest.mark.parametrize("count", [40, 500])
async def test_many_slow_ones_in_a_row_are_all_answered(count: int) -> None:
    async with filled(lane=True) as api:
        got = replies(await talk(api.port, HEALTH * count + heartbeat() + LAST))
        assert statuses(got) == [200] * (count + 2)


async def test_a_fast_request_waits_for_the_slow_one_before_it() -> None:
    go = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        await go.wait()
        return web.json_response({"slow": True})

    async with serving(routes=[web.get("/slow", slow)]) as api:
        await api.register()
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        async with asyncio.timeout(LIMIT):
            writer.write(request("GET /slow"))
            for _ in range(10):
                await asyncio.sleep(0)
            writer.write(heartbeat() + RESOLVE)
            await api.get("/health")  # a whole exchange of others in between
            go.set()
            writer.write(LAST)
            got = replies(await reader.read())
        writer.close()
        assert [next(iter(one.body)) for one in got[:3]] == ["slow", "message", "serviceName"]
        assert len(got) == 4


async def test_replies_nobody_reads_stop_the_work() -> None:
    """Every reply here is 100 KB: a client that asks and never reads must not fill the memory with answers."""
    shown = 0
    resolved = views.resolved

    def counted(*args: object) -> views.Json:
        nonlocal shown
        shown += 1
        return resolved(*args)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(views, "resolved", counted)
        async with serving() as api:
            for port in range(1, 8):
                spec = Registration.of("big", "10.0.0.1", port, metadata={"text": "x" * 15_000})
                api.registry.register(spec, api.clock.now, api.clock.wall())
            _, writer = await asyncio.open_connection("127.0.0.1", api.port)
            writer.write(request("GET /resolve/big") * 1000)
            for _ in range(100):
                await api.get("/health")
            writer.transport.abort()
            await api.get("/health")
    assert shown / 7 < 500, "of 1,000 asked for, what the kernel's buffers hold and a little more"


@pytest.mark.parametrize("sent", [b"POST /heart", heartbeat()[:60], heartbeat()[:-1], RESOLVE[:-2], HEALTH[:-2], b""])
async def test_a_server_stops_at_once_while_half_a_request_is_held(sent: bytes) -> None:
    async with asyncio.timeout(2):  # less than SHUTDOWN_SECONDS
        async with filled(lane=True) as api:
            reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
            writer.write(heartbeat() + sent)
            assert await reader.readuntil(b"}")
        rest = await reader.read()
        assert b"HTTP/1.1" not in rest
        writer.close()


@pytest.mark.parametrize("sent", [heartbeat()[:-1], RESOLVE[:20], HEALTH[:-2]])
async def test_a_client_that_leaves_in_the_middle_harms_nobody(sent: bytes) -> None:
    async with filled(lane=True) as api:
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", api.port)
            writer.write(sent)
            await asyncio.sleep(0)
            writer.transport.abort()
        assert statuses(replies(await talk(api.port, heartbeat() + LAST))) == [200, 200]


# -- alone


def a_lane() -> FastLane:
    return FastLane(
        lambda body, caller: b'{"beat":true}',
        lambda name, caller: None if name == b"nobody" else b'{"name":"' + name + b'"}',
    )


@pytest.mark.parametrize("sent", [heartbeat(), RESOLVE], ids=["heartbeat", "resolve"])
def test_it_asks_for_more_until_the_request_is_whole_and_takes_no_octet_of_the_next(sent: bytes) -> None:
    lane = a_lane()
    first_line = sent.index(b"\r\n") + 2
    for size in range(first_line, len(sent)):
        assert lane.take(sent[:size], "127.0.0.1") == (None, 0)
    for more in (b"", b"\r\n", b"GET", sent):
        reply, size = lane.take(sent + more, "127.0.0.1")
        assert reply is not None
        assert size == len(sent)
        assert lane.size(sent + more) == len(sent)


def test_what_it_does_not_take_it_can_still_measure() -> None:
    lane = a_lane()
    for sent in (HEALTH, request("GET /resolve/nobody"), request("POST /register", body=b"{}"), heartbeat("Origin: x")):
        assert lane.take(sent, "127.0.0.1")[0] is None
        assert lane.size(sent + b"more") == len(sent)
    assert lane.size(CHUNKED) is None
    assert lane.size(HEALTH[:-1]) is None


def test_what_never_ends_is_not_held_for_ever() -> None:
    endless = b"POST /heartbeat HTTP/1.1\r\nX-Pad: " + b"x" * 20_000
    assert a_lane().take(endless, "127.0.0.1") != (None, 0)
    large = request("POST /heartbeat", "Content-Length: 999999999")
    assert a_lane().take(large, "127.0.0.1") != (None, 0)


@pytest.mark.parametrize("pad", [100, 60_000])
def test_the_heads_that_are_remembered_are_bounded_in_number_and_size(pad: int) -> None:
    """4,096 of at most 8 KiB; a head of 60 KB is nobody's usual one."""
    lane = a_lane()
    tracemalloc.start()
    try:
        for number in range(20_000 if pad == 100 else 400):
            sent = request("GET /resolve/user-service", f"X-Pad: {number:x}{'x' * pad}")
            lane.take(sent, "127.0.0.1")
            lane.size(sent)
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept < 4_000_000


@pytest.mark.parametrize("filling", [b" ", b"\t", b"a", b" a"], ids=["blanks", "tabs", "letters", "both"])
def test_no_head_takes_long_to_read(filling: bytes) -> None:
    """A pattern that looks again and again at a stranger's octets held the whole process for seconds."""
    head = b"POST /heartbeat HTTP/1.1\r\nHost: a\r\nX:" + (filling * 8000)[:8000] + b"\x80\r\n\r\n"
    lane, began = a_lane(), time.process_time()
    lane.take(head, "127.0.0.1")
    lane.size(head)
    assert time.process_time() - began < 0.05
