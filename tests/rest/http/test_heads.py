"""Heads that were seen before: what is remembered of them, for whom, and how much of it."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from discovery.rest.http.framing import Framer
from discovery.rest.http.heads import Heads
from tests.rest.http.test_framing import UPGRADE, framer, said, taken
from tests.rest.wire import heartbeat, request

CHUNKED = b"POST /heartbeat HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


def requests_of(octets: bytes, cut: int, heads: Heads) -> list[tuple[str, str, bytes, bytes | None]]:
    framer, seen = Framer(lambda request: None, heads), []
    for part in (octets[:cut], octets[cut:]):
        framer.feed(part)
        while framer.whole:
            one = framer.whole.popleft()
            seen.append((one.method, one.target, one.body, one.headers.get(b"x")))
    return seen


def test_a_head_that_was_seen_before_says_the_same_wherever_the_octets_are_cut() -> None:
    beat, resolve = heartbeat("X: 1"), request("GET /resolve/a", "X: 2")
    heads = Heads()
    for sent in (beat, resolve, CHUNKED, beat + resolve, resolve + beat, beat[:-3] + b"xyz", beat + beat[:40]):
        expected = requests_of(sent, len(sent), Heads())
        for cut in range(len(sent) + 1):
            assert requests_of(sent, cut, heads) == expected
    assert len(heads) == 2


@pytest.mark.parametrize(
    "sent", [CHUNKED, request("GET /a", "Connection: close"), request("POST /a", "Expect: 100-continue", body=b"x")]
)
def test_a_head_that_says_more_than_a_length_is_not_remembered(sent: bytes) -> None:
    heads = Heads()
    assert len(requests_of(sent, len(sent), heads)) == 1
    assert not heads


def test_the_heads_that_are_remembered_are_bounded_in_number_and_size() -> None:
    heads = Heads()
    tracemalloc.start()
    try:
        for number in range(5_000):
            for pad in (10, 3000):
                sent = request("GET /resolve/user-service", f"X-Pad: {number:x}{'x' * pad}")
                assert len(requests_of(sent, len(sent), heads)) == 1
        gc.collect()  # the requests are garbage in circles, for which nobody looks soon where there is much else
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 0 < len(heads) <= 4096
    assert kept < 6_000_000


def test_a_known_head_is_no_request_before_its_empty_line() -> None:
    heads, whole = Heads(), request("GET /resolve/user-service")
    taken(framer(heads), whole)
    assert len(heads) == 1
    for end in range(1, len(whole)):
        assert taken(framer(heads), whole[:end]) == []


# -- a request belongs to the connection that it came on


@pytest.mark.parametrize("behind", [b"", b"\r\n", b"\r\n\r\n", b"\n"], ids=["nothing", "CRLF", "two CRLF", "LF"])
@pytest.mark.parametrize("fields", [UPGRADE, ()], ids=["upgrade", "plain"])
def test_no_request_comes_again_on_the_connection_of_another(fields: tuple[str, ...], behind: bytes) -> None:
    heads = Heads()
    admin = request("POST /admin/clear", "Authorization: Bearer secret", *fields) + behind
    assert said(taken(framer(heads), admin)) == [("POST", "/admin/clear", b"", b"Bearer secret")]
    for stranger in (request("GET /health", *UPGRADE) + behind, behind, request("GET /health") + behind):
        assert {one.headers.get(b"authorization") for one in taken(framer(heads), stranger)} <= {None}


@pytest.mark.parametrize("behind", [b"", b"\r\n", b"\r\n\r\n"], ids=["nothing", "CRLF", "two CRLF"])
@pytest.mark.parametrize("before", [b"", b"\r\n"], ids=["nothing", "CRLF"])
def test_what_is_remembered_of_a_head_is_in_the_octets_it_is_known_by(before: bytes, behind: bytes) -> None:
    heads = Heads()
    sent = before + request("GET /a", "Authorization: Bearer secret") + behind
    taken(framer(heads), sent, request("GET /b", *UPGRADE) + behind, heartbeat() + behind)
    for octets, (_, target, headers, *_) in heads.items():
        assert b"\r\n\r\n" not in octets
        assert target.encode() in octets
        assert all(name in octets.lower() and value in octets for name, value in headers.items())
