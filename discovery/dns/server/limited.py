"""The responder behind response-rate limiting, for datagrams: a reply that is one too many has TC and no records, or is not sent.

A valid server cookie shows that the client's address is its own, and lifts the limit (RFC 7873 §5.2.3).
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from discovery.dns.message.edns import Option, option
from discovery.dns.message.query import Malformed, Transport, has_reply, parse
from discovery.dns.message.reason import Reason
from discovery.dns.message.values import Answer, Question, Rcode
from discovery.dns.message.wire import Template, error
from discovery.dns.server.cookies import Cookies
from discovery.dns.server.rate_limit import RateLimiter, Verdict, answer_key, question_key
from discovery.dns.server.responder import Respond
from discovery.dns.server.traffic import Traffic

# The question and nothing else: come back over TCP.
_CUT = Answer(authoritative=False, complete=False)


class Limited:
    """In front of `inner`, with the same contract. Replies that another server has to be asked for are not counted: they go to trusted
    clients only.
    """

    def __init__(self, inner: Respond, limiter: RateLimiter, cookies: Cookies, traffic: Traffic | None = None) -> None:
        self._respond = inner
        self._limiter = limiter
        self._place = limiter.place
        self._cookies = cookies
        self._traffic = traffic or Traffic()
        self.slipped = 0
        self.dropped = 0

    def respond(
        self, packet: bytes, now: float, client: str, transport: Transport
    ) -> bytes | Coroutine[Any, Any, bytes] | None:
        if self._place(client) is None:
            return self._respond(packet, now, client, transport)
        before = self._limiter.verdict(client, question_key(packet), now, take=False)
        if before is not Verdict.PASS:
            return self._limit(before, packet, now, client, transport)
        reply = self._respond(packet, now, client, transport)
        if not isinstance(reply, bytes):
            return reply
        after = self._limiter.verdict(client, answer_key(reply), now)
        return reply if after is Verdict.PASS else self._limit(after, packet, now, client, transport)

    def _limit(
        self, verdict: Verdict, packet: bytes, now: float, client: str, transport: Transport
    ) -> bytes | Coroutine[Any, Any, bytes] | None:
        if not has_reply(packet):
            self._traffic.last = self._traffic.of(None, None, Reason.IGNORED)
            return None
        try:
            request = parse(packet, client, transport)
        except Malformed as malformed:
            return self._count(verdict, error(packet, malformed), None, malformed.rcode)
        cookie = request.edns.cookie if request.edns and not request.edns.version else None
        reply, valid = self._cookies.check(cookie, client, int(now)) if cookie is not None else (b"", False)
        if valid:
            return self._respond(packet, now, client, transport)
        # As long as the query, or 16 octets longer where it gives a client its cookie, which lifts the limit.
        options = option(Option.COOKIE, reply) if reply else b""
        cut = Template(request.question, _CUT).reply_to(request, options=options)
        return self._count(verdict, cut, request.question, Rcode.NOERROR)

    def _count(self, verdict: Verdict, reply: bytes, question: Question | None, rcode: int) -> bytes | None:
        traffic, slips = self._traffic, verdict is Verdict.SLIP
        traffic.last = traffic.of(question, rcode if slips else None, Reason.RATE_LIMITED)
        if slips:
            self.slipped += 1
            return reply
        self.dropped += 1
        return None
