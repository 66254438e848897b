"""Answers that are held, on real connections: long polls and streams with and without aiohttp before them, and clients that go away."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from discovery.core.caller import Caller, Grants
from discovery.core.errors import Unauthorized
from discovery.rest.api.requests import Request
from discovery.rest.http import phase_timer
from discovery.rest.http.connections import Connections
from discovery.rest.http.phase_timer import Phase
from discovery.rest.watch import streams
from tests.rest.harness import LIMIT, ORIGIN, USER, Api, serving
from tests.rest.watch.making import messages
from tests.rest.wire import filled, request
from tests.waiting import until

RESOLVE = "GET /resolve/user-service?wait=60s&index="


class Talk:
    """A client on a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, line: str, *fields: str) -> None:
        self.writer.write(request(line, *fields))

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers with names in lower case, body."""
        async with asyncio.timeout(LIMIT):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, body

    async def rest(self) -> bytes:
        async with asyncio.timeout(LIMIT):
            return await self.reader.read()


@asynccontextmanager
async def talking(api: Api) -> AsyncIterator[Talk]:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    try:
        yield Talk(reader, writer)
    finally:
        writer.transport.abort()


def watchers(api: Api) -> int:
    [watch] = {follow.__self__ for follow in api.registry.index_followers if hasattr(follow, "__self__")}
    return len(watch.watchers)


async def held(api: Api, count: int = 1) -> None:
    await until(lambda: watchers(api) == count)


async def test_a_long_poll_is_answered_when_the_service_changes_and_the_connection_goes_on() -> None:
    async with filled() as api, talking(api) as talk:
        talk.send(f"{RESOLVE}{api.registry.index}", f"Origin: {ORIGIN}")
        await held(api)
        await api.register(port=3009)
        status, headers, body = await talk.answer()
        assert (status, json.loads(body)["instanceCount"]) == (200, 3)
        assert headers["x-registry-index"] == str(api.registry.index)
        assert headers["access-control-allow-origin"] == ORIGIN
        talk.send("GET /health")
        assert (await talk.answer())[0] == 200
        await held(api, 0)


async def test_a_wait_for_anything_ends_in_the_list_with_an_index_that_misses_nothing() -> None:
    async with filled() as api:
        index = api.registry.index
        waiting = asyncio.ensure_future(api.get(f"/services?wait=60s&index={index}&tag=blue"))
        await held(api)
        await api.register(name="new", tags=["blue"])
        reply = await waiting
        assert set(reply.body["services"]) == {"user-service", "new"}
        assert reply.headers["X-Registry-Index"] == str(index + 1)


async def test_if_none_match_and_head_hold_for_what_waited_too() -> None:
    async with filled() as api, talking(api) as talk:
        known = (await api.get("/resolve/user-service")).headers["ETag"]
        talk.send(f"{RESOLVE}{api.registry.index}".replace("60s", "20ms"), f"If-None-Match: {known}")
        status, headers, body = await talk.answer()
        assert (status, headers["etag"], body) == (304, known, b"")
        talk.send(f"{RESOLVE}0".replace("GET", "HEAD"))
        head = await talk.reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head
        talk.send("GET /health")
        assert (await talk.answer())[0] == 200


@pytest.mark.parametrize("how", ["close", "half close", "reset", "with more to ask"])
@pytest.mark.parametrize("path", [f"{RESOLVE}%d", "GET /services?index=%d", "GET /events"])
async def test_one_who_goes_is_dropped_at_once(how: str, path: str) -> None:
    async with filled() as api, talking(api) as talk:
        talk.send(path % api.registry.index if "%" in path else path)
        await held(api)
        if how == "with more to ask":
            talk.send("GET /health")
            await api.get("/health")  # it has come by now
            talk.writer.close()
        elif how == "half close":
            talk.writer.write_eof()
        elif how == "reset":
            talk.writer.transport.abort()
        else:
            talk.writer.close()
        await held(api, 0)
        assert (await api.get("/health")).status == 200


async def test_a_stream_says_what_happens_until_the_client_goes() -> None:
    async with filled() as api, talking(api) as talk:
        talk.send("GET /events?service=user-service", f"Origin: {ORIGIN}", f"Last-Event-ID: {api.registry.index - 1}")
        head = (await talk.reader.readuntil(b"\r\n\r\n")).decode().lower()
        for field in (
            "content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no", "connection: close",
            "x-registry-index: ", f"access-control-allow-origin: {ORIGIN}", "x-content-type-options: nosniff", "date: ",
        ):  # fmt: skip
            assert field in head
        await api.post("/heartbeat", USER)
        await api.delete("/instances/user-1")
        octets = b""
        async with asyncio.timeout(LIMIT):
            while not messages(octets):
                octets += await talk.reader.read(65536)
        [(event, id, data)] = messages(octets)
        assert (event, id, data["kind"], data["before"]["id"]) == (
            "message", api.registry.index, "deregistered", "user-1",
        )  # fmt: skip


@pytest.mark.parametrize(("path", "said"), [("/events", "200"), ("/resolve/user-service?index=%d", "no answer")])
async def test_a_stream_whose_client_goes_was_answered_and_a_wait_was_not(
    caplog: pytest.LogCaptureFixture, path: str, said: str
) -> None:
    caplog.set_level(logging.DEBUG, "discovery.requests")
    async with filled() as api, talking(api) as talk:
        talk.send(f"GET {path}".replace("%d", str(api.registry.index)))
        await held(api)
        talk.writer.close()
        await held(api, 0)
        line = f"GET {path.partition('?')[0]} -> {said}, "
        await until(lambda: any(line in record.getMessage() for record in caplog.records))


@pytest.mark.parametrize("last", ["12345678901234567890", "abc", "-1", "1.5", "٣"])
async def test_a_last_event_id_of_elsewhere_is_a_gap_and_no_error(last: str) -> None:
    """An EventSource never comes back from an error."""
    async with filled() as api, talking(api) as talk:
        talk.writer.write(request("GET /events?since=1", host="Host: a", body=b"")[:-2])
        talk.writer.write(f"Last-Event-ID: {last}\r\n\r\n".encode())
        octets = b""
        async with asyncio.timeout(LIMIT):
            while b"event: reset" not in octets:
                octets += await talk.reader.read(65536)


async def test_the_head_of_a_stream_is_all_that_head_gets() -> None:
    async with filled() as api, talking(api) as talk:
        talk.send("HEAD /events")
        octets = await talk.rest()
        assert octets.startswith(b"HTTP/1.1 200 ")
        assert octets.endswith(b"\r\n\r\n")


async def test_http_1_0_may_follow_and_wait_too() -> None:
    async with filled() as api:
        for path, end in (("/events", b":\n\n"), (f"/resolve/user-service?index={api.registry.index}&wait=1ms", b"}")):
            async with talking(api) as talk:
                talk.writer.write(f"GET {path} HTTP/1.0\r\nHost: a\r\n\r\n".encode())
                async with asyncio.timeout(LIMIT):
                    octets = b""
                    while not octets.endswith(end):
                        octets += await talk.reader.read(65536)


async def test_what_is_sent_behind_a_long_poll_waits_for_it_and_is_not_read_without_end() -> None:
    async with filled() as api, talking(api) as talk:
        talk.send(f"{RESOLVE}{api.registry.index}")
        talk.send("GET /health")
        await held(api)
        talk.writer.write(b"x" * 4_000_000)
        await api.register(port=3009)
        assert [(await talk.answer())[0] for _ in range(3)] == [200, 200, 400]


async def test_a_long_wait_is_no_idle_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(phase_timer.SECONDS, Phase.IDLE, 0.02)
    async with filled() as api, talking(api) as talk, talking(api) as stream:
        talk.send(f"{RESOLVE}{api.registry.index}")
        stream.send("GET /events")
        await held(api, 2)
        await asyncio.sleep(0.1)  # what is shown is that nothing happens
        assert watchers(api) == 2
        await api.register(port=3009)
        assert (await talk.answer())[0] == 200
        assert b"registered" in await stream.reader.readuntil(b"registered")


@pytest.mark.parametrize("becomes", [None, Grants()], ids=["gone", "another's rights"])
async def test_a_stream_ends_when_its_token_does(monkeypatch: pytest.MonkeyPatch, becomes: Grants | None) -> None:
    """EventSource comes back, and is told why it is not let in."""
    monkeypatch.setattr(streams, "COMMENT_SECONDS", 0.02)
    tokens: dict[str, Grants | None] = {"Bearer a": Grants(read=True), "Bearer b": Grants(read=True)}

    def admit(request: Request) -> Caller:
        grants = tokens.get(request.header(b"authorization") or "")
        if grants is None:
            raise Unauthorized("The token in Authorization is not known here", "its token is not known here")
        return Caller(request.address, "somebody", grants)

    async with serving(admit=admit) as api, talking(api) as ends, talking(api) as stays:
        ends.send("GET /events", "Authorization: Bearer a")
        stays.send("GET /events", "Authorization: Bearer b")
        await held(api, 2)
        tokens["Bearer a"] = becomes
        assert (await ends.rest()).endswith(b":\n\n")
        await held(api, 1)
        await stays.reader.readuntil(b":\n\n:\n\n")


async def test_however_many_watch_an_idle_connection_makes_way_for_a_newcomer() -> None:
    limits = Connections(80, 72)  # for those who have not beaten, 72 in all, too
    async with serving(connections=limits) as api, AsyncExitStack() as stack:
        for _ in range(70):
            (await stack.enter_async_context(talking(api))).send("GET /events")
        await held(api, 70)
        for _ in range(4):
            newcomer = await stack.enter_async_context(talking(api))
            newcomer.send("GET /resolve/nobody")
            assert (await newcomer.answer())[0] == 404
        assert (limits.refused, limits.made_way, watchers(api), len(limits)) == (0, 2, 70, 72)


@pytest.mark.parametrize("closing", ["poll", "services", "stream"])
async def test_when_the_server_stops_polls_are_answered_and_streams_end(closing: str) -> None:
    lines: dict[str, tuple[str, Callable[[bytes], bool]]] = {
        "poll": (f"{RESOLVE}%d", lambda octets: b'"instanceCount":2' in octets),
        "services": ("GET /services?index=%d", lambda octets: octets.endswith(b"0\r\n\r\n")),
        "stream": ("GET /events?since=%d", lambda octets: octets.endswith(b":\n\n")),
    }
    line, is_whole = lines[closing]
    async with filled() as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        talk = Talk(reader, writer)
        talk.send(line % api.registry.index)
        await held(api)
    assert is_whole(await talk.rest())
    writer.close()
