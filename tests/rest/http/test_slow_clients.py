"""Clients that take their time, and too many of them: who is cut off, who is not, and what they are told.

The times are shortened; whoever is to be cut off is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import tracemalloc
from collections.abc import AsyncIterator

import orjson
import pytest

from discovery.core.instance import Registration
from discovery.rest.api.answers import Answer
from discovery.rest.api.requests import Request
from discovery.rest.http import connection, receiving
from discovery.rest.http.connections import Connections
from discovery.rest.http.phase_timer import SECONDS, Phase
from tests.rest import harness
from tests.rest.harness import LIMIT, Api, route, serving
from tests.rest.wire import HEALTH, LAST, RESOLVE, Got, filled, heartbeat, replies, request, statuses
from tests.waiting import until

# Seconds, instead of 10, 30 and 31.
HEAD, BODY, READ = 0.1, 0.5, 1.0
# The address space of loopback is wide enough for more than one client.
ELSEWHERE = "127.0.0.2"

REGISTER = request(
    "POST /register", "Content-Type: application/json", body=b'{"name": "late", "ip": "10.0.0.9", "port": 80}'
)
BEAT = heartbeat()
# What has come of a request when the client stops, and which part of it is then late.
UNFINISHED = [
    (b"", "head"),
    (b"PO", "head"),
    (BEAT[:60], "head"),
    (RESOLVE[:30], "head"),
    (HEALTH[:20], "head"),
    (REGISTER[: REGISTER.index(b"\r\n\r\n") + 2], "head"),
    (REGISTER[: REGISTER.index(b"{")], "body"),
    (REGISTER[:-9], "body"),
    (b"POST /register HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{", "body"),
]


@pytest.fixture(autouse=True)
async def _short(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for whoever is not to be cut off (`unhurried`). Nobody is late because the process was not run for a while."""
    clock = asyncio.get_running_loop().time
    monkeypatch.setattr(connection, "monotonic", clock)
    monkeypatch.setattr(receiving, "monotonic", clock)
    if "unhurried" not in request.fixturenames:
        for phase, seconds in ((Phase.HEAD, HEAD), (Phase.BODY, BODY), (Phase.READ, READ)):
            monkeypatch.setitem(SECONDS, phase, seconds)


@pytest.fixture(name="unhurried")
def _unhurried() -> None:
    """The times as they are."""


unhurried = pytest.mark.usefixtures("unhurried")


@pytest.fixture(name="limits", params=[3])
def _limits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Connections:
    """Of every server that the test starts: so many connections for each address."""
    limits = Connections(1000, request.param)
    monkeypatch.setattr(harness, "Connections", lambda *_: limits)
    return limits


@pytest.fixture(name="served")
async def _served() -> AsyncIterator[Api]:
    async with filled() as api:
        yield api


def now() -> float:
    """As the server has it."""
    return asyncio.get_running_loop().time()


class Client:
    """One connection; `received` is all that came, `closed` is true when the server has ended it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.received = bytearray()
        self._reading = asyncio.ensure_future(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while octets := await reader.read(65536):
                self.received += octets

    def send(self, octets: bytes) -> None:
        self._writer.write(octets)

    @property
    def closed(self) -> bool:
        return self._reading.done()

    def replies(self) -> list[Got]:
        return replies(bytes(self.received))

    async def answered(self, count: int) -> list[Got]:
        """Once so many answers have come."""
        async with asyncio.timeout(LIMIT):
            while bytes(self.received).count(b"HTTP/1.1 ") < count or not self.received.endswith(b"}"):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        return self.replies()

    async def ended(self) -> list[Got]:
        """Once the server has closed the connection."""
        await asyncio.wait_for(asyncio.shield(self._reading), LIMIT)
        return self.replies()

    def leave(self) -> None:
        self._reading.cancel()
        self._writer.transport.abort()


@contextlib.asynccontextmanager
async def connected(api: Api, sent: bytes = b"", address: str = "127.0.0.1") -> AsyncIterator[Client]:
    client = Client(*await asyncio.open_connection("127.0.0.1", api.port, local_addr=(address, 0)))
    try:
        client.send(sent)
        yield client
    finally:
        client.leave()


def assert_too_slow(got: Got, part: str) -> None:
    assert got.status == 408
    assert dict(got.headers) | {"content-length": ""} == {
        "connection": "close",
        "content-type": "application/json",
        "content-length": "",
        "vary": "Origin",
    }
    assert got.body["code"] == "REQUEST_TIMEOUT"
    assert got.body["error"] == "Request Timeout"
    assert f"The {part} of a request" in got.body["message"]


# -- slow to send


async def test_a_request_that_does_not_get_on_is_told_so_and_cut_off(served: Api) -> None:
    before = served.state()

    async def unfinished(sent: bytes, part: str) -> None:
        begun = now()
        async with connected(served, sent) as client:
            [got] = await client.ended()
        assert now() - begun > (HEAD if part == "head" else BODY) * 0.9, sent
        assert_too_slow(got, part)

    await asyncio.gather(*(unfinished(*row) for row in UNFINISHED))
    assert served.state() == before


async def test_so_is_a_second_request_of_a_connection_that_was_quick_at_first(served: Api) -> None:
    async def unfinished(sent: bytes, part: str) -> None:
        async with connected(served, BEAT + RESOLVE) as client:
            await client.answered(2)
            client.send(sent)
            *_, got = await client.ended()
            assert_too_slow(got, part)

    await asyncio.gather(*(unfinished(*row) for row in UNFINISHED if row[0]))


async def test_a_head_in_one_octet_at_a_time_wins_no_time(served: Api) -> None:
    """Slowloris: each octet is a sign of life, but of no request."""

    async def drip(whole: bytes) -> None:
        async with connected(served) as client:
            begun, head, sent = now(), whole.partition(b"\r\n\r\n")[0] + b"\r\nX: " + b"x" * 1000, 0
            while not client.closed:
                client.send(head[sent : sent + 1])
                sent += 1
                await asyncio.sleep(HEAD / 20)
            assert now() - begun > HEAD * 0.9
            assert sent < 100, "twenty where nobody else uses the machine, fewer where somebody does"
            [got] = client.replies()
            assert_too_slow(got, "head")

    await asyncio.gather(*map(drip, (BEAT, RESOLVE, HEALTH, REGISTER)))


async def test_a_body_in_one_octet_at_a_time_wins_no_time(served: Api) -> None:
    length = 100_000
    async with connected(served, request("POST /register", f"Content-Length: {length}")) as client:
        begun, sent = now(), 0
        while not client.closed:
            client.send(b" ")
            sent += 1
            await asyncio.sleep(BODY / 20)
        assert now() - begun > BODY * 0.9
        assert sent < 100, "twenty where nobody else uses the machine, fewer where somebody does"
        [got] = client.replies()
        assert_too_slow(got, "body")


async def test_a_handler_is_not_asked_before_the_body_is_whole() -> None:
    asked = 0

    async def reads(request: Request) -> Answer:
        nonlocal asked
        asked += 1
        return Answer(200, orjson.dumps({"size": len(request.body)}))

    async with serving(routes=[route("/reads", reads, "POST")]) as api, connected(api) as client:
        client.send(request("POST /reads", body=b"x" * 50) + request("POST /reads", "Content-Length: 100") + b"x" * 50)
        whole, late = await client.ended()
        assert whole.body == {"size": 50}
        assert_too_slow(late, "body")
    assert asked == 1


@unhurried
async def test_a_request_that_comes_in_time_is_answered_however_many_pieces_it_has(served: Api) -> None:
    async with connected(served) as client:
        for whole in (BEAT, RESOLVE, HEALTH, REGISTER):
            for at in range(0, len(whole), 20):
                client.send(whole[at : at + 20])
                await asyncio.sleep(0)
        got = await client.answered(4)
        assert statuses(got) == [200, 200, 200, 201]


async def test_a_body_may_take_longer_than_a_head(served: Api) -> None:
    async with connected(served, REGISTER[:-5]) as client:
        await asyncio.sleep(HEAD * 2)
        client.send(REGISTER[-5:])
        assert statuses(await client.answered(1)) == [201]


async def test_what_the_server_takes_is_not_the_client_s_time() -> None:
    async def slow(request: Request) -> Answer:
        await asyncio.sleep(BODY * 1.2)
        return Answer(200, orjson.dumps({}))

    async with serving(routes=[route("/slow", slow, "POST")]) as api, connected(api) as client:
        client.send(request("POST /slow", body=b"{}"))
        assert statuses(await client.answered(1)) == [200]
        assert not client.closed


# -- idle


@pytest.mark.parametrize("first", [BEAT, HEALTH], ids=["beat", "health"])
async def test_an_idle_connection_is_kept_for_as_long_as_clients_beat_and_longer(served: Api, first: bytes) -> None:
    assert SECONDS[Phase.IDLE] == 60
    async with connected(served, first) as client:
        await client.answered(1)
        await asyncio.sleep(BODY)
        assert not client.closed
        for number in range(3):
            client.send(first)
            await client.answered(2 + number)
            await asyncio.sleep(HEAD)
        assert not client.closed
        client.send(LAST)
        assert statuses(await client.ended()) == [200] * 5


@pytest.mark.parametrize("behind", [b"", HEALTH[:9]], ids=["nothing", "part of a head"])
async def test_it_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch, behind: bytes) -> None:
    monkeypatch.setitem(SECONDS, Phase.IDLE, 0.3)
    async with filled() as api, connected(api, HEALTH + behind) as client:
        assert statuses(await client.ended())[0] == 200


# -- pipelining


async def test_pipelined_requests_that_take_longer_than_a_head_may_are_all_answered(served: Api) -> None:
    async with connected(served) as client:
        begun, sent = now(), 0
        while now() - begun < 2 * HEAD:
            client.send(BEAT + RESOLVE + HEALTH)
            sent += 3
            await asyncio.sleep(HEAD / 10)
        client.send(LAST)
        assert statuses(await client.ended()) == [200] * (sent + 1)


@unhurried
async def test_a_thousand_at_once_are_all_answered(served: Api) -> None:
    async with connected(served, (BEAT + RESOLVE + HEALTH) * 333 + LAST) as client:
        assert statuses(await client.ended()) == [200] * 1000


# -- slow to read

SERVICES = request("GET /services")
SIZE = 6000


def fill(api: Api) -> None:
    """GET /services has 8 MB. The kernel's buffers take 4 at the most."""
    for number in range(SIZE):
        spec = Registration.of(f"big-{number}", "10.0.0.1", 80, metadata={"text": "x" * 1000})
        api.registry.register(spec, api.clock.now, api.clock.wall())


@contextlib.asynccontextmanager
async def deaf(api: Api, sent: bytes, buffer: int | None = 4096) -> AsyncIterator[socket.socket]:
    """A client that reads only when it is asked to. `buffer`: octets that its kernel holds for it."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        if buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", api.port))
        await loop.sock_sendall(sock, sent)
        yield sock


@pytest.mark.parametrize("limits", [100], indirect=True)
async def test_a_client_that_does_not_read_is_cut_off_and_what_it_asked_for_is_freed(limits: Connections) -> None:
    async with serving() as api:
        fill(api)
        await api.get("/health")
        gc.collect()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            async with contextlib.AsyncExitStack() as clients:
                for _ in range(4):
                    await clients.enter_async_context(deaf(api, SERVICES))
                await until(lambda: len(limits) == 5)
                await until(lambda: len(limits) == 1)
                gc.collect()
                held, most = (size - before for size in tracemalloc.get_traced_memory())
        finally:
            tracemalloc.stop()
        assert most < 7 * 2**20, "of 8 each; the first 4 for all, to see that it is too long to be kept"
        assert held < 2**19


async def test_answers_of_our_own_that_nobody_reads_end_the_same_way(limits: Connections) -> None:
    async with serving() as api:
        await api.register(metadata={"text": "x" * 15_000})
        async with deaf(api, request("GET /resolve/user-service") * 1000):
            await until(lambda: len(limits) == 2)
            await until(lambda: len(limits) == 1)


async def test_a_client_that_reads_slowly_but_reads_gets_all_of_it() -> None:
    """The kernel asks for more when a third of what it holds has gone."""
    loop, received, begun = asyncio.get_running_loop(), bytearray(), now()
    async with serving() as api:
        fill(api)
        async with deaf(api, request("GET /services", "Connection: close"), None) as sock:
            async with asyncio.timeout(LIMIT):
                while octets := await loop.sock_recv(sock, 65536):
                    received += octets
                    await asyncio.sleep(READ / 60)
    assert now() - begun > 1.2 * READ
    [got] = replies(bytes(received))
    assert (got.status, got.body["totalServices"], len(got.body["services"])) == (200, SIZE, SIZE)


# -- too many


@unhurried
async def test_the_newcomer_gets_in_and_the_longest_silent_goes(limits: Connections) -> None:
    async with serving() as api, contextlib.AsyncExitStack() as stack:
        first, second, third = [
            await stack.enter_async_context(connected(api, sent, ELSEWHERE)) for sent in (HEALTH, b"", HEALTH)
        ]
        await first.answered(1)
        await third.answered(1)
        async with connected(api, HEALTH, ELSEWHERE) as newcomer:
            await newcomer.answered(1)
            assert await second.ended() == []
            assert not any((first.closed, third.closed))
            async with connected(api, HEALTH, ELSEWHERE) as another:
                await another.answered(1)
                assert len(await first.ended()) == 1
                assert not any((third.closed, newcomer.closed))
        assert (limits.made_way, limits.refused) == (2, 0)


@pytest.fixture(name="held")
def _held() -> asyncio.Event:
    """Holds back the answers of GET /held."""
    return asyncio.Event()


@contextlib.asynccontextmanager
async def all_busy(held: asyncio.Event) -> AsyncIterator[tuple[Api, list[Client]]]:
    asked = 0

    async def hold(request: Request) -> Answer:
        nonlocal asked
        asked += 1
        await held.wait()
        return Answer(200, orjson.dumps({"held": True}))

    async with serving(routes=[route("/held", hold)]) as api, contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(api, request("GET /held"), ELSEWHERE)) for _ in range(3)]
        await until(lambda: asked == 3)
        yield api, clients


@unhurried
async def test_while_all_are_busy_the_newcomer_is_told_so_and_nobody_is_cut_off(
    limits: Connections, held: asyncio.Event
) -> None:
    async with all_busy(held) as (api, clients):
        async with connected(api, b"", ELSEWHERE) as newcomer:
            [got] = await newcomer.ended()
        assert got.status == 503
        assert got.body["code"] == "TOO_MANY_CONNECTIONS"
        assert got.body["retryAfter"] == 1
        assert dict(got.headers)["connection"] == "close"
        assert dict(got.headers)["content-type"] == "application/json"
        assert (limits.made_way, limits.refused, len(limits)) == (0, 1, 3)
        held.set()
        for client in clients:
            assert [one.body for one in await client.answered(1)] == [{"held": True}]


@unhurried
async def test_others_have_their_own_allowance(limits: Connections, held: asyncio.Event) -> None:
    async with all_busy(held) as (api, _):
        for sent in (HEALTH, HEALTH, HEALTH):
            async with connected(api, sent) as other:
                assert statuses(await other.answered(1)) == [200]
        assert limits.refused == 0
        held.set()


@unhurried
async def test_a_busy_one_that_has_been_answered_is_idle_again(limits: Connections, held: asyncio.Event) -> None:
    async with all_busy(held) as (api, clients):
        held.set()
        for client in clients:
            await client.answered(1)
        async with connected(api, HEALTH, ELSEWHERE) as newcomer:
            assert statuses(await newcomer.answered(1)) == [200]
        assert (limits.made_way, limits.refused) == (1, 0)


@unhurried
@pytest.mark.parametrize("sent", [b"", BEAT[:40], HEALTH[:20]], ids=["nothing", "beat", "health"])
async def test_a_hundred_slow_ones_of_an_address_keep_none_of_its_heartbeats_out(
    limits: Connections, sent: bytes
) -> None:
    async with filled() as api, contextlib.AsyncExitStack() as stack:
        for _ in range(100):
            await stack.enter_async_context(connected(api, sent, ELSEWHERE))
            async with connected(api, BEAT, ELSEWHERE) as beating:
                assert statuses(await beating.answered(1)) == [200]
        assert len(limits) <= 4


async def test_a_fast_client_is_not_late_because_each_piece_it_sends_ends_in_a_head(
    served: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = 1.0
    monkeypatch.setitem(SECONDS, Phase.HEAD, head)
    async with connected(served, BEAT[:40]) as client:
        begun, sent = now(), 0
        while now() - begun < 1.5 * head:
            client.send(BEAT[40:] + BEAT[:40])
            sent += 1
            await client.answered(sent)
            await asyncio.sleep(head / 50)
        client.send(BEAT[40:] + LAST)
        assert statuses(await client.ended()) == [200] * (sent + 2)


async def test_time_between_two_requests_counts_from_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SECONDS, Phase.IDLE, 1.5)

    async def slow(request: Request) -> Answer:
        await asyncio.sleep(1.3)
        return Answer(200, orjson.dumps({}))

    async with serving(routes=[route("/slow", slow)]) as api, connected(api, request("GET /slow")) as client:
        await client.answered(1)
        await asyncio.sleep(0.3)
        client.send(request("GET /health", "Connection: close"))
        assert statuses(await client.ended()) == [200, 200]


async def test_a_client_that_reads_answer_after_answer_has_time_for_each() -> None:
    """What waits of one is written while the next is made, so the client never has read everything."""
    loop, received, begun = asyncio.get_running_loop(), bytearray(), now()
    async with serving(max_instances=1000) as api:
        for port in range(1, 100):
            spec = Registration.of("big", "10.0.0.1", port, metadata={"text": "x" * 15_000})
            api.registry.register(spec, api.clock.now, api.clock.wall())
        sent = request("GET /resolve/big") * 12 + request("GET /resolve/big", "Connection: close")
        async with deaf(api, sent, None) as sock, asyncio.timeout(LIMIT):
            while octets := await loop.sock_recv(sock, 65536):
                received += octets
                await asyncio.sleep(READ / 100)
    assert now() - begun > 2 * READ
    assert statuses(replies(bytes(received))) == [200] * 13
