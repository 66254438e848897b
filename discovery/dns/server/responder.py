"""Packet in, packet out: the whole DNS server without its sockets. Pure but for the look-up it is given.

Only an answer that another server has takes time: then what comes back is an awaitable of the reply.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from discovery.dns.message.names import to_text
from discovery.dns.message.query import NO_QUESTION, OPCODE_NOTIFY, Malformed, Request, Transport, has_reply, parse
from discovery.dns.message.reason import Reason
from discovery.dns.message.values import NOT_AUTHORITATIVE, OTHER, Answer, Deferred, Explanation, Rcode, Type
from discovery.dns.message.wire import Template, error
from discovery.dns.server.replies import Replies
from discovery.dns.server.traffic import Traffic
from discovery.dns.zones.catalog import Lookup

# One message, the time and the client's address in; its reply out, at once or later, or None when there is nothing (more) to say.
# A feature may wrap one Respond in another.
Respond = Callable[[bytes, float, str, Transport], "bytes | Coroutine[Any, Any, bytes] | None"]
# Is told of every template whose answer may be kept.
Keep = Callable[[Request, Answer, Template], None]

_COOKIE_ONLY = Answer(authoritative=False)
_NOTIMP = Answer(rcode=Rcode.NOTIMP, authoritative=False)
_NO_SECONDARY = Answer.refused(
    Explanation(OTHER, "this server is nobody's secondary and takes no NOTIFY", Reason.NOT_SECONDARY)
)
_NO_TRANSFER = Answer.refused(Explanation(OTHER, "zone transfer is not enabled on this server", Reason.NO_TRANSFER))

# Query types that ask for an operation, not for records.
_OPERATIONS: dict[int, Answer] = {
    Type.AXFR: _NO_TRANSFER,
    Type.IXFR: _NO_TRANSFER,
    Type.MAILA: _NOTIMP,
    Type.MAILB: _NOTIMP,
}


class Responder:
    """`random` draws the order of alternatives. `traffic` is told which outcome each reply has."""

    def __init__(self, lookup: Lookup, replies: Replies, random: Random, traffic: Traffic | None = None) -> None:
        self._lookup = lookup
        self._replies = replies
        self._random = random
        self.traffic = traffic or Traffic()
        self.keep: Keep = lambda request, answer, template: None

    def respond(
        self, packet: bytes, now: float, client: str, transport: Transport
    ) -> bytes | Coroutine[Any, Any, bytes] | None:
        """The reply to one message from the address `client`; None for silence. Never raises for what a stranger sends."""
        traffic = self.traffic
        if not has_reply(packet):
            traffic.last = traffic.of(None, None, Reason.IGNORED)
            return None
        try:
            request = parse(packet, client, transport)
        except Malformed as malformed:
            traffic.last = traffic.of_error(malformed.rcode)
            return error(packet, malformed)
        options, edns, refusal = b"", request.edns, None
        if edns is not None:
            options, refusal = self._replies.options(edns, edns.cookie, now, client, transport)
        if refusal is not None:
            return self._reply(request, refusal, options)
        return self.reply_to(request, self._answer(request, now), options)

    def lookup(self, request: Request, now: float) -> Answer | Deferred:
        """Of a plain query."""
        return self._lookup(request, now) or _not_ours(request)

    def reply_to(
        self, request: Request, answer: Answer | Deferred, options: bytes
    ) -> bytes | Coroutine[Any, Any, bytes]:
        """`options`: of the reply, so far."""
        if isinstance(answer, Deferred):
            if request.recursion_desired:
                return self._reply_later(request, answer, options)
            answer = answer.unasked or Answer.refused()  # RFC 1034 §4.3.1
        if request.transport.subnet is not None:
            options += request.transport.subnet.reply(answer.by_locality)
        return self._reply(request, answer, options)

    def _reply(self, request: Request, answer: Answer, options: bytes) -> bytes:
        self._tell(request, answer)
        template = Template(request.question, answer, self._random)
        if answer.lifetime is not None:
            self.keep(request, answer, template)
        return template.reply_to(request, self._replies.flags(request.client), options)

    def _tell(self, request: Request, answer: Answer) -> None:
        traffic = self.traffic
        question = None if request.question is NO_QUESTION else request.question
        if question is None and answer.rcode == Rcode.NOERROR:
            traffic.last = traffic.of(None, answer.rcode, Reason.COOKIE)
        else:
            traffic.last = traffic.of(question, answer.rcode, answer.reason)

    def _answer(self, request: Request, now: float) -> Answer | Deferred:
        if request.question is NO_QUESTION:
            return _COOKIE_ONLY
        if request.opcode == OPCODE_NOTIFY:
            return _NO_SECONDARY
        return _OPERATIONS.get(request.question.type) or self.lookup(request, now)

    async def _reply_later(self, request: Request, deferred: Deferred, options: bytes) -> bytes:
        """What another server said is not kept here."""
        answer = await deferred.ask()
        if request.transport.subnet is not None:
            options += request.transport.subnet.reply(answer.by_locality)
        self._tell(request, answer)
        template = Template(request.question, answer, self._random)
        return template.reply_to(request, self._replies.flags(request.client), options)


def _not_ours(request: Request) -> Answer:
    text = f"{to_text(request.question.name)} is not in a zone of this server"
    return Answer.refused(Explanation(NOT_AUTHORITATIVE, text, Reason.NOT_OUR_ZONE))
