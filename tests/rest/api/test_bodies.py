"""Bodies: no longer than their route reads, and together no more than the server holds; small ones are always welcome."""

from __future__ import annotations

import asyncio
import json

import pytest

from discovery.rest.api.batches import MAX_BATCH
from discovery.rest.api.route import MAX_BODY
from discovery.rest.http import shared
from tests.rest.harness import LIMIT, USER, Api, assert_error, serving

LARGE = 20_000


async def begun(api: Api, octets: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A registration of `octets`, of which all but the last have been sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    head = f"POST /register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {octets}\r\n\r\n"
    writer.write(head.encode() + b" " * (octets - 1))
    await writer.drain()
    return reader, writer


async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The head of the answer."""
    async with asyncio.timeout(LIMIT):
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return head


async def test_large_bodies_share_a_bound_that_small_ones_do_not_feel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "MAX_BODIES", LARGE + 1000)
    async with serving() as api:
        first = await begun(api, LARGE)
        await api.get("/health")
        second = await begun(api, LARGE)
        refused = await answered(*first)
        assert refused.startswith(b"HTTP/1.1 503 Service Unavailable\r\n"), "the oldest makes way"
        assert b"Retry-After: 1" in refused
        await api.register()
        assert (await api.post("/heartbeat", USER)).status == 200
        second[1].write(b" ")
        assert b" 400 " in (await answered(*second)).split(b"\r\n")[0] + b" ", "blanks are no JSON, but they were read"
        await api.register(port=3002, metadata={"text": "x" * 10_000})


async def test_uploads_that_stall_keep_no_batch_of_heartbeats_out() -> None:
    """33 of 2 MiB held all that bodies may have, and every batch was refused for as long as a body may take."""
    head = f"POST /heartbeats HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MAX_BODY}\r\n\r\n".encode()
    stalled = []
    async with serving() as api:
        await api.register()
        for _ in range(33):
            _, writer = await asyncio.open_connection("127.0.0.1", api.port)
            writer.write(head + b" " * (MAX_BODY - 1))
            await writer.drain()
            stalled.append(writer)
        await api.get("/health")
        padding = " " * 1_000_000
        reply = await api.request("POST", "/heartbeats", json.dumps({"x": padding, "instances": [USER]}).encode())
        assert (reply.status, reply.body["updated"]) == (200, 1)
        for writer in stalled:
            writer.transport.abort()


async def test_a_batch_of_a_million_lists_is_refused_before_it_is_parsed() -> None:
    lists = b'{"instances":[' + b"[]," * 690_000 + b"[]]}"
    async with serving() as api:
        head = (
            f"POST /heartbeats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(lists)}\r\n\r\n"
        )
        assert_error(await api.raw(head.encode() + lists), 413, "lists")
        most = [{"name": "user-service", "ip": "127.0.0.1", "port": 3001, "metadata": {"a": 1, "b": 2}}] * MAX_BATCH
        assert (await api.post("/heartbeats", {"instances": most})).status == 200


@pytest.mark.parametrize("path", ["/dns-query", "/register", "/heartbeat"])
async def test_what_is_said_to_be_too_long_is_refused_before_it_comes(path: str) -> None:
    async with serving() as api:
        kind = "application/dns-message" if path == "/dns-query" else "application/json"
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 2000000\r\n\r\n"
        answer = await api.octets(head.encode())
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"BODY_TOO_LARGE" in answer


async def test_one_that_does_not_say_its_length_is_cut_off_where_it_gets_too_long() -> None:
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    async with serving() as api:
        head = b"POST /register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(head + chunk * 5)
        answer = await answered(reader, writer)
        assert answer.startswith(b"HTTP/1.1 413")


async def test_stalled_dns_messages_need_no_token_and_keep_nobody_out_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,200 of 64 KiB filled what 64 MiB of bodies may be. Here a tenth of both."""
    monkeypatch.setattr(shared, "MAX_BODIES", shared.MAX_BODIES // 10)
    head = b"POST /dns-query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dns-message\r\nContent-Length: 65535\r\n\r\n"
    stalled = []
    async with serving() as api:
        await api.register()
        for _ in range(120):
            _, writer = await asyncio.open_connection("127.0.0.1", api.port)
            writer.write(head + b" " * 65534)
            await writer.drain()
            stalled.append(writer)
        await api.get("/health")
        batch = json.dumps({"x": " " * 500_000, "instances": [USER]}).encode()
        assert (await api.request("POST", "/heartbeats", batch)).body["updated"] == 1
        for writer in stalled:
            writer.transport.abort()
