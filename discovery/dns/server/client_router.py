"""Routing by client: kept answers are for clients that get what everybody gets; the others' queries go straight to the responder."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from discovery.dns.server.responder import Respond

# Clients whose route is remembered, at 0.2 KB each. In a flood from forged addresses each look at the networks is made anew.
MAX_CLIENTS = 16384


def by_client(is_usual: Callable[[str], bool], kept: Respond, plain: Respond) -> Respond:
    """`is_usual(client)`: whether that client gets the same answers as everybody. It must say the same each time."""

    @lru_cache(maxsize=MAX_CLIENTS)
    def route_of(client: str) -> Respond:
        return kept if is_usual(client) else plain

    return lambda packet, now, client, transport: route_of(client)(packet, now, client, transport)
