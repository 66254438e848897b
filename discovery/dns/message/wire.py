"""The encoder: an Answer is packed once into a Template, a Template laid down into any number of replies. dnslib packs records.

Every record is packed on its own, compressed against the question only. An answer record and its companions are laid down
together or not at all, and TC is set when any had to be left out (RFC 2181 §9). What belongs to one reply alone (id, flags, the
question's spelling, EDNS) comes with each call of `reply`; a signature that belongs to an answer is a piece of its template.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import partial
from random import Random
from typing import NamedTuple

import dnslib
from dnslib.label import DNSBuffer

from discovery.dns.message.edns import MIN_UDP, OPT_SIZE, Edns, Option, explanation_option, opt_heads, option
from discovery.dns.message.names import Name, to_labels
from discovery.dns.message.query import HEADER, MAX_TCP, NO_QUESTION, QR, UDP, Malformed, Request, Transport
from discovery.dns.message.template import MAX_KEPT, Alternatives, FirstOnes, Laid, Piece, lay_in_order, of_few, of_many
from discovery.dns.message.values import RR, Answer, Class, Question

_AA, _TC = 0x0400, 0x0200
_AFTER_ID = struct.Struct("!HHHHH")  # the header's flags and counts
_POINTER = 0xC000  # RFC 1035 §4.1.4
_QUESTION = (_POINTER | HEADER.size).to_bytes(2, "big")
_FIXED = struct.Struct("!HHIH")  # type, class, ttl, rdlength
# Octets of a template that is kept. More do not fit a datagram, and whoever asks for so many can wait a millisecond.
_MAX_KEPT = 4096
# RFC 8467 §4.1.
_PADDING_BLOCK = 468
# For answers that have no alternatives.
_UNUSED = Random(0)


class Whole(NamedTuple):
    """Authority records and their glue, which stands first in the additional section: laid down all or not at all."""

    octets: bytes
    authorities: int
    glue: int


_NOTHING = Whole(b"", 0, 0)


class Template:
    """`random` draws the order of alternatives."""

    __slots__ = (
        "__weakref__",
        "_alternatives",
        "_complete",
        "_cut",
        "_explained",
        "_explanation",
        "_flags",
        "_in_order",
        "_only",
        "_opt_heads",
        "_size",
        "_whole",
    )

    def __init__(self, question: Question, answer: Answer, random: Random = _UNUSED) -> None:
        pack = Packer(question)
        self._flags = QR | (_AA if answer.authoritative else 0) | answer.rcode & 0xF
        self._opt_heads = _OPT_HEADS if answer.rcode < 16 else opt_heads(answer.rcode)
        self._explanation = answer.explanation
        self._explained: bytes | None = (
            None if answer.explanation else b""
        )  # made for the first client that can be told
        self._complete = answer.complete
        self._cut = answer.cut
        in_order = range(answer.aliases if answer.ranks else len(answer.answer))
        self._in_order = _pieces(answer, in_order, pack) if in_order else ()
        self._alternatives = _alternatives(answer, pack, random) if answer.ranks else None
        self._only = None if self._in_order else self._alternatives  # nearly always: straight to them
        self._whole = _whole(pack, answer.authority, answer.glue) if answer.authority or answer.glue else _NOTHING
        self._size = len(self._whole.octets) + sum([len(piece[0]) + len(piece[1]) for piece in self._in_order])
        if self._alternatives is not None:
            self._size += self._alternatives.max_size()

    @property
    def size(self) -> int:
        """Octets of all its records; of many, an upper bound."""
        return self._size

    @property
    def small(self) -> bool:
        """Worth keeping."""
        return self._size <= _MAX_KEPT and (self._alternatives is None or self._alternatives.few)

    def replace_authority(self, question: Question, authority: Sequence[RR]) -> None:
        """The same answer, one without glue, with a newer SOA. `question`: the one that the template was made for."""
        before, self._whole = self._whole, _whole(Packer(question), authority)
        self._size += len(self._whole.octets) - len(before.octets)

    def reply_to(self, request: Request, flags: int = 0, options: bytes = b"") -> bytes:
        """`flags` and `options` come on top of what the request asks to be repeated."""
        of = request
        return self.reply(of.id, of.flags | flags, of.question_wire, of.edns, options, of.transport)

    def reply(
        self,
        id: bytes,
        flags: int,
        question: bytes,
        edns: Edns | None,
        options: bytes,
        transport: Transport,
        explained: bytes | None = None,
    ) -> bytes:
        """`question` as the client spelt it; `edns` the query's, `options` of the reply; `explained`: another EDE option than the
        answer's own. The explanation is the first to go when not all fits (RFC 8914 §3).
        """
        limit = (
            MAX_TCP if not transport.datagram else MIN_UDP if edns is None else edns.limit
        )  # as size_limit, without a call
        room = limit - _HEADER - len(question)
        opt = opt_length = b""
        if edns is not None:
            if self._cut is not None and transport.datagram:
                limit = min(edns.size, self._cut.limit)
                room = limit - _HEADER - len(question)
            opt = self._opt_heads[edns.dnssec_ok]
            if explained is None:
                explained = self._explain() if self._explained is None else self._explained
            if explained and self._size + OPT_SIZE + len(options) + len(explained) <= room:
                options += explained
            room -= OPT_SIZE + len(options)
        complete = self._complete
        whole, authorities, glue = self._whole
        if whole and len(whole) > room:
            whole, authorities, glue = _NOTHING
            complete = False
        room -= len(whole)
        only = self._only
        lay = self._lay if only is None else only.lay
        answer, answers, beside, besides, all_laid = lay(room if room > 0 else 0)
        if not (complete and all_laid):
            flags |= _TC
        additional = glue + besides
        if edns is not None:
            additional += 1
            if transport.private and Option.PADDING in edns.options:
                sections = len(answer) + len(whole) + len(beside)
                options += _padding(_HEADER + len(question) + sections + OPT_SIZE + len(options), limit)
            opt_length = len(options).to_bytes(2, "big")
        header = _AFTER_ID.pack(self._flags | flags, 1 if question else 0, answers, authorities, additional)
        return b"".join((id, header, question, answer, whole, beside, opt, opt_length, options))

    def _explain(self) -> bytes:
        assert self._explanation is not None
        code, text, _ = self._explanation
        self._explained = explanation_option(code, text if isinstance(text, str) else text())
        return self._explained

    def _lay(self, room: int) -> Laid:
        """Aliases in their order, then alternatives in a drawn one."""
        if not self._in_order:
            return _EMPTY if self._alternatives is None else self._alternatives.lay(room)
        first = lay_in_order(self._in_order, room)
        if self._alternatives is None or not first[4]:
            return first
        rest = self._alternatives.lay(room - len(first[0]) - len(first[2]))
        return first[0] + rest[0], first[1] + rest[1], first[2] + rest[2], first[3] + rest[3], rest[4]


def error(packet: bytes, malformed: Malformed) -> bytes:
    """A bare header for what could not be parsed."""
    answer = Answer(rcode=malformed.rcode, authoritative=False)
    return Template(NO_QUESTION, answer).reply(packet[:2], malformed.flags, b"", None, b"", UDP)


def _padding(size: int, limit: int) -> bytes:
    """An option that makes a reply of `size` octets a multiple of the block."""
    padded = min(-(-(size + 4) // _PADDING_BLOCK) * _PADDING_BLOCK, limit)
    return option(Option.PADDING, bytes(max(0, padded - size - 4)))


_HEADER = HEADER.size
_OPT_HEADS = opt_heads(0)


def _whole(pack: Packer, authority: Sequence[RR], glue: Sequence[RR] = ()) -> Whole:
    return Whole(b"".join(pack.all((*authority, *glue))), len(authority), len(glue))


_EMPTY = lay_in_order((), 0)


def _pieces(answer: Answer, indices: Iterable[int], pack: Packer) -> list[Piece]:
    """Companions that several records share go with the first of them."""
    pieces: list[Piece] = []
    seen: set[bytes] = set()
    for index in indices:
        companions = answer.companions[index] if answer.companions else ()
        beside = [packed for packed in dict.fromkeys(pack.all(companions)) if packed not in seen]
        seen.update(beside)
        pieces.append((pack(answer.answer[index]), b"".join(beside), len(beside)))
    return pieces


def _alternatives(answer: Answer, pack: Packer, random: Random) -> Alternatives:
    first, ranks = answer.aliases, answer.ranks
    is_silent = answer.cut is not None and answer.cut.silent
    if len(ranks) > MAX_KEPT and not is_silent:
        return of_many(partial(_piece, pack, answer), ranks, answer.most, random)
    records, companions = pack.all(answer.answer[first:]), answer.companions[first:]
    counts = list(map(len, companions)) or [0] * len(records)
    if counts.count(1) == len(counts):  # nearly always, or none
        beside = pack.all([rr for (rr,) in companions])
    else:
        beside = [b"".join(pack.all(each)) for each in companions] or [b""] * len(records)
    if is_silent:
        return FirstOnes(list(zip(records, beside, counts, strict=True)), random)
    return of_few(records, beside, counts, ranks, answer.most, random)


def _piece(pack: Packer, answer: Answer, index: int) -> Piece:
    """Of one of its alternatives."""
    at = answer.aliases + index
    companions = answer.companions[at] if answer.companions else ()
    return pack(answer.answer[at]), b"".join(pack.all(companions)), len(companions)


class Packer:
    """Packs each record by itself, its owner compressed against the question's name (RFC 1035 §4.1.4)."""

    def __init__(self, question: Question) -> None:
        self._class = Class.CH if question.klass == Class.CH else Class.IN
        self._question = question.name

    def __call__(self, rr: RR) -> bytes:
        return self.all((rr,))[0]

    def all(self, rrs: Iterable[RR]) -> list[bytes]:
        question, klass, fixed, packed = self._question, self._class, _FIXED.pack, []
        for rr in rrs:
            name, rtype, ttl, rdata = rr
            if name == question:  # nearly always this or the next
                packed.append(_QUESTION + fixed(rtype, klass, ttl, len(rdata)) + rdata)
            elif name[1:] == question:
                label = len(name[0]).to_bytes() + name[0]
                packed.append(label + _QUESTION + fixed(rtype, klass, ttl, len(rdata)) + rdata)
            elif (owner := self._compressed(name)) is not None:
                packed.append(owner + fixed(rtype, klass, ttl, len(rdata)) + rdata)
            else:
                packed.append(self._by_dnslib(rr))
        return packed

    def _compressed(self, name: Name) -> bytes | None:
        """Up to where it ends like the question's, and a pointer to there: 1 µs, where dnslib takes 11. None: nothing is in common."""
        question = self._question
        common = 0
        for ours, asked in zip(reversed(name), reversed(question), strict=False):
            if ours != asked:
                break
            common += 1
        if not common:
            return None
        at = HEADER.size + sum([1 + len(label) for label in question[: len(question) - common]])
        return to_labels(name[: len(name) - common]) + (_POINTER | at).to_bytes(2, "big")

    def _by_dnslib(self, rr: RR) -> bytes:
        buffer = DNSBuffer()
        dnslib.RR(rr.name, rr.type, self._class, rr.ttl, dnslib.RD(rr.rdata)).pack(buffer)
        return bytes(buffer.data)
