"""An answer as handlers make it, for our own connections and for aiohttp's alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import orjson
from aiohttp import web

from discovery.rest.api.times import Times

JSON = "application/json"
# On every answer: the registry's index, or that of the service that the answer is about.
INDEX = "X-Registry-Index"
# While this node does not hear of what happens at the others: for how many seconds.
STALE = "X-Registry-Stale"

# RFC 9110 §8.6: they have no length either.
WITHOUT_BODY = (204, 304)


class Answer(NamedTuple):
    """`body`: of this `media`, or empty. `headers`: those that not every answer has. `index`: of what it is about; None: the registry's."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}
    index: int | None = None  # type: ignore[assignment]  # hides tuple.index, which nobody asks
    media: str = JSON

    def for_aiohttp(self) -> web.Response:
        headers = self.headers if self.index is None else {**self.headers, INDEX: str(self.index)}
        if self.status in WITHOUT_BODY:
            return web.Response(status=self.status, headers=headers)
        return web.Response(body=self.body, status=self.status, headers={**headers, "Content-Type": self.media})


class ByAiohttp(NamedTuple):
    """What a handler returns whose answer is made of aiohttp's request: one that is streamed, or a page's file."""

    handle: Callable[[web.Request], Awaitable[web.StreamResponse]]


def stamped(content: dict[str, Any], times: Times) -> bytes:
    """The JSON of an answer, which says when it was made, and how old what it says is."""
    return orjson.dumps(content | times.stamp())
