"""Server-sent events as octets, cut anywhere."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.client.messages import MAX_MESSAGE, Message, Messages

STREAM = b""": hello\r\n\r
id: 1
data: one

event: reset
data: two
data:three\rid: 2

data: not ended"""
WHOLE = [Message("message", "one", "1"), Message("reset", "two\nthree", "2")]


def test_a_stream_is_read_as_browsers_read_it() -> None:
    assert Messages().feed(STREAM) == WHOLE


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_it_does_not_matter_how_a_stream_is_cut(cuts: list[int]) -> None:
    messages, found = Messages(), []
    edges = sorted({0, *cuts, len(STREAM)})
    for start, end in pairwise(edges):
        found += messages.feed(STREAM[start:end])
    assert found == WHOLE


def test_the_id_stays_until_another_is_sent() -> None:
    assert Messages().feed(b"id: 4\n\ndata: a\n\ndata: b\nid\n\n") == [
        Message("message", "a", "4"),
        Message("message", "b", ""),
    ]


@given(st.binary(max_size=200))
def test_garbage_is_no_exception(octets: bytes) -> None:
    Messages().feed(octets)


@pytest.mark.parametrize("piece", [b"x" * 65536, b"data: " + b"x" * 65530 + b"\n"])
def test_a_message_without_an_end_is_given_up(piece: bytes) -> None:
    messages = Messages()
    for _ in range(MAX_MESSAGE // len(piece)):
        assert messages.feed(piece) == []
    with pytest.raises(ValueError, match="more than"):
        messages.feed(piece)
