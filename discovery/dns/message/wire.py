"""An Answer packed once into a Template, a Template laid down into any number of replies. dnslib packs the records.

Every record is packed on its own, compressed against the question only. An answer record and its companions are laid down
together or not at all, and TC is set when any had to be left out (RFC 2181 §9).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from random import Random

import dnslib
from dnslib.label import DNSBuffer

from discovery.dns.message.edns import Edns, Option, explanation_option, opt_record, option
from discovery.dns.message.names import Name, to_labels
from discovery.dns.message.query import HEADER, QR
from discovery.dns.message.template import Alternatives, Laid, Piece, lay_in_order
from discovery.dns.message.values import RR, Answer, Class, Explanation, Question, Rcode

_AA, _TC = 0x0400, 0x0200
_AFTER_ID = struct.Struct("!HHHHH")  # the header's flags and counts
_POINTER = 0xC000  # RFC 1035 §4.1.4
_FIXED = struct.Struct("!HHHIH")  # a pointer for the owner; type, class, ttl, rdlength
# RFC 1035 §4.2.2: the length prefix has two octets.
MAX_TCP = 65535
# Octets of a template that is kept. More do not fit a datagram, and whoever asks for so many can wait a millisecond.
_MAX_KEPT = 4096


class Template:
    """`question` None: the reply has none. `random` draws the order of alternatives."""

    def __init__(self, question: Question | None, answer: Answer, random: Random) -> None:
        pack = _Packer(question)
        self.flags = QR | (_AA if answer.authoritative else 0) | answer.rcode & 0xF
        self.rcode = answer.rcode
        self.explanation: Explanation | None = answer.explanation
        self._complete = answer.complete
        self._in_order = _pieces(answer, range(answer.aliases if answer.ranks else len(answer.answer)), pack)
        self._alternatives = _alternatives(answer, pack, random) if answer.ranks else None
        self._only = None if self._in_order else self._alternatives  # nearly always: straight to them
        self._authority = Section(map(pack, answer.authority)) if answer.authority else _NOTHING
        self._glue = Section(map(pack, answer.glue)) if answer.glue else _NOTHING
        self._whole = len(self._authority.octets) + len(self._glue.octets)
        self._in_order_size = sum(piece.size for piece in self._in_order)

    @property
    def small(self) -> bool:
        """Worth keeping."""
        others = self._alternatives
        size = self._whole + self._in_order_size + (others.size if others else 0)
        return size <= _MAX_KEPT and (others is None or others.few)

    def reply(self, id: bytes, flags: int, question: bytes, opt: bytes, limit: int) -> bytes:
        """At most `limit` octets. `flags` come on top of the answer's own; `question` as the client spelt it."""
        room = limit - HEADER.size - len(question) - len(opt)
        authority, glue, complete = self._authority, self._glue, self._complete
        if self._whole > room:
            authority = glue = _NOTHING
            complete = False
        elif self._whole:
            room -= self._whole
        only = self._only
        laid = self._lay(max(0, room)) if only is None else only.lay(max(0, room))
        answer, answers, beside, besides, all_laid = laid
        if not (complete and all_laid):
            flags |= _TC
        additional = glue.count + besides + (1 if opt else 0)
        header = _AFTER_ID.pack(self.flags | flags, 1 if question else 0, answers, authority.count, additional)
        return b"".join((id, header, question, answer, authority.octets, glue.octets, beside, opt))

    def opt(self, edns: Edns, options: bytes, room: int) -> bytes:
        """The reply's OPT, with the explanation where it fits into `room` octets beside all the rest: it is the first to go
        (RFC 8914 §3).
        """
        bare = opt_record(edns, self.rcode, options)
        if self.explanation is None:
            return bare
        explained = opt_record(edns, self.rcode, options + explanation_option(self.explanation))
        others = self._alternatives
        room -= HEADER.size + self._whole + self._in_order_size + (others.about() if others else 0)
        return explained if len(explained) <= room else bare

    def _lay(self, room: int) -> Laid:
        """Aliases in their order, then alternatives in a drawn one."""
        if not self._in_order:
            return _EMPTY if self._alternatives is None else self._alternatives.lay(room)
        first = lay_in_order(self._in_order, room)
        if self._alternatives is None or not first[4]:
            return first
        rest = self._alternatives.lay(room - len(first[0]) - len(first[2]))
        return first[0] + rest[0], first[1] + rest[1], first[2] + rest[2], first[3] + rest[3], rest[4]


def error(packet: bytes, rcode: int) -> bytes:
    """A bare header for what could not be parsed: its id, opcode and RD bit, and the rcode."""
    flags = QR | (packet[2] & 0x79) << 8 if len(packet) > 2 else QR
    return packet[:2] + (flags | rcode).to_bytes(2, "big") + bytes(8)


def padded(reply: bytes, opt_size: int, block: int, limit: int) -> bytes:
    """The reply padded to a multiple of `block` octets (RFC 8467 §4.1); its OPT stands last and gets one more option."""
    size = min(-(-(len(reply) + 4) // block) * block, limit)
    padding = option(Option.PADDING, bytes(max(0, size - len(reply) - 4)))
    at = len(reply) - opt_size + 9
    length = int.from_bytes(reply[at : at + 2], "big") + len(padding)
    return reply[:at] + length.to_bytes(2, "big") + reply[at + 2 :] + padding


class Section:
    """A section that is laid down whole."""

    def __init__(self, records: Iterable[bytes] = ()) -> None:
        packed = tuple(records)
        self.count = len(packed)
        self.octets = b"".join(packed)


_NOTHING = Section()
_EMPTY = lay_in_order((), 0)


def _pieces(answer: Answer, indices: Iterable[int], pack: _Packer) -> list[Piece]:
    """Companions that several records share go with the first of them."""
    pieces: list[Piece] = []
    seen: set[bytes] = set()
    for index in indices:
        companions = answer.companions[index] if answer.companions else ()
        beside = [packed for packed in dict.fromkeys(map(pack, companions)) if packed not in seen]
        seen.update(beside)
        pieces.append(Piece(pack(answer.answer[index]), b"".join(beside), len(beside)))
    return pieces


def _alternatives(answer: Answer, pack: _Packer, random: Random) -> Alternatives:
    def piece(index: int) -> Piece:
        return _pieces(answer, [answer.aliases + index], pack)[0]

    return Alternatives(piece, answer.ranks, answer.most, random)


def packed_soa(soa: RR, at: int) -> Section:
    """For a question whose name has the SOA's owner from octet `at` on."""
    fixed = _FIXED.pack(_POINTER | HEADER.size + at, soa.type, Class.IN, soa.ttl, len(soa.rdata))
    return Section([fixed + soa.rdata])


def nxdomain(id: bytes, flags: int, question: bytes, authority: Section) -> bytes:
    """The whole reply, without OPT."""
    header = _AFTER_ID.pack(QR | _AA | Rcode.NXDOMAIN | flags, 1, 0, authority.count, 0)
    return b"".join((id, header, question, authority.octets))


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
        # Nearly all names end like the question's: a pointer to that end takes 1 µs where dnslib takes 11.
        for start in range(len(rr.name)):
            at = self._suffixes.get(rr.name[start:])
            if at is not None:
                fixed = _FIXED.pack(_POINTER | at, rr.type, self._class, rr.ttl, len(rr.rdata))
                return to_labels(rr.name[:start]) + fixed + rr.rdata
        buffer = DNSBuffer()
        buffer.names = self._suffixes.copy()  # dnslib adds its own offsets, which mean nothing to the next piece
        dnslib.RR(rr.name, rr.type, self._class, rr.ttl, dnslib.RD(rr.rdata)).pack(buffer)
        return bytes(buffer.data)
