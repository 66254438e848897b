"""In front of the responder: who asks for a transfer is let in or told why not, and whoever signs gets a signed reply.

All other messages pass with one look.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from discovery.core.network import Network, Networks
from discovery.dns.message.names import to_text
from discovery.dns.message.query import (
    OPCODE_QUERY,
    Malformed,
    Request,
    Transport,
    has_reply,
    parse,
    records,
    size_limit,
)
from discovery.dns.message.values import (
    NOT_AUTHORITATIVE,
    NOT_READY,
    OTHER,
    PROHIBITED,
    Answer,
    Class,
    Explanation,
    Rcode,
    Type,
)
from discovery.dns.message.wire import Template, error
from discovery.dns.server.responder import Respond
from discovery.dns.zones.records import soa_serial
from discovery.plugins.transfer import tsig
from discovery.plugins.transfer.sending import Sending
from discovery.plugins.transfer.tsig import Keys, Signer, Unverified

_log = logging.getLogger("discovery.transfer")

# Seconds between two lines about transfers that are refused, whoever asks: one that has no right must not fill the log.
LINE_SECONDS = 10.0

_TYPES = (Type.AXFR, Type.IXFR)
_ON_THE_WIRE = tuple(rtype.to_bytes(2, "big") for rtype in _TYPES)
# Type, class and the first half of the TTL of a TSIG record. What has these octets by chance is looked at more closely, and passes.
_TSIG_MARK = tsig.TYPE.to_bytes(2, "big") + b"\0\xff\0\0"

_FORMERR = Answer(rcode=Rcode.FORMERR, authoritative=False)
_NOT_LOADED = Answer.failed(
    Explanation(NOT_READY, "not loaded yet: the registry is still being filled, ask again in a moment")
)
# RFC 8945 §5.3: question and signature only.
_CUT = Answer(complete=False)
_NEEDS_STREAM = Answer.refused(Explanation(OTHER, "a transfer has several messages: ask over TCP or TLS"))


class TransferResponder:
    """`keys` gives those that are valid at the moment, by name; `wall` seconds since the epoch."""

    def __init__(
        self,
        inner: Respond,
        sending: Sending,
        keys: Callable[[], Keys],
        networks: Sequence[Network],
        wall: Callable[[], float],
    ) -> None:
        self._inner = inner
        self._sending = sending
        self._keys = keys
        self._networks = Networks(networks)
        self._wall = wall
        self._next_line = float("-inf")

    def respond(
        self, packet: bytes, now: float, client: str, transport: Transport
    ) -> bytes | Coroutine[Any, Any, bytes] | None:
        if not _concerns(packet) or not has_reply(packet):
            return self._inner(packet, now, client, transport)
        try:
            query = parse(packet, client, transport)
            signed = tsig.find(packet)
            checked = None if signed is None else tsig.check(packet, signed, self._keys(), int(self._wall()))
        except Malformed:
            return self._inner(packet, now, client, transport)  # which says so
        except tsig.Malformed:
            return error(packet, Malformed(Rcode.FORMERR, query.flags))
        is_transfer = query.opcode == OPCODE_QUERY and query.question.type in _TYPES
        if isinstance(checked, Unverified):
            if is_transfer:
                self._say_refused(query, checked.text, now)
            return self._unverified(query, checked)
        if is_transfer:
            refusal = self._refusal(checked, client)
            if refusal is not None:
                self._say_refused(query, str(refusal.explanation.text) if refusal.explanation else "", now)
            return self._transfer(packet, query, checked, refusal, transport)
        if signed is None or checked is None:
            return self._inner(packet, now, client, transport)
        reply = self._inner(tsig.without(packet, signed), now, client, transport)
        if isinstance(reply, bytes):
            return self._signed(reply, query, checked)
        return None if reply is None else self._signed_later(reply, query, checked)

    def _transfer(
        self,
        packet: bytes,
        query: Request,
        signer: Signer | None,
        refusal: Answer | None,
        transport: Transport,
    ) -> bytes | None:
        answer = refusal or self._at_once(packet, query, transport)
        if answer is not None:
            reply = _reply(query, answer)
            return self._signed(reply, query, signer) if signer else reply
        assert signer is not None
        assert transport.stream is not None
        busy = _reply(query, self._sending.busy)
        transport.stream(self._sending.messages(query, signer, query.client, busy))
        return None

    def _refusal(self, signer: Signer | None, client: str) -> Answer | None:
        missing = []
        if signer is None:
            missing.append("it must be signed with a TSIG key")
        if client not in self._networks:
            missing.append(f"{client} is in no network of TRANSFER_ALLOW")
        return Answer.refused(Explanation(PROHIBITED, f"no transfer: {', and '.join(missing)}")) if missing else None

    def _say_refused(self, query: Request, reason: str, now: float) -> None:
        """`dig` and secondaries print no reason of a transfer that fails. Over TCP alone: sources of datagrams are forged."""
        if query.transport.stream is None or now < self._next_line:
            return
        self._next_line = now + LINE_SECONDS
        _log.warning(
            "%(client)s asked for a transfer of %(zone)s and did not get it: %(reason)s",
            {
                "event": "transfer.refused",
                "zone": to_text(query.question.name),
                "client": query.client,
                "reason": reason,
            },
        )

    def _at_once(self, packet: bytes, query: Request, transport: Transport) -> Answer | None:
        """What there is to say to somebody who may transfer, if it is not the whole zone."""
        question = query.question
        zone = self._sending.zones.get(question.name)
        if zone is None or question.klass != Class.IN:  # RFC 5936 §2.2.1
            text = f"{to_text(question.name)} is no zone of this server"
            return Answer(rcode=Rcode.NOTAUTH, authoritative=False, explanation=Explanation(NOT_AUTHORITATIVE, text))
        if not self._sending.loaded:
            return _NOT_LOADED
        if question.type == Type.AXFR:
            return None if transport.stream is not None else _NEEDS_STREAM
        serial = _serial_of(packet)
        if serial is None:
            return _FORMERR
        soa = zone.soa()
        # RFC 1995 §2: the SOA alone when there is nothing newer, and when more does not fit a datagram.
        return Answer.of([soa]) if transport.stream is None or not _is_newer(soa_serial(soa.rdata), serial) else None

    def _unverified(self, query: Request, unverified: Unverified) -> bytes:
        """RFC 8945 §5.3.2."""
        explanation = Explanation(PROHIBITED, unverified.text)
        reply = _reply(query, Answer(rcode=Rcode.NOTAUTH, authoritative=False, explanation=explanation))
        if unverified.signer is None:
            return unverified.unsigned(reply)
        other = int(self._wall()).to_bytes(6, "big") if unverified.error == tsig.BADTIME else b""
        at = unverified.tsig.rdata.time_signed if unverified.error == tsig.BADTIME else int(self._wall())  # §5.2.3
        return unverified.signer.sign(reply, at, unverified.error, other)

    def _signed(self, reply: bytes, query: Request, signer: Signer) -> bytes:
        now = int(self._wall())
        signed = signer.sign(reply, now)
        if len(signed) <= size_limit(query.edns, query.transport):
            return signed
        signer.restart()
        return signer.sign(_reply(query._replace(edns=None), _CUT), now)

    async def _signed_later(self, reply: Coroutine[Any, Any, bytes], query: Request, signer: Signer) -> bytes:
        return self._signed(await reply, query, signer)


def _concerns(packet: bytes) -> bool:
    end = packet.find(0, 12) + 1
    return packet[end : end + 2] in _ON_THE_WIRE or _TSIG_MARK in packet


def _reply(query: Request, answer: Answer) -> bytes:
    return Template(query.question, answer).reply_to(query)


def _serial_of(packet: bytes) -> int | None:
    """The client's, in the SOA of the authority section (RFC 1995 §3); None when there is none."""
    answers, authorities = int.from_bytes(packet[6:8], "big"), int.from_bytes(packet[8:10], "big")
    for record in records(packet)[answers : answers + authorities]:
        if record.type == Type.SOA and record.end - record.rdata >= 22:
            return soa_serial(packet[record.rdata : record.end])
    return None


def _is_newer(one: int, other: int) -> bool:
    """RFC 1982 §3.2."""
    return 0 < (one - other & 0xFFFFFFFF) < 1 << 31
