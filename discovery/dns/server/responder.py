"""Packet in, packet out: the whole DNS server without its sockets. Pure but for the look-up it is given.

Only an answer that is elsewhere takes time: then what comes back is an awaitable of the reply.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from discovery.dns.message.edns import Edns, Option, option, udp_limit
from discovery.dns.message.names import to_text
from discovery.dns.message.query import (
    NO_QUESTION,
    OPCODE_NOTIFY,
    RA,
    RD,
    Malformed,
    Request,
    Transport,
    has_reply,
    parse,
)
from discovery.dns.message.values import NOT_AUTHORITATIVE, OTHER, Answer, Deferred, Explanation, Rcode, Type
from discovery.dns.message.wire import MAX_TCP, Template, error, padded
from discovery.dns.server.cookies import Cookies
from discovery.dns.zones.catalog import Lookup

# One message, the time and the client's address in; its reply out, at once or later, or None when there is nothing (more) to say.
# A feature may wrap one Respond in another.
Respond = Callable[[bytes, float, str, Transport], "bytes | Coroutine[Any, Any, bytes] | None"]

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


# Is told of every template whose answer may be kept, and when it was made.
Keep = Callable[[Request, Answer, Template, float], None]


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
        self.keep: Keep = lambda request, answer, template, now: None

    def respond(
        self, packet: bytes, now: float, client: str, transport: Transport
    ) -> bytes | Coroutine[Any, Any, bytes] | None:
        """The reply to one message from the address `client`; None for silence. Never raises for what a stranger sends."""
        if not has_reply(packet):
            return None
        try:
            request = parse(packet, client, transport)
        except Malformed as malformed:
            return error(packet, malformed.rcode)
        options, refusal = self._options(request.edns, now, client, transport) if request.edns else (b"", None)
        answer = refusal or self._answer(request, now)
        if isinstance(answer, Deferred) and not request.recursion_desired:  # RFC 1034 §4.3.1
            answer = answer.unasked or Answer.refused()
        if isinstance(answer, Deferred):
            return self._later(request, answer, options)
        return self._encode(request, answer, now, options)

    def _answer(self, request: Request, now: float) -> Answer | Deferred:
        if request.question is NO_QUESTION:
            return _COOKIE_ONLY
        if request.opcode == OPCODE_NOTIFY:
            return _NO_SECONDARY
        operation = _OPERATIONS.get(request.question.type)
        return operation or self._lookup(request, now) or _nobodys(request)

    async def _later(self, request: Request, deferred: Deferred, options: bytes) -> bytes:
        answer = (await deferred.ask())._replace(lifetime=None)  # what another server said is not ours to keep
        return self._encode(request, answer, 0.0, options)

    def _encode(self, request: Request, answer: Answer, now: float, options: bytes) -> bytes:
        edns, transport, question = request.edns, request.transport, request.question_wire
        template = Template(request.question, answer, self._random)
        if answer.lifetime is not None:
            self.keep(request, answer, template, now)
        rd, ra = RD if request.recursion_desired else 0, RA if self._recurses(request.client) else 0
        flags = request.opcode << 11 | rd | ra
        limit = udp_limit(edns) if transport.datagram else MAX_TCP
        if edns is None:
            return template.reply(request.id, flags, question, b"", limit)
        opt = template.opt(edns, options, limit - len(question))
        reply = template.reply(request.id, flags, question, opt, limit)
        if transport.private and Option.PADDING in edns.options:
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


def _nobodys(request: Request) -> Answer:
    text = f"{to_text(request.question.name)} is not in a zone of this server"
    return Answer.refused(Explanation(NOT_AUTHORITATIVE, text))
