"""One client of several URLs: failover, tokens, and errors that say what was tried."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from discovery.client import NotARegistry, Refused, RegistryClient, RegistryError, Resolver, Service, Unreachable
from tests.client.servers import STRANGE, answering, mutants, nobody, saying, silent
from tests.examples import examples


def json(content: Any, status: int = 200, **headers: str) -> web.Response:
    return web.json_response(content, status=status, headers=headers)


async def test_a_reply_has_its_status_headers_content_and_index() -> None:
    async def answer(request: web.Request) -> web.Response:
        return json({"path": request.path, "query": dict(request.query)}, 201, **{"x-registry-index": "7"})

    async with answering(answer) as url, RegistryClient(url) as registry:
        reply = await registry.request("GET", "/a", params={"b": 1, "c": None})
    assert (reply.status, reply.index, reply.url) == (201, 7, url)
    assert reply.content == {"path": "/a", "query": {"b": "1"}}


async def test_a_server_that_does_not_answer_is_passed_over_and_the_good_one_is_remembered() -> None:
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return json({})

    async with (
        silent() as dead,
        answering(answer) as good,
        RegistryClient([nobody(), dead, good], timeout=0.2) as registry,
    ):
        assert (await registry.request("GET", "/first")).url == good
        async with asyncio.timeout(60):  # the dead one is not asked again
            assert (await registry.request("GET", "/second", timeout=3600)).url == good
    assert asked == ["/first", "/second"]


async def test_a_server_that_cannot_serve_now_is_passed_over() -> None:
    async def starting(request: web.Request) -> web.Response:
        return json({"code": "NOT_READY", "message": "not ready"}, 503, **{"Retry-After": "2"})

    async def answer(request: web.Request) -> web.Response:
        return json({})

    async with answering(starting) as poor, answering(answer) as good:
        async with RegistryClient([poor, good]) as registry:
            assert (await registry.request("GET", "/")).url == good
        async with RegistryClient([poor, nobody()]) as registry:
            with pytest.raises(Refused) as refusal:
                await registry.request("GET", "/")
    assert (refusal.value.status, refusal.value.code, refusal.value.retry_after) == (503, "NOT_READY", 2.0)


async def test_where_nobody_answers_the_error_says_what_was_tried_and_why() -> None:
    async with silent() as dead, saying(b"SSH-2.0-x\r\n") as ssh, saying(b"") as closing:
        urls = [nobody(), dead, ssh, closing]
        async with RegistryClient(urls, timeout=0.2) as registry:
            with pytest.raises(Unreachable) as refusal:
                await registry.request("GET", "/health")
    assert [attempt.url for attempt in refusal.value.tried] == urls
    reasons = [attempt.reason for attempt in refusal.value.tried]
    assert reasons[0] == "Connection refused"
    assert reasons[1] == "no answer in 0.2 s"
    assert reasons[2] == "it speaks no HTTP"
    assert reasons[3] == "it closed the connection without an answer"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\x1b[2J\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/login\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{]",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n" + b"[" * 100_000,
    ],
)
async def test_who_speaks_html_or_sends_elsewhere_is_no_registry(answer: bytes) -> None:
    async with saying(answer) as url, RegistryClient(url) as registry:
        with pytest.raises((NotARegistry, Unreachable)) as refusal:
            await registry.request("GET", "/services")
    assert str(refusal.value).isprintable()


async def test_a_refusal_has_what_the_server_said_made_printable() -> None:
    async def answer(request: web.Request) -> web.Response:
        return json({"code": "INSTANCE_UNKNOWN", "message": "no \x1b[31m\u202e such", "suggestion": "…"}, 404)

    async with answering(answer) as url, RegistryClient(url) as registry:
        with pytest.raises(Refused) as refusal:
            await registry.request("POST", "/heartbeat", json={})
        assert (await registry.request("POST", "/heartbeat", json={}, accept=(404,))).status == 404
    error = refusal.value
    assert (error.status, error.code, error.content["suggestion"]) == (404, "INSTANCE_UNKNOWN", "…")
    assert str(error) == r"no \x1b[31m\u202e such"


async def test_an_error_that_does_not_say_why_is_a_refusal_all_the_same() -> None:
    async def answer(request: web.Request) -> web.Response:
        return json([], 500)

    async with answering(answer) as url, RegistryClient(url) as registry:
        with pytest.raises(Refused, match="500"):
            await registry.request("GET", "/")


async def test_a_kept_connection_that_the_server_has_closed_is_made_anew() -> None:
    served = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one request of a connection and closes it when the next has come."""
        nonlocal served
        served += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    async with server, RegistryClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as registry:
        await registry.request("POST", "/heartbeat")
        await registry.request("POST", "/heartbeat")
    assert served == 2


async def test_the_token_is_shown_and_read_again(tmp_path: Path) -> None:
    shown = []

    async def answer(request: web.Request) -> web.Response:
        shown.append(request.headers.get("Authorization"))
        return json({})

    file = tmp_path / "token"
    async with answering(answer) as url:
        file.write_text("one")
        async with RegistryClient(url, token_file=file) as registry:
            await registry.request("GET", "/")
            file.write_text("another")
            await registry.request("GET", "/")
            file.unlink()
            with pytest.raises(RegistryError, match="token file"):
                await registry.request("GET", "/")
    assert shown == ["Bearer one", "Bearer another"]


async def test_a_poll_sends_index_and_wait_and_takes_404_for_an_answer() -> None:
    async def answer(request: web.Request) -> web.Response:
        return json(dict(request.query), 404, **{"X-Registry-Index": "12"})

    async with answering(answer) as url, RegistryClient(url) as registry:
        reply = await registry.poll("/resolve/api", 7, 30, {"tag": "blue"})
    assert reply.content == {"tag": "blue", "index": "7", "wait": "30s"}
    assert (reply.status, reply.index) == (404, 12)


async def test_a_poll_has_the_time_that_the_server_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("discovery.client.registry_client._WAY", 0.0)

    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(0.32)  # a sixteenth more than it was asked to wait, and a little
        return json({})

    async with answering(answer) as url, RegistryClient(url, timeout=0.1) as registry:
        with pytest.raises(Unreachable, match=r"no answer in 0\.31"):
            await registry.poll("/services", 7, 0.3)


async def test_an_https_address_of_a_server_without_tls_is_told_as_that() -> None:
    async with (
        saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url,
        RegistryClient(url.replace("http", "https")) as registry,
    ):
        with pytest.raises(Unreachable, match="it speaks no TLS: "):
            await registry.request("GET", "/health")


async def test_an_answer_that_breaks_off_is_told_as_that() -> None:
    async with saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{") as url, RegistryClient(url) as registry:
        with pytest.raises(Unreachable, match="it broke off in the middle of its answer"):
            await registry.request("GET", "/health")


REPLIES = {
    "instance": {"id": "x"}, "heartbeatIntervalMs": 3000, "timestamp": "2026-01-31T12:00:00Z", "safeAfter": "2026-01-31T12:00:05Z",
    "instances": [
        {"ip": "10.0.0.1", "port": 1, "status": "healthy", "weight": 1, "priority": 1, "metadata": {}, "tags": ["a"], "ports": {"b": 2}}
    ],
    "message": "no", "code": "NO", "retryAfterMs": 5, "suggestion": "y",
}  # fmt: skip


@pytest.mark.parametrize("status", [200, 503])
async def test_whatever_a_server_says_is_an_answer_or_an_error_of_the_registrys(status: int) -> None:
    """Never another exception: a program that registers itself must not end by what some server says."""
    bodies = [body for value in STRANGE for body in mutants(REPLIES, value)]
    asked: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        return json(asked[-1], status)

    async with answering(answer) as url:
        for body in random.Random(1).sample(bodies, examples(150)):
            asked.append(body)
            resolver, service = Resolver(urls=url), Service("web", 3001, urls=url)
            with contextlib.suppress(RegistryError):
                await service.open()
                await service.drain()
            with contextlib.suppress(RegistryError):
                await resolver.pick("web")
            await service.close()
            await resolver.close()
