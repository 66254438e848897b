"""An Answer in, octets out. dnslib packs the records.

Every record is packed on its own, compressed against the question only: a piece is independent of its place, so a reply
is pieces laid down until the limit is reached. An answer record and its companions go together, and TC is set when any
had to be left out (RFC 2181 §9).
"""

from __future__ import annotations

from collections.abc import Iterable

import dnslib
from dnslib.label import DNSBuffer

from discovery.dns.edns import Option, explanation_option, opt_record, option
from discovery.dns.message import RR, Answer, Class, Question
from discovery.dns.names import Name
from discovery.dns.query import HEADER, QR, RD, Query

_AA, _TC, _RA = 0x0400, 0x0200, 0x0080
# RFC 1035 §4.2.2: the length prefix has two octets.
MAX_TCP = 65535


class Section:
    """Packed records that are laid down whole."""

    def __init__(self, records: Iterable[bytes] = ()) -> None:
        packed = tuple(records)
        self.count = len(packed)
        self.octets = b"".join(packed)


def encode(query: Query, answer: Answer, limit: int, options: bytes = b"", block: int = 0) -> bytes:
    """The reply to `query`, at most `limit` octets. `options` go into its OPT, if the client sent one.

    `block`: pad to a multiple of so many octets (RFC 8467 §4.1), 0 for not at all.
    """
    pack = _Packer(query.question)
    authority, glue = Section(map(pack, answer.authority)), Section(map(pack, answer.glue))
    room = limit - HEADER.size - len(query.question_wire)
    opt = _opt(query, answer, options, room - len(authority.octets) - len(glue.octets))
    room -= len(opt) + len(authority.octets) + len(glue.octets)
    truncated = room < 0
    if truncated:
        room += len(authority.octets) + len(glue.octets)
        authority = glue = Section()

    laid, beside, complete = _lay(answer, pack, room)
    truncated = truncated or not complete or not answer.complete
    additional = glue.count + len(beside) + (1 if opt else 0)
    header = HEADER.pack(
        query.id,
        _flags(query, answer, truncated),
        1 if query.question_wire else 0,
        len(laid),
        authority.count,
        additional,
    )
    reply = b"".join((header, query.question_wire, *laid, authority.octets, glue.octets, *beside, opt))
    return _padded(reply, len(opt), block, limit) if block and opt else reply


def error(packet: bytes, rcode: int) -> bytes:
    """A bare header for what could not be parsed: its id, opcode and RD bit, and the rcode."""
    flags = QR | (packet[2] & 0x79) << 8 if len(packet) > 2 else QR
    return packet[:2] + (flags | rcode).to_bytes(2, "big") + bytes(8)


def _lay(answer: Answer, pack: _Packer, room: int) -> tuple[list[bytes], dict[bytes, None], bool]:
    """The answer records that fit, their companions (each once), and whether all did."""
    laid: list[bytes] = []
    beside: dict[bytes, None] = {}
    for index, rr in enumerate(answer.answer):
        piece = pack(rr)
        companions = answer.companions[index] if answer.companions else ()
        news = dict.fromkeys(packed for packed in map(pack, companions) if packed not in beside)
        room -= len(piece) + sum(map(len, news))
        if room < 0:
            return laid, beside, False
        laid.append(piece)
        beside |= news
    return laid, beside, True


def _flags(query: Query, answer: Answer, truncated: bool) -> int:
    return (
        QR
        | query.opcode << 11
        | (_AA if answer.authoritative else 0)
        | (_TC if truncated else 0)
        | (RD if query.recursion_desired else 0)
        | (_RA if answer.recursive else 0)
        | answer.rcode & 0xF
    )


def _opt(query: Query, answer: Answer, options: bytes, room: int) -> bytes:
    """OPT when the client sent one (RFC 6891 §7); the explanation only where it fits."""
    if query.edns is None:
        return b""
    bare = opt_record(query.edns, answer.rcode, options)
    if answer.explanation is None:
        return bare
    explained = opt_record(query.edns, answer.rcode, options + explanation_option(answer.explanation))
    return explained if len(explained) <= room else bare


def _padded(reply: bytes, opt_size: int, block: int, limit: int) -> bytes:
    """The OPT stands last: a padding option is appended and its length corrected."""
    size = min(-(-(len(reply) + 4) // block) * block, limit)
    padding = option(Option.PADDING, bytes(max(0, size - len(reply) - 4)))
    at = len(reply) - opt_size + 9
    length = int.from_bytes(reply[at : at + 2], "big") + len(padding)
    return reply[:at] + length.to_bytes(2, "big") + reply[at + 2 :] + padding


class _Packer:
    """Packs one record at a time, its owner compressed against the question's name (RFC 1035 §4.1.4)."""

    def __init__(self, question: Question | None) -> None:
        self._class = Class.CH if question is not None and question.klass == Class.CH else Class.IN
        self._suffixes: dict[Name, int] = {}
        at = HEADER.size
        name = question.name if question is not None else ()
        for start, label in enumerate(name):
            self._suffixes[name[start:]] = at
            at += 1 + len(label)

    def __call__(self, rr: RR) -> bytes:
        buffer = DNSBuffer()
        buffer.names = self._suffixes.copy()  # dnslib adds its own offsets, which mean nothing to the next piece
        dnslib.RR(rr.name, rr.type, self._class, rr.ttl, dnslib.RD(rr.rdata)).pack(buffer)
        return bytes(buffer.data)
