"""Octets in, a Request out. Strict: the whole message is walked (RFC 1035 §4.1), so that nothing behind it meets garbage.

Names behind the question are stepped over and never followed, so there are no loops to fall into.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import NamedTuple

from discovery.dns.message import edns, names
from discovery.dns.message.client_subnet import Subnet
from discovery.dns.message.edns import MIN_UDP, Edns
from discovery.dns.message.names import ROOT
from discovery.dns.message.values import Question, Rcode, Type

HEADER = struct.Struct("!HHHHHH")
# Three counts of the header; and how the only record begins: the root, OPT.
_NO_RECORDS, _ONE_ADDITIONAL, _OPT_BEGINS = bytes(6), b"\0\0\0\0\0\1", b"\0" + Type.OPT.to_bytes(2, "big")
_FIXED_RR = struct.Struct("!HHIH")  # type, class, ttl, rdlength (RFC 1035 §4.1.3)

QR, RD, RA = 0x8000, 0x0100, 0x0080
_OPCODE_SHIFT, _OPCODE_MASK = 11, 0xF
OPCODE_QUERY, OPCODE_NOTIFY = 0, 4
# RFC 1035 §4.2.2: the length prefix has two octets.
MAX_TCP = 65535


class CutShort(Exception):
    """Raised by a stream of messages that cannot go on: a reply without its end must not look like one that is whole."""


@dataclass(frozen=True, slots=True)
class Transport:
    """What the way a query came means for its reply.

    `keepalive`: seconds that an idle connection is kept, told to clients that ask (RFC 7828). `private`: encrypted, so
    that padding hides something (RFC 7830). `stream` takes a reply of several messages, as zone transfers have them; None
    where a query has one reply. `locality`: the zone of instances that the client is in, "" in none of those that there are, None where
    that is of no account (CLIENT_ZONES). `subnet`: of the client for whom it asks, where that is believed.
    """

    datagram: bool = False
    keepalive: float | None = None
    private: bool = False
    stream: Callable[[AsyncGenerator[bytes]], object] | None = None
    locality: str | None = None
    subnet: Subnet | None = None


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

    @property
    def flags(self) -> int:
        """What a reply's header repeats: the opcode and RD."""
        return self.opcode << _OPCODE_SHIFT | (RD if self.recursion_desired else 0)


class Malformed(Exception):
    """No query that could be answered; `rcode` is what to say to its sender, `flags` what the header of that repeats."""

    def __init__(self, rcode: Rcode, flags: int) -> None:
        super().__init__(rcode.name)
        self.rcode = rcode
        self.flags = flags


class Record(NamedTuple):
    """Where a record stands: `at`, `rdata` and `end` are octets from the start of its message."""

    at: int
    type: int
    klass: int
    ttl: int
    rdata: int
    end: int


def size_limit(edns: Edns | None, transport: Transport) -> int:
    """Octets that a reply may have."""
    if not transport.datagram:
        return MAX_TCP
    return MIN_UDP if edns is None else edns.limit


def has_reply(packet: bytes) -> bool:
    """Whether anything may be sent back: not to what has no whole header, and never to a response (two servers would loop)."""
    return len(packet) >= HEADER.size and not packet[2] & 0x80


def parse(packet: bytes, client: str, transport: Transport) -> Request:
    """Malformed when it is no query. Call it only for what `has_reply`."""
    _, flags, questions, *_ = HEADER.unpack_from(packet)
    opcode = flags >> _OPCODE_SHIFT & _OPCODE_MASK
    if opcode not in (OPCODE_QUERY, OPCODE_NOTIFY):  # RD means nothing there (RFC 1035 §4.1.1 has it for queries)
        raise Malformed(Rcode.NOTIMP, opcode << _OPCODE_SHIFT)
    repeated = opcode << _OPCODE_SHIFT | flags & RD
    try:
        if questions > 1:  # RFC 9619
            raise ValueError("more than one question")
        question, end = _question(packet) if questions else (NO_QUESTION, HEADER.size)
        opt = None if end == len(packet) and packet[6:12] == _NO_RECORDS else _opt(packet, end)
        if not questions and (opt is None or opt.cookie is None):
            raise ValueError("neither a question nor a cookie")
    except (ValueError, IndexError, struct.error):  # the latter two: it ends before it should
        raise Malformed(Rcode.FORMERR, repeated) from None
    return Request(packet[:2], opcode, bool(flags & RD), question, packet[HEADER.size : end], opt, client, transport)


def records(message: bytes) -> list[Record]:
    """Those of all sections behind the question, in order. ValueError, IndexError or struct.error when one is not whole."""
    _, _, questions, *counts = HEADER.unpack_from(message)
    at = HEADER.size
    for _ in range(questions):
        at = names.skip(message, at) + 4
    found = []
    for _ in range(sum(counts)):
        fixed = names.skip(message, at)
        rtype, klass, ttl, length = _FIXED_RR.unpack_from(message, fixed)
        rdata = fixed + _FIXED_RR.size
        found.append(Record(at, rtype, klass, ttl, rdata, rdata + length))
        at = rdata + length
        if at > len(message):
            raise ValueError("a record that is cut short")
    if at != len(message):
        raise ValueError("octets behind the last record")
    return found


def fresh_for(reply: bytes) -> int:
    """Seconds that a well-formed reply may be kept: the shortest TTL of its answer and authority records, 0 without any."""
    _, _, _, answers, authorities, _ = HEADER.unpack_from(reply)
    return min((record.ttl for record in records(reply)[: answers + authorities]), default=0)


def _question(packet: bytes) -> tuple[Question, int]:
    name, at = names.read(packet, HEADER.size)
    rtype, klass = struct.unpack_from("!HH", packet, at)
    if rtype == Type.OPT:
        raise ValueError("OPT is no question")
    return Question(name, rtype, klass), at + 4


def _opt(packet: bytes, at: int) -> Edns | None:
    """RFC 6891 §6.1.1: one, in the additional section, owned by the root. `at`: where the first record begins."""
    if packet[6:12] == _ONE_ADDITIONAL and packet[at : at + 3] == _OPT_BEGINS:  # nearly always
        return edns.parse(packet[at:])
    every = records(packet)
    found = [record for record in every if record.type == Type.OPT]
    if not found:
        return None
    (opt,) = found  # ValueError when there are more
    additionals = int.from_bytes(packet[10:12], "big")
    if opt not in every[len(every) - additionals :]:
        raise ValueError("an OPT in another section")
    return edns.parse(packet[opt.at : opt.end])
