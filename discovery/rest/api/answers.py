"""An answer as handlers make it, for our own connections and for aiohttp's alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from aiohttp import web

JSON = "application/json"


class Answer(NamedTuple):
    """`body`: JSON, or empty. `headers`: those that not every answer has."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}

    def for_aiohttp(self) -> web.Response:
        return web.Response(body=self.body, status=self.status, headers=self.headers, content_type=JSON)
