"""The responder behind response-rate limiting, for datagrams: a reply that is one too many leaves cut down to TC, or not at all.

A valid server cookie shows that the client's address is its own, and lifts the limit (RFC 7873 §5.2.3).
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from discovery.dns.message.edns import Option
from discovery.dns.message.query import Malformed, Transport, parse
from discovery.dns.server.cookies import CLIENT_SIZE, SERVER_SIZE, Cookies
from discovery.dns.server.rate_limit import RateLimiter, Verdict, answer_key, truncated

# How an option with a client's and a server's cookie begins (RFC 7873 §4).
_BOTH = Option.COOKIE.to_bytes(2, "big") + (CLIENT_SIZE + SERVER_SIZE).to_bytes(2, "big")


class Responds(Protocol):
    def respond(
        self, packet: bytes, now: float, client: str, transport: Transport
    ) -> bytes | Coroutine[Any, Any, bytes] | None:
        """As Responder has it."""


class Limited:
    """In front of `inner`, with the same contract. Replies that another server has to be asked for are not counted: they go to trusted
    clients only.
    """

    def __init__(self, inner: Responds, limiter: RateLimiter, cookies: Cookies) -> None:
        self._respond = inner.respond
        self._limiter = limiter
        self._place = limiter.place
        self._cookies = cookies
        self.slipped = 0
        self.dropped = 0

    def respond(
        self, packet: bytes, now: float, client: str, transport: Transport
    ) -> bytes | Coroutine[Any, Any, bytes] | None:
        reply = self._respond(packet, now, client, transport)
        if self._place(client) is None or not isinstance(reply, bytes):
            return reply
        verdict = self._limiter.verdict(client, answer_key(reply), now)
        if verdict is Verdict.PASS or self._is_proven(packet, client, transport, now):
            return reply
        if verdict is Verdict.SLIP:
            self.slipped += 1
            return truncated(reply)
        self.dropped += 1
        return None

    def _is_proven(self, packet: bytes, client: str, transport: Transport, now: float) -> bool:
        if _BOTH not in packet:
            return False
        try:
            edns = parse(packet, client, transport).edns
        except Malformed:
            return False
        shown = edns.options.get(Option.COOKIE) if edns else None
        cookie = self._cookies.check(shown, client, int(now)) if shown else None
        return cookie is not None and cookie.valid
