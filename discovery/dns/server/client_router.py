"""Which way a client's queries take: the hot path, or the plain one for those whom some feature answers differently."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Any

from discovery.dns.message.query import Transport
from discovery.dns.server.responder import Respond

# Clients whose lane is remembered, at 0.2 KB each. In a flood from forged addresses it does not help, and costs a look at the networks.
MAX_CLIENTS = 16384


class Lanes:
    """`is_usual(client)`: whether that client gets the same answers as everybody. It must say the same each time."""

    def __init__(self, is_usual: Callable[[str], bool], hot: Respond, plain: Respond) -> None:
        @lru_cache(maxsize=MAX_CLIENTS)
        def lane_of(client: str) -> Respond:
            return hot if is_usual(client) else plain

        self._lane_of = lane_of

    def respond(
        self, packet: bytes, now: float, client: str, transport: Transport
    ) -> bytes | Coroutine[Any, Any, bytes] | None:
        return self._lane_of(client)(packet, now, client, transport)
