"""Large bodies on real connections: how long each counts, and that what is counted is what is held."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from discovery.rest.api.answers import Answer
from discovery.rest.api.batches import Batches
from discovery.rest.api.requests import Request
from discovery.rest.api.route import MAX_BODY
from discovery.rest.http import shared
from discovery.rest.http.framing import SLICE, Framer
from discovery.rest.http.heads import Heads
from discovery.rest.http.receiving import Receiving
from discovery.system.budget import Budget
from tests.rest.harness import LIMIT, Api, serving
from tests.rest.wire import HEALTH, LAST, replies, request, statuses
from tests.routes import ROUTER
from tests.waiting import until

SIZE = 40_000
Bodies = Budget[Receiving]
LARGE = request("POST /registrations", body=b"[" + b" " * (SIZE - 2) + b"]")


@pytest.fixture(name="bodies")
def _bodies(monkeypatch: pytest.MonkeyPatch) -> Bodies:
    """Of the server that the test starts."""
    bodies = shared.bodies()
    monkeypatch.setattr(shared, "bodies", lambda: bodies)
    return bodies


class Desk:
    """POST /registrations is answered when `go` is set; `asked` are those that wait."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = asyncio.Event()

    async def registrations(self, _: Batches, request: Request) -> Answer:
        self.asked += 1
        await self.go.wait()
        return Answer(200, json.dumps({"size": len(request.body)}).encode())


@pytest.fixture(name="desk")
async def _desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk()
    monkeypatch.setattr(Batches, "registrations", lambda handlers, request: desk.registrations(handlers, request))
    return desk


@contextlib.asynccontextmanager
async def connected(api: Api, sent: bytes) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    try:
        writer.write(sent)
        yield reader, writer
    finally:
        writer.transport.abort()


async def answers(reader: asyncio.StreamReader) -> list[int]:
    async with asyncio.timeout(LIMIT):
        return statuses(replies(await reader.read()))


async def test_a_body_counts_until_its_request_is_answered(bodies: Bodies, desk: Desk) -> None:
    async with serving() as api, connected(api, LARGE) as (reader, writer):
        await until(lambda: desk.asked == 1)
        assert len(bodies) == SIZE
        desk.go.set()
        writer.write(LAST)
        assert await answers(reader) == [200, 404]
        assert len(bodies) == 0


async def test_it_counts_although_its_client_has_left(bodies: Bodies, desk: Desk) -> None:
    async with serving() as api:
        async with connected(api, LARGE):
            await until(lambda: desk.asked == 1)
        await api.get("/health")
        assert len(bodies) == SIZE
        desk.go.set()
        await until(lambda: len(bodies) == 0)


async def test_those_that_are_worked_on_leave_that_much_less_room_and_are_answered(
    bodies: Bodies, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_most", 2 * SIZE + SIZE // 2)
    async with serving() as api, connected(api, LARGE + LAST) as (one, _), connected(api, LARGE + LAST) as (two, _):
        await until(lambda: desk.asked == 2)
        for cut in (SIZE // 4, SIZE * 3 // 4, -1):
            async with connected(api, LARGE[:cut]) as (third, writer):
                await asyncio.sleep(0)
                writer.write(LARGE[cut:] + LAST)
                assert (await answers(third))[0] == 503
        assert (desk.asked, len(bodies)) == (2, 2 * SIZE)
        desk.go.set()
        assert [await answers(one), await answers(two)] == [[200, 404]] * 2
        await until(lambda: len(bodies) == 0)


@pytest.mark.parametrize("behind", [LARGE[:100], HEALTH[:9], HEALTH + LARGE[:100]], ids=["a body", "a head", "both"])
async def test_what_begins_in_the_last_slice_of_a_body_is_not_taken_for_it(
    bodies: Bodies, desk: Desk, behind: bytes
) -> None:
    async with serving() as api, connected(api, LARGE[:-9]) as (reader, writer):
        await until(lambda: len(bodies) == SIZE - 9)
        writer.write(LARGE[-9:] + behind)
        await until(lambda: desk.asked == 1)
        assert len(bodies) == SIZE
        desk.go.set()
        await until(lambda: len(bodies) == 0)
        writer.write((LARGE if behind == LARGE[:100] else HEALTH + LARGE).removeprefix(behind) + LAST)
        got = await answers(reader)
        assert (got[-1], set(got[:-1])) == (404, {200})
        assert len(bodies) == 0


async def test_a_body_that_is_dropped_does_not_count(bodies: Bodies) -> None:
    """Its request is refused, and only its end is waited for."""
    async with serving() as api:
        sent = LARGE.replace(b"Host: registry", b"Host: registry\r\nOrigin: http://evil.example")
        async with connected(api, sent[:-1]) as (reader, writer):
            await api.get("/health")
            assert len(bodies) == 0
            writer.write(sent[-1:] + LAST)
            assert await answers(reader) == [403, 404]


def test_a_body_in_chunks_of_one_octet_takes_no_more_than_any_other() -> None:
    one = Framer(ROUTER.find, Heads())
    one.feed(request("POST /registrations", "Transfer-Encoding: chunked"))
    chunks = b"1\r\nx\r\n" * (SLICE // 6)
    tracemalloc.start()
    try:
        for _ in range(100):
            one.feed(chunks)
        assert tracemalloc.get_traced_memory()[0] < 2 * one.body_size
    finally:
        tracemalloc.stop()
    assert one.body_size == len(chunks) // 6 * 100 < MAX_BODY


async def test_a_client_that_sends_more_than_is_read_at_once_gets_to_read_why_it_is_refused() -> None:
    """Reading had been paused; with octets unread, the kernel would answer with a reset."""
    async with serving() as api:
        sent = request("POST /register", "Content-Length: 9000000") + b" " * 4_000_000
        async with connected(api, HEALTH + sent) as (reader, writer):
            got = await answers(reader)
            assert got == [200, 413]
            await writer.drain()
