"""Routing by client: kept answers are for clients that get what everybody gets; the others' queries go straight to the responder."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Any

from discovery.dns.message.query import Transport
from discovery.dns.server.responder import Respond

# Clients whose route is remembered, at 0.2 KB each. In a flood from forged addresses each look at the networks is made anew.
MAX_CLIENTS = 16384


class ClientRouter:
    """`is_usual(client)`: whether that client gets the same answers as everybody. It must say the same each time."""

    def __init__(self, is_usual: Callable[[str], bool], kept: Respond, plain: Respond) -> None:
        @lru_cache(maxsize=MAX_CLIENTS)
        def route_of(client: str) -> Respond:
            return kept if is_usual(client) else plain

        self._route_of = route_of

    def respond(
        self, packet: bytes, now: float, client: str, transport: Transport
    ) -> bytes | Coroutine[Any, Any, bytes] | None:
        return self._route_of(client)(packet, now, client, transport)
