"""A connection: which requests go through aiohttp, in which order answers leave, what is held back and what is left of it."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import time
import weakref
from itertools import count
from unittest.mock import patch

import orjson
import pytest
import uvloop

from discovery.core.caller import UNKNOWN
from discovery.core.instance import Registration
from discovery.rest.api import views
from discovery.rest.api.answers import Answer, Json, Pieces
from discovery.rest.api.requests import Request
from discovery.rest.http import server
from discovery.rest.http.connection import Connection
from discovery.rest.http.framing import Framer
from discovery.rest.http.heads import Heads
from discovery.rest.http.shared import Shared
from discovery.system.turns import TURN
from discovery.system.turns import turns as turns_of_loop
from tests.rest.harness import LIMIT, route, serving
from tests.rest.wire import HEALTH, LAST, RESOLVE, filled, heartbeat, replies, request, statuses, talk

CHUNKED = b"POST /heartbeat HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


async def test_a_thousand_heartbeats_in_a_row_are_answered() -> None:
    async with filled() as api:
        got = replies(await talk(api.port, heartbeat() * 1000 + LAST))
        assert statuses(got) == [200] * 1001
        assert api.registry.renewals == 1000


async def test_after_a_list_the_next_on_the_connection_is_answered() -> None:
    register = request(
        "POST /register", "Content-Type: application/json", body=b'{"name":"a","ip":"10.0.0.1","port":1}'
    )
    listing = request("GET /services")
    for sent in ([register, listing, CHUNKED, heartbeat(), listing, RESOLVE, LAST],):
        async with filled() as api:
            assert statuses(replies(await talk(api.port, *sent))) == [201, 200, 400, 200, 200, 200, 200]


async def test_errors_are_answered_in_their_order() -> None:
    async with filled() as api:
        sent = [
            heartbeat(port="3001"),
            heartbeat(port=4),
            heartbeat("Content-Encoding: x"),
            request("GET /resolve/nobody"),
        ]
        assert statuses(replies(await talk(api.port, *sent, LAST))) == [200, 404, 415, 404, 200]


async def test_however_many_come_behind_one_that_is_chunked() -> None:
    async with filled() as api:
        got = statuses(replies(await talk(api.port, CHUNKED + HEALTH * 100 + LAST)))
        assert got == [400] + [200] * 101


@pytest.mark.parametrize("count", [40, 500])
async def test_many_slow_ones_in_a_row_are_all_answered(count: int) -> None:
    async with filled() as api:
        got = replies(await talk(api.port, HEALTH * count + heartbeat() + LAST))
        assert statuses(got) == [200] * (count + 2)


async def test_a_fast_request_waits_for_the_slow_one_before_it() -> None:
    go = asyncio.Event()

    async def slow(request: Request) -> Answer:
        await go.wait()
        return Answer(200, orjson.dumps({"slow": True}))

    async with serving(routes=[route("/slow", slow)]) as api:
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

    def counted(*args: object) -> Json:
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


@pytest.mark.parametrize("sent", [b"POST /heart", heartbeat()[:60], RESOLVE[:-2], HEALTH[:-2], b""])
async def test_a_server_stops_at_once_while_half_a_head_is_held(sent: bytes) -> None:
    async with asyncio.timeout(2):  # less than SHUTDOWN_SECONDS
        async with filled() as api:
            reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
            writer.write(heartbeat() + sent)
            assert await reader.readuntil(b"}")
        rest = await reader.read()
        assert b"HTTP/1.1" not in rest
        writer.close()


@pytest.mark.parametrize("sent", [heartbeat()[:-1], RESOLVE[:20], HEALTH[:-2]])
async def test_a_client_that_leaves_in_the_middle_harms_nobody(sent: bytes) -> None:
    async with filled() as api:
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", api.port)
            writer.write(sent)
            await asyncio.sleep(0)
            writer.transport.abort()
        assert statuses(replies(await talk(api.port, heartbeat() + LAST))) == [200, 200]


async def test_what_is_urgent_is_read_between_sockets_that_are_readable_connected_or_closed_at_once() -> None:
    looks, reads = count(), asyncio.Queue[None]()
    turns = turns_of_loop()
    turns.clock = lambda: next(looks) * 2 * TURN  # at each look a turn has passed
    turns.urgent.append(lambda: reads.put_nowait(None))
    clients, is_busy = 20, True
    async with filled() as api, asyncio.timeout(LIMIT):
        streams = [await asyncio.open_connection("127.0.0.1", api.port) for _ in range(clients)]
        for _ in streams:
            await reads.get()
        turns.add(lambda: is_busy)  # somebody always waits, so nobody goes ahead
        for _, writer in streams:
            writer.write(heartbeat())
        for _ in streams:
            await reads.get()
        for reader, _ in streams:
            await reader.readuntil(b"timestamp")
        is_busy = False
        for _, writer in streams:
            writer.close()
        for _ in streams:
            await reads.get()


# -- nothing is left of it


async def test_nothing_of_a_connection_is_left_for_the_collector() -> None:
    """Full collections never run (`cli.gc_tuning`), so a circle that has lived for a while is never freed: 2.2 KB a connection."""
    made: list[weakref.ref[Connection]] = []
    parsers: list[weakref.ref[Framer]] = []

    class Watched(Connection):
        def __init__(self, shared: Shared) -> None:
            super().__init__(shared)
            made.append(weakref.ref(self))
            parsers.append(weakref.ref(self._framer))

    sent = [
        [heartbeat(), RESOLVE, HEALTH, request("GET /services"), LAST],
        [
            request("POST /register", "Content-Type: application/json", body=b'{"name":"a","ip":"10.0.0.1","port":1}'),
            LAST,
        ],
        [heartbeat(port=4), request("GET /nothing"), beat_of(b"{"), LAST],
        [b"no http\r\n\r\n"],
        [request("POST /register", "Content-Length: 9999999")],
        [request("POST /heartbeat", "Expect: 100-continue", "Content-Length: 2"), b"{}", LAST],
        [request("GET /health", "Connection: Upgrade", "Upgrade: h2c") + LAST],
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "Connection", Watched)
        async with filled() as api:
            gc.collect()
            gc.disable()
            try:
                for pieces in sent:
                    await talk(api.port, *pieces)
                for unfinished in (heartbeat()[:-1], HEALTH[:-2], b""):
                    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
                    writer.write(HEALTH + unfinished)
                    await asyncio.sleep(0.01)
                    writer.transport.abort()
                async with asyncio.timeout(LIMIT):
                    while any(one() for one in made) or any(one() for one in parsers):  # noqa: ASYNC110  nothing tells of the last reference
                        await asyncio.sleep(0.01)
            finally:
                gc.enable()
    assert len(made) == len(sent) + 3


def beat_of(body: bytes) -> bytes:
    return request("POST /heartbeat", body=body)


# -- what never ends


@pytest.mark.parametrize(
    "endless",
    [
        b"POST /heartbeat HTTP/1.1\r\nHost: a\r\nX-Pad: ", b"GET /", b"GET /health HTTP/1.1\r\nX",
        b"POST /heartbeat HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        b"POST /heartbeat HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
    ],
    ids=["a field", "the target", "a name", "a chunk's extension", "a trailer"],
)  # fmt: skip
async def test_what_never_ends_is_cut_off(endless: bytes) -> None:
    async with filled() as api:
        got = await talk(api.port, endless, *[b"x" * 65536] * 20)
        assert got.startswith((b"HTTP/1.1 400", b"HTTP/1.1 413"))


@pytest.mark.parametrize("filling", [b" ", b"\t", b"a", b" a", b"X: y\r\n"])
def test_no_head_takes_long_to_read(filling: bytes) -> None:
    """A pattern that looks again and again at a stranger's octets held the whole process for seconds."""
    framer = Framer(lambda request: None, Heads())
    head = b"POST /heartbeat HTTP/1.1\r\nHost: a\r\nX:" + (filling * 16000)[:16000] + b"\x80\r\n\r\n"
    began = time.process_time()
    for at in range(0, len(head), 100):
        if not framer.ended:
            framer.feed(head[at : at + 100])
    assert time.process_time() - began < 0.5


# -- how connections begin and end


@pytest.mark.parametrize("sent", [HEALTH, HEALTH + heartbeat() + RESOLVE, RESOLVE], ids=["one", "three", "ours"])
async def test_a_client_that_has_said_all_it_has_to_say_still_gets_its_answers(sent: bytes) -> None:
    """As `nc` and shell scripts do: they close their side behind the last request."""
    async with filled() as api, asyncio.timeout(LIMIT):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(sent)
        writer.write_eof()
        assert statuses(replies(await reader.read())) == [200] * sent.count(b"Host:")
        writer.close()


async def test_a_client_that_is_told_its_body_is_too_long_can_read_why_while_it_still_sends() -> None:
    """Closed with octets unread, the kernel would answer with a reset, and the answer be lost."""
    async with filled() as api:
        got = await talk(api.port, request("POST /register", "Content-Length: 9000000"), *[b" " * 65536] * 10)
        assert statuses(replies(got)) == [413]


async def test_a_client_is_asked_for_its_body_after_the_answers_to_the_requests_before_it() -> None:
    body = b'{"name":"user-service","ip":"127.0.0.1","port":3001}'
    expecting = request("POST /heartbeat", "Expect: 100-continue", f"Content-Length: {len(body)}")
    async with filled() as api:
        for before in (b"", heartbeat(), HEALTH, HEALTH + RESOLVE):
            got = statuses(replies(await talk(api.port, before + expecting, body + LAST)))
            assert got == [200] * before.count(b"Host:") + [100, 200, 200]


async def test_half_an_answer_ends_the_connection() -> None:
    """The next one would be taken for the rest of it."""

    def pieces() -> Pieces:
        yield b"half"
        raise RuntimeError("a bug")

    def breaks(request: Request) -> Answer:
        return Answer(200, pieces())

    async with serving(routes=[route("/breaks", breaks)]) as api:
        got = await talk(api.port, request("GET /breaks") + HEALTH)
        assert got.count(b"HTTP/1.1") == 1
        assert not got.endswith(b"0\r\n\r\n")


async def test_a_thousand_pipelined_requests_are_answered_wherever_they_are_cut() -> None:
    for path in ("/resolve/user-service", "/resolve/a_b-c", "/resolve/kafka"):
        async with filled() as api:
            got = replies(await talk(api.port, request(f"GET {path}") * 1000 + LAST))
            assert statuses(got) == [200] * 1001


async def test_a_registration_with_an_upgrade_is_taken_and_nothing_in_it_is_a_request() -> None:
    """Java's HttpClient asks for h2c with every first request."""
    fields = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAA")
    body = b'{"name":"java","ip":"10.0.0.1","port":1,"metadata":{"text":"GET /health HTTP/1.1"}}'
    async with filled() as api:
        sent = request("POST /register", "Content-Type: application/json", *fields, body=body)
        for cut in (-9, 40):
            assert statuses(replies(await talk(api.port, sent[:cut], sent[cut:] + HEALTH + LAST))) == [201, 200, 200]
        smuggling = request("POST /heartbeat", *fields, body=request("DELETE /instances/user-1"))
        assert statuses(replies(await talk(api.port, smuggling + LAST))) == [400, 200]


async def test_a_client_that_asks_for_an_upgrade_gets_one_answer_and_nobody_else_s() -> None:
    fields = ("Connection: Upgrade", "Upgrade: h2c")
    admin = request("DELETE /instances/user-2", "Authorization: Bearer secret", *fields)
    async with filled() as api:
        await talk(api.port, admin, LAST)
        assert statuses(replies(await talk(api.port, request("GET /health", *fields), LAST))) == [200, 200]


async def test_an_answer_that_cannot_be_begun_is_an_internal_error_and_the_next_is_answered() -> None:
    async with serving(routes=[route("/breaks", lambda request: Answer(999, b"a"))]) as api:
        got = replies(await talk(api.port, request("GET /breaks"), HEALTH + LAST))
        assert statuses(got) == [500, 200, 404]
        assert got[0].body["code"] == "INTERNAL"


def test_a_client_that_resets_before_it_is_looked_up_is_unknown_and_not_nobody() -> None:
    """What it sent is read all the same; nobody is who registered what an older version restored, and is asked no questions."""

    async def reset_at_once() -> None:
        async with serving() as api:
            registered = asyncio.Event()
            api.registry.followers.append(lambda commit: registered.set())
            with socket.socket() as sock:
                sock.setblocking(False)
                sock.connect_ex(
                    ("127.0.0.1", api.port)
                )  # on loopback that is at once; the server has no turn before the reset
                body = b'{"name":"a","ip":"10.0.0.1","port":1}'
                sock.sendall(request("POST /register", "Content-Type: application/json", body=body))
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            async with asyncio.timeout(LIMIT):
                await registered.wait()
            [entry] = api.registry.services["a"].entries.values()
            assert entry.instance.registrant.address == UNKNOWN

    uvloop.run(reset_at_once())


async def test_answers_that_are_there_at_the_same_time_are_sent_in_turns() -> None:
    """As of all who waited for one disk, or for one list to be made."""
    go, sent, in_pass, waiting = asyncio.Event(), list[int](), 0, 0

    async def waits(request: Request) -> Answer:
        nonlocal waiting
        waiting += 1
        await go.wait()
        return Answer(200, orjson.dumps({}))

    def send(connection: Connection, request: Request, answer: Answer) -> None:
        nonlocal in_pass
        in_pass += 1
        end = time.perf_counter() + TURN / 2
        while time.perf_counter() < end:
            pass
        _send(connection, request, answer)

    def next_pass() -> None:
        nonlocal in_pass
        sent.append(in_pass)
        in_pass = 0
        if sum(sent) < 20:
            asyncio.get_running_loop().call_soon(next_pass)

    _send = Connection._send
    async with serving(routes=[route("/waits", waits)]) as api:
        talks = [asyncio.create_task(talk(api.port, request("GET /waits", "Connection: close"))) for _ in range(20)]
        async with asyncio.timeout(LIMIT):
            while waiting < 20:  # noqa: ASYNC110 - the server takes them in its own time
                await asyncio.sleep(0.001)
            with patch.object(Connection, "_send", send):
                go.set()
                next_pass()
                got = await asyncio.gather(*talks)
        assert [statuses(replies(each)) for each in got] == [[200]] * 20
    assert max(sent) <= 5, "two as they come, two in a turn, and one that had begun"
