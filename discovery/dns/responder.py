"""Packet in, packet out: the whole DNS server without its sockets. Pure but for the lookup it is given."""

from __future__ import annotations

from discovery.dns.catalog import Lookup
from discovery.dns.edns import udp_limit
from discovery.dns.message import OTHER, Answer, Explanation, Rcode, Type
from discovery.dns.query import OPCODE_NOTIFY, Malformed, Query, has_reply, parse
from discovery.dns.wire import MAX_TCP, encode, error

_NO_SECONDARY = Answer.refused(Explanation(OTHER, "this server is nobody's secondary and takes no NOTIFY"))
_NO_TRANSFER = Answer.refused(Explanation(OTHER, "zone transfer is not enabled on this server"))
_NO_MAIL = Answer(rcode=Rcode.NOTIMP, authoritative=False)
_BADVERS = Answer(rcode=Rcode.BADVERS, authoritative=False)

# Query types that ask for an operation, not for records.
_OPERATIONS: dict[int, Answer] = {
    Type.AXFR: _NO_TRANSFER,
    Type.IXFR: _NO_TRANSFER,
    Type.MAILA: _NO_MAIL,
    Type.MAILB: _NO_MAIL,
}


class Responder:
    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def respond(self, packet: bytes, now: float, *, udp: bool) -> bytes | None:
        """The reply to one message; None for silence. Never raises for what a stranger sends."""
        if not has_reply(packet):
            return None
        try:
            query = parse(packet)
        except Malformed as malformed:
            return error(packet, malformed.rcode)
        limit = udp_limit(query.edns) if udp else MAX_TCP
        return encode(query, self._answer(query, now), limit)

    def _answer(self, query: Query, now: float) -> Answer:
        if query.edns is not None and query.edns.version > 0:  # RFC 6891 §6.1.3
            return _BADVERS
        if query.opcode == OPCODE_NOTIFY:
            return _NO_SECONDARY
        return _OPERATIONS.get(query.question.type) or self._lookup(query.question, now)
