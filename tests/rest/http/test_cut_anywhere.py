"""However requests are sent, whole, in a row or cut anywhere, they are answered as one after the other: two servers are sent the same.

Clocks stand still and both servers hold the same, so whole bodies are compared. What differs and may: Date, the jitter, and a 100, which
is not sent when the body is here already.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from tests.examples import examples
from tests.rest.harness import ORIGIN, Api
from tests.rest.wire import HEALTH, LAST, RESOLVE, Got, filled, heartbeat, replies, request, statuses, talk

USER = b'{"name":"user-service","ip":"127.0.0.1","port":3001}'
JSON = "Content-Type: application/json"


def beat(body: bytes, *fields: str) -> bytes:
    return request("POST /heartbeat", *(fields or (JSON,)), body=body)


def raw(text: str) -> bytes:
    """Lines as they stand, each ended by CRLF; the body, if any, behind an empty line. With a Host, without which none is let in."""
    if "HTTP/1.1\n" in text and "Host:" not in text:
        text = text.replace("HTTP/1.1\n", "HTTP/1.1\nHost: a\n", 1)
    return text.replace("\n", "\r\n").encode("latin-1")


CHUNKED = raw("POST /heartbeat HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n34\n") + USER + b"\r\n0\r\n\r\n"

USUAL = {
    "heartbeat": heartbeat(),
    "no content type": request("POST /heartbeat", body=USER),
    "header names in lower case": beat(USER, "content-type: application/json"),
    "header names in upper case": beat(USER, "CONTENT-TYPE:APPLICATION/JSON"),
    "extra headers": heartbeat("User-Agent: axios/1.7", "Accept: */*", "X-Request-Id: 1", "Accept-Encoding: gzip"),
    "keep-alive": heartbeat("Connection: keep-alive"),
    "keep-alive with capitals": heartbeat("connection:Keep-Alive", "Keep-Alive: timeout=5"),
    "charset": beat(USER, "Content-Type: application/json; charset=utf-8"),
    "resolve": RESOLVE,
    "resolve in upper case": request("GET /resolve/USER-SERVICE"),
    "resolve with a content type": request("GET /resolve/user-service", JSON),
    "resolve with a body": request("GET /resolve/user-service", body=b"ignored"),
    "resolve with an empty body": request("GET /resolve/user-service", "Content-Length: 0"),
    "other letters": request("GET /resolve/a_b-c"),
    "accept": request("GET /resolve/user-service", "Accept: text/html", 'If-None-Match: "another"', "Range: bytes=0-1"),
}

UNUSUAL = {
    "HTTP/1.0": USER.join([b"POST /heartbeat HTTP/1.0\r\nContent-Length: 52\r\n\r\n", b""]),
    "HTTP/1.0 keep-alive": b"GET /resolve/user-service HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "HTTP/1.2": b"GET /resolve/user-service HTTP/1.2\r\nHost: a\r\n\r\n",
    "HTTP/2.0": b"GET /resolve/user-service HTTP/2.0\r\nHost: a\r\n\r\n",
    "close": heartbeat("Connection: close"),
    "close and keep-alive": heartbeat("Connection: keep-alive", "Connection: close"),
    "an allowed origin": heartbeat(f"Origin: {ORIGIN}"),
    "another origin": heartbeat("Origin: http://evil.example"),
    "an empty origin": heartbeat("Origin:"),
    "resolve from an allowed origin": request("GET /resolve/user-service", f"Origin: {ORIGIN}"),
    "authorization": heartbeat("Authorization: Bearer x"),
    "expect": heartbeat("Expect: 100-continue"),
    "expect what nobody knows": heartbeat("Expect: the unexpected"),
    "upgrade": request("GET /resolve/user-service", "Connection: Upgrade", "Upgrade: websocket"),
    "the key of an early WebSocket": heartbeat("Sec-WebSocket-Key1: 1"),
    "content encoding": heartbeat("Content-Encoding: gzip"),
    "identity": heartbeat("Content-Encoding: identity"),
    "text": beat(USER, "Content-Type: text/plain"),
    "empty content type": beat(USER, "Content-Type:"),
    "json of another kind": beat(USER, "Content-Type: application/problem+json"),
    "chunked": CHUNKED,
    "chunked in capitals": CHUNKED.replace(b"chunked", b"Chunked"),
    "chunked and a length": CHUNKED.replace(b"Host: a", b"Content-Length: 5"),
    "chunked twice": CHUNKED.replace(b"chunked", b"chunked, chunked"),
    "transfer encoding unknown": CHUNKED.replace(b"chunked", b"identity"),
    "two equal lengths": beat(USER, "Content-Length: 52"),
    "two lengths": beat(USER, "Content-Length: 5"),
    "lengths in a list": raw("POST /heartbeat HTTP/1.1\nHost: a\nContent-Length: 52, 52\n\n") + USER,
    "length with a plus": raw("POST /heartbeat HTTP/1.1\nHost: a\nContent-Length: +52\n\n") + USER,
    "length with zeros": raw("POST /heartbeat HTTP/1.1\nHost: a\nContent-Length: 00052\n\n") + USER,
    "negative length": raw("POST /heartbeat HTTP/1.1\nHost: a\nContent-Length: -1\n\n") + USER,
    "hexadecimal length": raw("POST /heartbeat HTTP/1.1\nHost: a\nContent-Length: 0x34\n\n") + USER,
    "empty length": raw("POST /heartbeat HTTP/1.1\nHost: a\nContent-Length:\n\n") + USER,
    "blank before the colon": raw("POST /heartbeat HTTP/1.1\nHost: a\nContent-Length : 52\n\n") + USER,
    "blank before the name": raw("POST /heartbeat HTTP/1.1\nHost: a\n Content-Length: 52\n\n") + USER,
    "folded": raw("POST /heartbeat HTTP/1.1\nHost: a\nX-Y: 1\n 2\nContent-Length: 52\n\n") + USER,
    "folded with a tab": raw("GET /resolve/user-service HTTP/1.1\nHost: a\nX-Y: 1\n\t2\n\n"),
    "no colon": raw("GET /resolve/user-service HTTP/1.1\nHost: a\nX-Y\n\n"),
    "no name": raw("GET /resolve/user-service HTTP/1.1\nHost: a\n: x\n\n"),
    "a tab in a value": raw("GET /resolve/user-service HTTP/1.1\nHost: a\nX-Y: a\tb\n\n"),
    "octets above ASCII in a value": raw("GET /resolve/user-service HTTP/1.1\nHost: a\nX-Y: \xe9\n\n"),
    "NUL in a value": raw("GET /resolve/user-service HTTP/1.1\nHost: a\nX-Y: a\0b\n\n"),
    "CR in a value": raw("GET /resolve/user-service HTTP/1.1\nHost: a\nX-Y: a\rb\n\n"),
    "underscore in a name": heartbeat("Content_Length: 5", "X_Y: 1"),
    "no host": request("POST /heartbeat", JSON, body=USER, host=None),
    "two hosts": raw("GET /resolve/user-service HTTP/1.1\nHost: a\nHost: b\n\n"),
    "two content types": heartbeat(JSON),
    "a field of 9,000 octets": heartbeat(f"X-Pad: {'x' * 9000}"),
    "a field name of 9,000 octets": heartbeat(f"{'x' * 9000}: 1"),
    "200 fields": heartbeat(*(f"X-{number}: 1" for number in range(200))),
    "bare LF": b"GET /resolve/user-service HTTP/1.1\nHost: a\n\n",
    "bare LF in the head": b"GET /resolve/user-service HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    "bare LF behind the first line": b"GET /resolve/user-service HTTP/1.1\nHost: a\r\n\r\n",
    "bare LF before the end": b"GET /resolve/user-service HTTP/1.1\r\nHost: a\n\r\n",
    "empty line first": b"\r\n" + heartbeat(),
    "two empty lines first": b"\r\n\r\n" + RESOLVE,
    "absolute form": request("POST http://registry/heartbeat", JSON, body=USER),
    "absolute form of resolve": request("GET http://registry/resolve/user-service"),
    "a query": request("POST /heartbeat?x=1", JSON, body=USER),
    "a query to resolve": request("GET /resolve/user-service?x=1"),
    "an empty query": request("GET /resolve/user-service?"),
    "a fragment": request("GET /resolve/user-service#x"),
    "percent-encoded": request("GET /resolve/user%2Dservice"),
    "percent-encoded slash": request("GET /resolve/user-service%2F"),
    "percent-encoded route": request("GET /%72esolve/user-service"),
    "percent-encoded blanks": request("GET /resolve/%20user-service%20"),
    "percent-encoded NUL": request("GET /resolve/user-service%00"),
    "trailing slash": request("GET /resolve/user-service/"),
    "two slashes": request("GET //resolve/user-service"),
    "dots": request("GET /resolve/../resolve/user-service"),
    "a blank in the target": request("GET /resolve/user service"),
    "two blanks before the version": raw("GET /resolve/user-service  HTTP/1.1\nHost: a\n\n"),
    "tabs": raw("GET\t/resolve/user-service\tHTTP/1.1\nHost: a\n\n"),
    "no name to resolve": request("GET /resolve/"),
    "octets above ASCII in the target": request("GET /resolve/user-s\xe9rvice"),
    "unknown service": request("GET /resolve/nobody"),
    "no label": request("GET /resolve/-x-"),
    "HEAD": request("HEAD /resolve/user-service"),
    "HEAD of a heartbeat": request("HEAD /heartbeat"),
    "GET of a heartbeat": request("GET /heartbeat"),
    "POST to resolve": request("POST /resolve/user-service", JSON, body=b"{}"),
    "method in lower case": request("get /resolve/user-service"),
    "method unknown": request("BREW /resolve/user-service"),
    "preflight": request("OPTIONS /heartbeat", f"Origin: {ORIGIN}", "Access-Control-Request-Method: POST"),
    "CONNECT": request("CONNECT registry:80"),
    "an HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n",
    "no body": request("POST /heartbeat", JSON),
    "an empty body": request("POST /heartbeat", JSON, "Content-Length: 0"),
    "a body over 4 KiB": heartbeat(extra="x" * 5000),
    "a body over 2 MiB": heartbeat(extra="x" * (2 << 20)),
}


class Both:
    """Two servers alike, one of which is sent the same in other pieces."""

    def __init__(self, fast: Api, slow: Api) -> None:
        self._fast = fast
        self._slow = slow

    async def __call__(
        self, fast_pieces: Sequence[bytes], slow_pieces: Sequence[bytes], what: str = ""
    ) -> tuple[list[Got], list[Got]]:
        one, two = [
            [got for got in replies(octets) if got.status != 100]
            for octets in (await talk(self._fast.port, *fast_pieces), await talk(self._slow.port, *slow_pieces))
        ]
        assert one == two, what
        assert self._fast.state() == self._slow.state(), f"{what}: the same was written"
        return one, two


@pytest.fixture(name="both")
async def _both() -> AsyncIterator[Both]:
    async with filled() as fast, filled() as slow:
        yield Both(fast, slow)


async def test_usual_requests_are_answered_alike(both: Both) -> None:
    for name, sent in USUAL.items():
        pieces = [sent, sent, LAST]
        for sending in (pieces, [b"".join(pieces)]):
            one, _ = await both(sending, pieces, name)
            assert statuses(one) == [200, 200, 200], name


async def test_unusual_requests_are_answered_alike(both: Both) -> None:
    """Between others, so that whoever loses his place answers them wrong."""
    for name, sent in UNUSUAL.items():
        pieces = [heartbeat(), sent, RESOLVE, LAST]
        for sending in (pieces, [b"".join(pieces)]):
            one, _ = await both(sending, pieces, name)
            assert one[0].status == 200, name


INNER = heartbeat(name="kafka", port=1)
SMUGGLED = {
    "in a body": request("POST /register", JSON, body=INNER),
    "in a heartbeat's body": beat(INNER),
    "in a resolve's body": request("GET /resolve/user-service", body=INNER),
    "behind a length of 0": request("POST /heartbeat", "Content-Length: 0") + INNER,
    "behind two lengths": raw(f"POST /heartbeat HTTP/1.1\nHost: a\nContent-Length: 0\nContent-Length: {len(INNER)}\n\n")
    + INNER,
    "length and chunked": raw(
        f"POST /heartbeat HTTP/1.1\nHost: a\nContent-Length: {len(INNER)}\nTransfer-Encoding: chunked\n\n0\n\n"
    )
    + INNER,
    "chunked and length": raw(
        "POST /heartbeat HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nContent-Length: 4\n\n0\n\n"
    )
    + INNER,
    "a length behind a bare LF": f"GET /health HTTP/1.1\nContent-Length: {len(INNER)}\r\nHost: a\r\n\r\n".encode()
    + INNER,
    "a length in a folded line": raw(f"GET /health HTTP/1.1\nX: y\n Content-Length: {len(INNER)}\n\n") + INNER,
    "a length with a vertical tab": raw(f"GET /health HTTP/1.1\nContent-Length: \x0b{len(INNER)}\n\n") + INNER,
    "a length with a blank before the colon": raw(f"GET /health HTTP/1.1\nContent-Length : {len(INNER)}\n\n") + INNER,
    "chunked with a blank before the colon": raw("GET /health HTTP/1.1\nTransfer-Encoding : chunked\n\n0\n\n") + INNER,
    "chunked with a tab": raw("POST /heartbeat HTTP/1.1\nTransfer-Encoding:\tchunked\n\n0\n\n") + INNER,
    "xchunked": raw("POST /heartbeat HTTP/1.1\nTransfer-Encoding: xchunked\n\n0\n\n") + INNER,
    "chunk extensions": raw("POST /heartbeat HTTP/1.1\nTransfer-Encoding: chunked\n\n1;a=b\nx\n0\n\n") + INNER,
    "trailers": raw("POST /heartbeat HTTP/1.1\nTransfer-Encoding: chunked\n\n0\nContent-Length: 9\n\n") + INNER,
    "behind CONNECT": request("CONNECT registry:80") + INNER,
    "behind a close": request("GET /health", "Connection: close") + INNER,
    "behind HTTP/1.0": b"GET /health HTTP/1.0\r\n\r\n" + INNER,
    "behind a refused request": b"GET / HTTP/9.9\r\n\r\n" + INNER,
    "behind a refused header": raw("GET /health HTTP/1.1\nX Y: 1\n\n") + INNER,
    "behind HEAD": request("HEAD /health", f"Content-Length: {len(INNER)}") + INNER,
    "behind an expectation": request("POST /heartbeat", JSON, "Expect: 100-continue", body=INNER),
    "behind a refused expectation": request("POST /heartbeat", JSON, "Expect: x", body=INNER),
}


async def test_what_is_hidden_in_a_request_is_seen_by_both_or_by_neither(both: Both) -> None:
    for name, sent in SMUGGLED.items():
        at = sent.rindex(INNER)
        slowly = [HEALTH, sent[:at], sent[at:], RESOLVE, LAST]
        for sending in (
            slowly,
            [b"".join(slowly)],
            [HEALTH, sent, RESOLVE, LAST],
            [HEALTH + sent[:at], sent[at:] + RESOLVE + LAST],
        ):
            await both(sending, slowly, name)


MIXED = {
    "fast": [heartbeat(), RESOLVE, heartbeat(port="3001"), LAST],
    "slow between fast": [heartbeat(), HEALTH, RESOLVE, request("GET /resolve/nobody"), heartbeat(), LAST],
    "slow first": [beat(b"{"), heartbeat(), request("GET /services"), RESOLVE, LAST],
    "chunked between": [RESOLVE, CHUNKED, heartbeat(), HEALTH, LAST],
    "bodies": [
        request("GET /resolve/user-service", body=b"POST /heartbeat HTTP/1.1\r\n\r\n"),
        beat(b" " * 60),
        RESOLVE,
        LAST,
    ],
}


@pytest.mark.parametrize("pieces", MIXED.values(), ids=MIXED)
async def test_requests_in_a_row_cut_anywhere_give_the_same_replies(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    async with filled() as fast, filled() as slow:
        expected = replies(await talk(slow.port, *pieces))
        assert len(expected) == len(pieces)
        for at in range(0, len(whole), len(whole) // examples(len(whole))):
            assert replies(await talk(fast.port, whole[:at], whole[at:])) == expected, (whole[:at], whole[at:])


@pytest.mark.parametrize("pieces", MIXED.values(), ids=MIXED)
async def test_requests_that_come_octet_by_octet_give_the_same_replies(both: Both, pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    await both([whole[at : at + 1] for at in range(len(whole))], pieces)


def shown(got: Got) -> dict[str, Any]:
    return {name: value for name, value in got.headers if name.startswith("access-") or name == "vary"}


@pytest.mark.parametrize("origin", [None, ORIGIN, "http://evil.example", "null"])
async def test_cors_headers_are_the_same(both: Both, origin: str | None) -> None:
    fields = [f"Origin: {origin}"] if origin else []
    pieces = [heartbeat(*fields), request("GET /resolve/user-service", *fields), LAST]
    one, two = await both(pieces, pieces)
    assert [shown(got) for got in one] == [shown(got) for got in two]
    for got in one[:2]:
        assert shown(got).get("access-control-allow-origin") == (origin if origin == ORIGIN else None)
        assert "Origin" in shown(got)["vary"]


async def test_a_registration_in_a_heartbeat_is_applied() -> None:
    fields = {"register": True, "metadata": {"version": "2"}, "weight": 7}
    async with filled() as api:
        index = api.registry.index
        sent = [heartbeat(), heartbeat(**fields), heartbeat(), heartbeat(**fields), heartbeat(register=False), LAST]
        got = replies(await talk(api.port, *sent))
        assert statuses(got) == [200] * 6
        assert (got[-1].body["metadata"], got[-1].body["weight"]) == ({"version": "2"}, 7)
        assert [one.body["index"] for one in got[:-1]] == [index, *[index + 1] * 4]
