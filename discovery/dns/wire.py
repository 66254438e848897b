"""An Answer in, octets out. dnslib packs the records.

Every record is packed on its own, compressed against the question only: a piece is independent of its place, so a reply is
pieces laid down until the limit is reached. An answer record and its companions go together, and TC is set when any had to
be left out (RFC 2181 §9).
"""

from __future__ import annotations

from collections.abc import Iterable

import dnslib
from dnslib.label import DNSBuffer

from discovery.dns.edns import explanation_option, opt_record
from discovery.dns.message import RR, Answer, Class
from discovery.dns.names import Name
from discovery.dns.query import HEADER, QR, Query

_AA, _TC, _RD = 0x0400, 0x0200, 0x0100
# RFC 1035 §4.2.2: the length prefix has two octets.
MAX_TCP = 65535


class Piece:
    """Octets of one section, with the number of records in them."""

    __slots__ = ("count", "octets")

    def __init__(self, records: Iterable[bytes]) -> None:
        packed = tuple(records)
        self.count = len(packed)
        self.octets = b"".join(packed)


def encode(query: Query, answer: Answer, limit: int) -> bytes:
    """The reply to `query`, at most `limit` octets."""
    pack = _Packer(query.question.name)
    authority = Piece(map(pack, answer.authority))
    glue = Piece(map(pack, answer.glue))
    opt = _opt(query, answer, limit - HEADER.size - len(query.question_wire) - len(authority.octets) - len(glue.octets))
    room = limit - HEADER.size - len(query.question_wire) - len(opt)
    truncated = len(authority.octets) + len(glue.octets) > room
    if truncated:
        authority = glue = Piece(())
    room -= len(authority.octets) + len(glue.octets)

    laid: list[bytes] = []
    beside: dict[bytes, None] = {}  # companions, each once
    for index, rr in enumerate(answer.answer):
        piece = pack(rr)
        companions = answer.companions[index] if answer.companions else ()
        news = [packed for packed in map(pack, companions) if packed not in beside]
        room -= len(piece) + sum(map(len, news))
        if room < 0:
            truncated = True
            break
        laid.append(piece)
        beside.update(dict.fromkeys(news))

    flags = _flags(query, answer, truncated)
    additional = glue.count + len(beside) + (1 if opt else 0)
    header = HEADER.pack(query.id, flags, 1, len(laid), authority.count, additional)
    return b"".join((header, query.question_wire, *laid, authority.octets, glue.octets, *beside, opt))


def error(packet: bytes, rcode: int) -> bytes:
    """A bare header for what could not be parsed: its id, opcode and RD bit, and the rcode."""
    flags = QR | (packet[2] & 0x79) << 8 if len(packet) > 2 else QR
    return packet[:2] + (flags | rcode).to_bytes(2, "big") + bytes(8)


def _flags(query: Query, answer: Answer, truncated: bool) -> int:
    return (
        QR
        | query.opcode << 11
        | (_AA if answer.authoritative else 0)
        | (_TC if truncated else 0)
        | (_RD if query.recursion_desired else 0)
        | answer.rcode & 0xF
    )


def _opt(query: Query, answer: Answer, room: int) -> bytes:
    """OPT only when the client sent one (RFC 6891 §7); the explanation only where it fits."""
    if query.edns is None:
        return b""
    bare = opt_record(query.edns, answer.rcode, b"")
    if answer.explanation is None:
        return bare
    explained = opt_record(query.edns, answer.rcode, explanation_option(answer.explanation))
    return explained if len(explained) <= room else bare


class _Packer:
    """Packs one record at a time, its owner compressed against the question's name (RFC 1035 §4.1.4)."""

    def __init__(self, question: Name) -> None:
        self._suffixes: dict[Name, int] = {}
        at = HEADER.size
        for start, label in enumerate(question):
            self._suffixes[question[start:]] = at
            at += 1 + len(label)

    def __call__(self, rr: RR) -> bytes:
        buffer = DNSBuffer()
        buffer.names = self._suffixes.copy()  # dnslib adds its own offsets, which mean nothing to the next piece
        dnslib.RR(rr.name, rr.type, Class.IN, rr.ttl, dnslib.RD(rr.rdata)).pack(buffer)
        return bytes(buffer.data)
