"""Errors that no handler raised: unknown paths, wrong methods, content types, sizes, and what is no HTTP at all. All are JSON."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from discovery.core.caller import Caller
from discovery.rest.api.answers import Answer, Pieces
from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Request
from tests.rest.harness import LIMIT, USER, Api, assert_error, route, serving

JSON_HEAD = b"POST /register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

NO_HTTP = {
    "words": b"hello there\r\n\r\n",
    "nul": b"\0" * 20 + b"\r\n\r\n",
    "binary": bytes(range(128, 256)) + b"\r\n\r\n",
    "tls": bytes.fromhex("1603010200010001fc0303") + b"\x55" * 32,
    "nul-in-path": b"GET /hea\0lth HTTP/1.1\r\nHost: x\r\n\r\n",
    "nul-in-header": b"GET /health HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "header-without-colon": b"GET /health HTTP/1.1\r\nHost x\r\n\r\n",
    "negative-length": b"POST /register HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "two-lengths": b"POST /register HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length-and-chunked": JSON_HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "large-header": b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    "large-path": b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
}


async def test_an_unknown_path_is_a_404_that_names_it(api: Api) -> None:
    unknown = ("/", "/nothing", "/register/", "/resolve", "/resolve/", "/resolve/a/b", "/services/a/instances/1", "//")
    for path in unknown:
        assert_error(await api.get(path), 404, path)


async def test_a_wrong_method_is_a_405_with_allow(api: Api) -> None:
    """`test_router` asks every route."""
    reply = await api.request("PUT", "/services/a")
    assert_error(reply, 405, "PUT", "/services/a")
    assert set(reply.headers["Allow"].split(", ")) == {"DELETE", "GET", "HEAD"}


async def test_another_content_type_is_a_415_that_names_it_and_json_and_nothing_are_good_ones(api: Api) -> None:
    before, body = api.state(), json.dumps(USER).encode()
    for sent in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a", "text/json"):
        for path in ("/register", "/heartbeat"):
            reply = await api.request("POST", path, body, headers={"Content-Type": sent})
            assert_error(reply, 415, sent.partition(";")[0])
    assert api.state() == before
    for sent in ("", "application/json", "application/json; charset=utf-8", "APPLICATION/JSON"):
        reply = await api.request("POST", "/register", body, headers={"Content-Type": sent} if sent else {})
        assert reply.status == 201, sent


@pytest.mark.parametrize("path", ["/register", "/heartbeat"])
@pytest.mark.parametrize("announced", [True, False], ids=["content-length", "chunked"])
async def test_a_body_of_10_mb_is_a_413_that_the_client_gets(api: Api, path: str, announced: bool) -> None:
    before = api.state()
    piece = b" " * 65536
    count = 160

    async def send(writer: asyncio.StreamWriter) -> None:
        length = f"Content-Length: {count * len(piece)}" if announced else "Transfer-Encoding: chunked"
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{length}\r\n\r\n".encode())
        for _ in range(count):
            writer.write(piece if announced else b"10000\r\n" + piece + b"\r\n")
            await writer.drain()

    async with asyncio.timeout(LIMIT):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        await send(writer)  # all of it, as a client does that reads only then
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        writer.write_eof()
        await reader.read()  # the server has closed too
        writer.close()
        await writer.wait_closed()
    assert head.startswith(b"HTTP/1.1 413 ")
    assert {"error", "message", "timestamp"} <= body.keys()
    assert api.state() == before


async def test_what_is_no_http_gets_a_json_400_and_is_no_alarm(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    before = api.state()
    for octets in NO_HTTP.values():
        assert_error(await api.raw(octets), 400)
    assert api.state() == before
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert (await api.get("/health")).status == 200


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (b"Transfer-Encoding: chunked\r\n", b"zz\r\n{}\r\n0\r\n\r\n"),
        (b"Content-Encoding: gzip\r\nContent-Length: 8\r\n", b"not gzip"),
        (b"Content-Encoding: deflate\r\nContent-Length: 8\r\n", b"\xff" * 8),
    ],
    ids=["chunk-size", "gzip", "deflate"],
)
async def test_a_body_that_cannot_be_decoded_is_the_clients_fault(
    api: Api, headers: bytes, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reply = await api.raw(JSON_HEAD + b"Connection: close\r\n" + headers + b"\r\n" + body)
    assert reply.status in (400, 415)  # 415 for a coding that is not taken at all: RFC 9110 §15.5.16
    assert_error(reply, reply.status)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    "line",
    [
        b"GET /health HTTP/2.0\r\nHost: x", b"GET /health HTTP/9.9\r\nHost: x", b"GET /health HTTP/0.9",
        b"POST /heartbeat HTTP/2.0\r\nContent-Length: 9", b"PRI * HTTP/2.0\r\n\r\nSM",
    ],
)  # fmt: skip
async def test_another_version_of_http_is_told_so_in_ours(api: Api, line: bytes) -> None:
    got = await api.octets(line + b"\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 505 HTTP Version Not Supported\r\n")
    assert_error(await api.raw(line + b"\r\n\r\n"), 505, "HTTP/1.1")


def nobody(request: Request) -> Caller:
    """As the plugin auth: health is anybody's, nothing else."""
    if request.path != "/health":
        raise HttpError("UNAUTHORIZED", "This takes a token")
    return Caller(request.address)


@pytest.mark.parametrize("fields", [(), ("Connection: keep-alive",)])
@pytest.mark.parametrize("line", ["OPTIONS / HTTP/1.0", "OPTIONS * HTTP/1.0", "GET /health HTTP/1.0"])
async def test_what_haproxy_asks_without_a_host_is_answered(line: str, fields: tuple[str, ...]) -> None:
    async with serving(only_local=True, is_host=lambda host: False, admit=nobody) as api:
        reply = await api.raw("\r\n".join([line, *fields, "", ""]).encode())
        assert reply.status == 200
        assert "timestamp" in reply.body


async def test_options_of_the_server_are_its_methods(api: Api) -> None:
    for target in ("*", "/"):
        reply = await api.raw(f"OPTIONS {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert reply.status == 200
        assert "POST" in reply.headers["Allow"]


async def test_a_request_behind_an_upgrade_that_is_declined_is_answered(api: Api) -> None:
    upgrade = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    last = b"GET /stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert (await api.octets(upgrade + upgrade + last)).count(b"HTTP/1.1 200 OK") == 3


async def test_no_answer_says_what_it_is_made_of(api: Api) -> None:
    await api.register()
    for method, path, body in (("GET", "/health", None), ("POST", "/heartbeat", USER), ("GET", "/nothing", None)):
        assert "Server" not in (await api.request(method, path, body)).headers


async def test_an_unknown_expectation_is_a_json_417(api: Api) -> None:
    assert_error(await api.raw(JSON_HEAD + b"Connection: close\r\nExpect: miracles\r\nContent-Length: 0\r\n\r\n"), 417)


async def test_expect_100_continue_is_understood(api: Api) -> None:
    async with api.session.post(api.url + "/register", json=USER, expect100=True) as response:
        assert response.status == 201


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_odd_targets_get_json(api: Api, method: str) -> None:
    for target in ("*", "http://elsewhere.example/health", "/health?a=%00", "/health#x", "/../health"):
        reply = await api.raw(f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert reply.status < 500
        assert "timestamp" in reply.body


async def test_a_client_that_leaves_in_the_middle_is_no_alarm(caplog: pytest.LogCaptureFixture) -> None:
    """Neither one that stops in its body nor one that stops reading a long list."""
    begun, left = asyncio.Event(), asyncio.Event()

    def pieces() -> Pieces:
        try:
            while True:
                yield b" " * 65536
                begun.set()
        finally:
            left.set()

    def endless(request: Request) -> Answer:
        return Answer(200, pieces())

    for octets in (JSON_HEAD + b"Content-Length: 100\r\n\r\n{", b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n"):
        async with serving(routes=[route("/endless", endless)]) as api, asyncio.timeout(LIMIT):
            _, writer = await asyncio.open_connection("127.0.0.1", api.port, limit=1)
            writer.write(octets)
            await writer.drain()
            await api.get("/health")  # by now the server has seen the first part
            if octets.startswith(b"GET"):
                await begun.wait()
            writer.transport.abort()
            if octets.startswith(b"GET"):
                await left.wait()
            await api.get("/health")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_what_nobody_foresaw_is_a_bare_500_and_a_traceback_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(request: Request) -> Answer:
        raise RuntimeError("the secret inside")

    async with serving(routes=[route("/fail", fail)]) as api:
        reply = await api.get("/fail")
        assert_error(reply, 500)
        assert "secret" not in json.dumps(reply.body)
        [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert record.exc_info
        assert "the secret inside" in str(record.exc_info[1])
        assert (await api.get("/health")).status == 200


async def test_a_failure_in_the_middle_of_a_stream_never_looks_like_a_whole_answer() -> None:
    def pieces() -> Pieces:
        yield b"[1, 2"
        raise RuntimeError("half way")

    def fail(request: Request) -> Answer:
        return Answer(200, pieces())

    async with serving(routes=[route("/fail", fail)]) as api:
        answer = await api.octets(b"GET /fail HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.count(b"HTTP/1.1") == 1, "no second answer inside the first"
        assert not answer.endswith(b"0\r\n\r\n"), "the stream is cut, so the client knows"
