"""Octets in, a Request out. Strict: the whole message is walked (RFC 1035 §4.1), so that nothing behind it meets garbage.

Names in a question cannot be compressed (nothing stands before them); names further on are stepped over, never followed,
so there are no loops to fall into.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import NamedTuple

from discovery.dns.message.edns import Edns, Option, parse_options
from discovery.dns.message.names import MAX_LABEL, MAX_NAME, ROOT, Name
from discovery.dns.message.values import Question, Rcode, Type

HEADER = struct.Struct("!HHHHHH")
_FIXED_RR = struct.Struct("!HHIH")  # type, class, ttl, rdlength (RFC 1035 §4.1.3)

QR, RD, RA = 0x8000, 0x0100, 0x0080
_OPCODE_SHIFT, _OPCODE_MASK = 11, 0xF
OPCODE_QUERY, OPCODE_NOTIFY = 0, 4


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


UDP = Transport(datagram=True)
HTTPS = Transport(private=True)

# Of a message without a question: its client only wants a cookie (RFC 7873 §5.4).
NO_QUESTION = Question(ROOT, 0, 0)


class Request(NamedTuple):
    """One query, parsed once: everything that its answer and its reply may depend on, but for the time.

    `question` is in lower case, `question_wire` is its section as the client spelt it (0x20). `edns` is None when the client
    sent no OPT. `client` is its address, "" where none is known.
    """

    id: bytes
    opcode: int
    recursion_desired: bool
    question: Question
    question_wire: bytes
    edns: Edns | None
    client: str
    transport: Transport


class Malformed(Exception):
    """No query that could be answered; `rcode` is what to say to its sender."""

    def __init__(self, rcode: Rcode) -> None:
        super().__init__(rcode.name)
        self.rcode = rcode


def has_reply(packet: bytes) -> bool:
    """Whether anything may be sent back: not to what has no id, and never to a response (two servers would loop)."""
    return len(packet) >= 2 and not (len(packet) > 2 and packet[2] & 0x80)


def parse(packet: bytes, client: str, transport: Transport) -> Request:
    """Malformed when it is no query. Call it only for what `has_reply`."""
    if len(packet) < HEADER.size:
        raise Malformed(Rcode.FORMERR)
    _, flags, questions, answers, authorities, additionals = HEADER.unpack_from(packet)
    opcode = flags >> _OPCODE_SHIFT & _OPCODE_MASK
    if opcode not in (OPCODE_QUERY, OPCODE_NOTIFY):
        raise Malformed(Rcode.NOTIMP)
    if questions > 1:  # RFC 9619
        raise Malformed(Rcode.FORMERR)
    try:
        question, at = _question(packet) if questions else (NO_QUESTION, HEADER.size)
        edns, end = _records(packet, at, answers + authorities, additionals)
    except (IndexError, struct.error):  # it ends before it should
        raise Malformed(Rcode.FORMERR) from None
    if end != len(packet):
        raise Malformed(Rcode.FORMERR)
    if not questions and (edns is None or Option.COOKIE not in edns.options):
        raise Malformed(Rcode.FORMERR)
    return Request(packet[:2], opcode, bool(flags & RD), question, packet[HEADER.size : at], edns, client, transport)


def fresh_for(reply: bytes) -> int:
    """Seconds that a well-formed reply may be kept: the shortest TTL of its answer and authority records, 0 without any."""
    _, _, questions, answers, authorities, _ = HEADER.unpack_from(reply)
    at = HEADER.size
    for _ in range(questions):
        at = _skip_name(reply, at) + 4
    ttls = []
    for _ in range(answers + authorities):
        at = _skip_name(reply, at)
        _, _, ttl, length = _FIXED_RR.unpack_from(reply, at)
        at += _FIXED_RR.size + length
        ttls.append(ttl)
    return min(ttls, default=0)


def _question(packet: bytes) -> tuple[Question, int]:
    name, at = _name(packet, HEADER.size)
    qtype, klass = struct.unpack_from("!HH", packet, at)
    if qtype == Type.OPT:
        raise Malformed(Rcode.FORMERR)
    return Question(name, qtype, klass), at + 4


def _name(packet: bytes, at: int) -> tuple[Name, int]:
    labels, start = [], at
    while size := packet[at]:
        if size > MAX_LABEL or at + 1 + size >= len(packet) or at + 2 + size - start > MAX_NAME:
            raise Malformed(Rcode.FORMERR)
        labels.append(packet[at + 1 : at + 1 + size].lower())
        at += 1 + size
    return tuple(labels), at + 1


def _records(packet: bytes, at: int, others: int, additionals: int) -> tuple[Edns | None, int]:
    """Steps over the records behind the question; the OPT among the additional ones, and where the message ends."""
    edns: Edns | None = None
    for number in range(others + additionals):
        owner = at
        at = _skip_name(packet, at)
        rtype, size, ttl, length = _FIXED_RR.unpack_from(packet, at)
        at += _FIXED_RR.size + length
        if at > len(packet):
            raise Malformed(Rcode.FORMERR)
        if rtype == Type.OPT:
            # RFC 6891 §6.1.1: one, in the additional section, owned by the root.
            if edns is not None or number < others or packet[owner]:
                raise Malformed(Rcode.FORMERR)
            options = parse_options(packet[at - length : at])
            if options is None:
                raise Malformed(Rcode.FORMERR)
            edns = Edns(size, ttl >> 16 & 0xFF, bool(ttl & 0x8000), options)
    return edns, at


def _skip_name(packet: bytes, at: int) -> int:
    while size := packet[at]:
        if size & 0xC0 == 0xC0:
            return at + 2
        if size > MAX_LABEL:
            raise Malformed(Rcode.FORMERR)
        at += 1 + size
    return at + 1
