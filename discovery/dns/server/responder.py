"""Packet in, packet out: the whole DNS server without its sockets. Pure but for the look-up it is given.

Only an answer that is elsewhere takes time: then what comes back is an awaitable of the reply.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass
from random import Random
from typing import Any

from discovery.dns.message.edns import Edns, Option, option, udp_limit
from discovery.dns.message.names import to_text
from discovery.dns.message.query import OPCODE_NOTIFY, RA, RD, Malformed, Query, has_reply, parse
from discovery.dns.message.values import NOT_AUTHORITATIVE, OTHER, Answer, Deferred, Explanation, Question, Rcode, Type
from discovery.dns.message.wire import MAX_TCP, Template, error, padded
from discovery.dns.server.cookies import Cookies
from discovery.dns.zones.catalog import Lookup


class CutShort(Exception):
    """Raised by a stream of messages that cannot go on: a reply without its end must not look like one that is whole."""


@dataclass(frozen=True, slots=True)
class Transport:
    """What the way a query came means for its reply.

    `keepalive`: seconds that an idle connection is kept, told to clients that ask (RFC 7828). `private`: encrypted, so
    that padding hides something (RFC 7830). `stream` takes a reply of several messages, as zone transfers have them; None
    where a query has one reply.
    """

    datagram: bool = False
    keepalive: float | None = None
    private: bool = False
    stream: Callable[[AsyncGenerator[bytes]], object] | None = None


# One message, the time and the client's address in; its reply out, at once or later, or None when there is nothing (more) to say.
# A feature may wrap one Respond in another.
Respond = Callable[[bytes, float, str, Transport], "bytes | Coroutine[Any, Any, bytes] | None"]

UDP = Transport(datagram=True)
HTTPS = Transport(private=True)

# RFC 8467 §4.1.
_PADDING_BLOCK = 468

_BADVERS = Answer(rcode=Rcode.BADVERS, authoritative=False)
_BADCOOKIE = Answer(rcode=Rcode.BADCOOKIE, authoritative=False)
_COOKIE_ONLY = Answer(authoritative=False)
_FORMERR = Answer(rcode=Rcode.FORMERR, authoritative=False)
_NOTIMP = Answer(rcode=Rcode.NOTIMP, authoritative=False)
_NO_SECONDARY = Answer.refused(Explanation(OTHER, "this server is nobody's secondary and takes no NOTIFY"))
_NO_TRANSFER = Answer.refused(Explanation(OTHER, "zone transfer is not enabled on this server"))

# Query types that ask for an operation, not for records.
_OPERATIONS: dict[int, Answer] = {
    Type.AXFR: _NO_TRANSFER,
    Type.IXFR: _NO_TRANSFER,
    Type.MAILA: _NOTIMP,
    Type.MAILB: _NOTIMP,
}


# Is told of every template whose answer may be kept: question, as spelt, answer, template, and when it was made.
Keep = Callable[[Question, bytes, Answer, Template, float], None]


class Responder:
    """`server_id` answers NSID. `recurses(client)`: whether this server would ask others for that client (RA).

    `random` draws the order of alternatives. `require_cookies`: over UDP, a client that knows cookies must show a valid one.
    """

    def __init__(
        self,
        lookup: Lookup,
        cookies: Cookies,
        server_id: bytes,
        random: Random,
        recurses: Callable[[str], bool] = lambda client: False,
        require_cookies: bool = False,
    ) -> None:
        self._lookup = lookup
        self._cookies = cookies
        self._server_id = server_id
        self._random = random
        self._recurses = recurses
        self.require_cookies = require_cookies
        self.keep: Keep = lambda question, wire, answer, template, now: None

    def respond(
        self, packet: bytes, now: float, client: str, transport: Transport
    ) -> bytes | Coroutine[Any, Any, bytes] | None:
        """The reply to one message from the address `client`; None for silence. Never raises for what a stranger sends."""
        if not has_reply(packet):
            return None
        try:
            query = parse(packet)
        except Malformed as malformed:
            return error(packet, malformed.rcode)
        options, refusal = self._options(query.edns, now, client, transport) if query.edns else (b"", None)
        answer = refusal or self._answer(query, now, client)
        if isinstance(answer, Deferred) and not query.recursion_desired:  # RFC 1034 §4.3.1
            answer = answer.unasked or Answer.refused()
        if isinstance(answer, Deferred):
            return self._later(query, answer, client, options, transport)
        return self._encode(query, answer, now, client, options, transport)

    def _answer(self, query: Query, now: float, client: str) -> Answer | Deferred:
        if query.question is None:
            return _COOKIE_ONLY
        if query.opcode == OPCODE_NOTIFY:
            return _NO_SECONDARY
        operation = _OPERATIONS.get(query.question.type)
        return operation or self._lookup(query.question, now, client) or _nobodys(query.question)

    async def _later(
        self, query: Query, elsewhere: Deferred, client: str, options: bytes, transport: Transport
    ) -> bytes:
        answer = (await elsewhere.ask())._replace(lifetime=None)  # what another server said is not ours to keep
        return self._encode(query, answer, 0.0, client, options, transport)

    def _encode(
        self, query: Query, answer: Answer, now: float, client: str, options: bytes, transport: Transport
    ) -> bytes:
        template = Template(query.question, answer, self._random)
        if query.question is not None and answer.lifetime is not None:
            self.keep(query.question, query.question_wire, answer, template, now)
        flags = query.opcode << 11 | (RD if query.recursion_desired else 0) | (RA if self._recurses(client) else 0)
        limit = udp_limit(query.edns) if transport.datagram else MAX_TCP
        if query.edns is None:
            return template.reply(query.id, flags, query.question_wire, b"", limit)
        opt = template.opt(query.edns, options, limit - len(query.question_wire))
        reply = template.reply(query.id, flags, query.question_wire, opt, limit)
        if transport.private and Option.PADDING in query.edns.options:
            return padded(reply, len(opt), _PADDING_BLOCK, limit)
        return reply

    def _options(self, edns: Edns, now: float, client: str, transport: Transport) -> tuple[bytes, Answer | None]:
        """The reply's EDNS options, and the answer if EDNS itself decides it."""
        if edns.version > 0:  # RFC 6891 §6.1.3
            return b"", _BADVERS
        asked, options = edns.options, b""
        if Option.NSID in asked:
            options += option(Option.NSID, self._server_id)
        if Option.KEEPALIVE in asked and transport.keepalive is not None:
            options += option(Option.KEEPALIVE, round(transport.keepalive * 10).to_bytes(2, "big"))
        shown = asked.get(Option.COOKIE)
        if shown is None:
            return options, None
        cookie = self._cookies.check(shown, client, int(now))
        if cookie is None:  # RFC 7873 §5.2.2
            return options, _FORMERR
        options += option(Option.COOKIE, cookie.reply)
        refused = self.require_cookies and transport.datagram and not cookie.valid
        return options, _BADCOOKIE if refused else None


def _nobodys(question: Question) -> Answer:
    text = f"{to_text(question.name)} is not in a zone of this server"
    return Answer.refused(Explanation(NOT_AUTHORITATIVE, text))
