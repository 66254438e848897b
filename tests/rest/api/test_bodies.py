"""Bodies: no longer than their route reads, and together no more than the server holds; small ones are always welcome."""

from __future__ import annotations

import asyncio

import pytest

from discovery.rest.api import requests
from tests.rest.harness import LIMIT, USER, Api, serving

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
    monkeypatch.setattr(requests, "BODIES", LARGE + 1000)
    async with serving() as api:
        first = await begun(api, LARGE)
        second = await begun(api, LARGE)
        done, waiting = await asyncio.wait(
            {asyncio.create_task(answered(*each)) for each in (first, second)}, return_when=asyncio.FIRST_COMPLETED
        )
        refused = [task.result() for task in done]
        assert [head.split(b"\r\n")[0] for head in refused] == [b"HTTP/1.1 503 Service Unavailable"]
        assert b"Retry-After: 1" in refused[0]
        await api.register()
        assert (await api.post("/heartbeat", USER)).status == 200
        assert len(waiting) == 1, "the other is still waited for"
        for _, writer in (first, second):
            if not writer.is_closing():
                writer.write(b" ")
        head = await waiting.pop()
        assert b" 400 " in head.split(b"\r\n")[0] + b" ", "blanks are no JSON, but they were read"
        await api.register(port=3002, metadata={"text": "x" * 10_000})


@pytest.mark.parametrize("path", ["/dns-query", "/register", "/heartbeat"])
async def test_what_is_said_to_be_too_long_is_refused_before_it_comes(path: str) -> None:
    async with serving() as api:
        kind = "application/dns-message" if path == "/dns-query" else "application/json"
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 2000000\r\n\r\n"
        answer = await api.octets(head.encode())
        if path == "/dns-query":  # the harness has none
            assert answer.startswith(b"HTTP/1.1 404")
        else:
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
