"""Octets in, requests out: where each begins and ends, whatever came before it and however the octets are cut."""

from __future__ import annotations

import pytest

from discovery.core.errors import DiscoveryError
from discovery.rest.api.errors import HttpError
from discovery.rest.api.requests import Request
from discovery.rest.http.framing import SLICE, Framer
from discovery.rest.http.heads import Heads
from tests.rest.wire import request

UPGRADE = ("Connection: Upgrade", "Upgrade: h2c")
NEXT = request("GET /next")
CHUNKS = b"3\r\nGET\r\n5\r\n /x H\r\n0\r\nX: y\r\n\r\n"


def framer(heads: Heads | None = None) -> Framer:
    return Framer(lambda request: None, Heads() if heads is None else heads)


def taken(one: Framer, *pieces: bytes) -> list[Request]:
    """As a connection does it: in slices, and nothing is parsed while a request is in hand."""
    requests: list[Request] = []
    for piece in pieces:
        for at in range(0, len(piece), SLICE):
            one.feed(piece[at : at + SLICE])
            requests += one.whole
            one.whole.clear()
    return requests


def said(requests: list[Request]) -> list[tuple[str, str, bytes, bytes | None]]:
    return [(one.method, one.target, one.body, one.headers.get(b"authorization")) for one in requests]


# -- an upgrade is declined


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (request("POST /a", *UPGRADE, body=NEXT), NEXT),
        (request("POST /a", *UPGRADE, "Content-Length: 0"), b""),
        (request("POST /a", *UPGRADE, "Transfer-Encoding: chunked") + CHUNKS, b"GET /x H"),
        (request("POST /a", *UPGRADE, "Expect: 100-continue", body=b"{}"), b"{}"),
    ],
    ids=["a length", "no length", "chunks", "expects"],
)
def test_the_body_of_a_request_with_an_upgrade_is_its_body_and_not_the_next_request(sent: bytes, body: bytes) -> None:
    for cut in range(len(sent) + 1):
        got = taken(framer(), sent[:cut], sent[cut:] + NEXT + sent + NEXT)
        assert said(got) == [("POST", "/a", body, None), ("GET", "/next", b"", None)] * 2
        assert all(one.keeps for one in got)


def test_the_body_of_a_refused_request_with_an_upgrade_is_dropped_and_the_connection_goes_on() -> None:
    def nobody(request: Request) -> None:
        if request.method == "POST":
            raise DiscoveryError("no")

    one = Framer(nobody, Heads())
    refused, following = taken(one, request("POST /a", *UPGRADE, body=NEXT) + NEXT)
    assert refused.refusal is not None
    assert refused.body == b""
    assert (following.target, following.refusal) == ("/next", None)


def test_a_body_behind_an_upgrade_is_no_longer_than_any_other() -> None:
    [got] = taken(framer(), request("POST /register", *UPGRADE, "Content-Length: 9000000") + NEXT)
    assert got.refusal is not None
    assert "at most" in str(got.refusal)


# -- what never ends is told from what ends and begins again


@pytest.mark.parametrize("size", range(40, 48))
@pytest.mark.parametrize("fields", [(), UPGRADE], ids=["plain", "upgrade"])
def test_a_thousand_requests_in_a_row_are_a_thousand_wherever_the_slices_end(
    size: int, fields: tuple[str, ...]
) -> None:
    sent = request(f"GET /{'x' * size}", *fields)
    assert len(taken(framer(), sent * 1000)) == 1000


@pytest.mark.parametrize("size", [1, 50, 100])
def test_so_are_requests_with_a_body(size: int) -> None:
    sent = request("POST /a", body=b"x" * size)
    assert [len(one.body) for one in taken(framer(), sent * 1000)] == [size] * 1000


# -- how a body is coded


@pytest.mark.parametrize("fields", [(), UPGRADE], ids=["plain", "upgrade"])
@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip", "chunked;q=1", "identity", "xchunked"])
def test_a_body_in_a_coding_that_is_not_understood_is_refused_and_nothing_behind_it_is_read(
    coding: str, fields: tuple[str, ...]
) -> None:
    """RFC 9112 §6.1."""
    one = framer()
    [got] = taken(one, request("POST /a", f"Transfer-Encoding: {coding}", *fields) + CHUNKS + NEXT)
    assert isinstance(got.refusal, HttpError)
    assert got.refusal.status == 501
    assert (got.keeps, one.ended) == (False, True)


def test_a_coding_that_llhttp_finds_odd_is_refused_with_an_upgrade_as_without() -> None:
    for fields in ((), UPGRADE):
        [got] = taken(framer(), request("POST /a", "Transfer-Encoding: chunked\t", *fields) + CHUNKS + NEXT)[:1]
        assert isinstance(got.refusal, HttpError)
        assert (got.refusal.status, got.keeps) == (400, False)


@pytest.mark.parametrize("target", ["/x", "a:80", "http://a/x", "*"])
def test_a_tunnel_is_refused_whatever_its_target_looks_like(target: str) -> None:
    [got] = taken(framer(), request(f"CONNECT {target}") + NEXT)
    assert isinstance(got.refusal, HttpError)
    assert (got.refusal.status, got.keeps) == (400, False)


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "  chunked"])
def test_chunks_are_understood(coding: str) -> None:
    got = taken(framer(), request("POST /a", f"Transfer-Encoding: {coding}") + CHUNKS + NEXT)
    assert [(one.body, one.refusal) for one in got] == [(b"GET /x H", None), (b"", None)]
