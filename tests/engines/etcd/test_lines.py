"""A watch's lines are the same however the network cuts them, and one without an end does not grow for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discovery.engines.etcd import gateway


class Stream:
    """As aiohttp's, of these pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def iter_any(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


async def lines_of(pieces: list[bytes]) -> list[bytes]:
    return [line async for line in gateway._lines(cast(Any, Stream(pieces)))]


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=20).filter(lambda line: b"\n" not in line), max_size=8), st.data())
async def test_lines_are_the_same_however_they_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    octets = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=8)))
    pieces = [octets[start:end] for start, end in zip([0, *cuts], [*cuts, len(octets)], strict=True)]
    assert await lines_of(pieces) == lines


async def test_a_line_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "_LINE_OCTETS", 100)
    assert await lines_of([b"x" * 60 + b"\n", b"y" * 60 + b"\n"]) == [b"x" * 60, b"y" * 60]
    with pytest.raises(aiohttp.ClientPayloadError, match="no end"):
        await lines_of([b"x" * 60, b"y" * 60])
