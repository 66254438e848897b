"""The messages of a transfer (RFC 5936 §2.2): the SOA, all other records, the SOA again; each signed, none made before it is wanted."""

from __future__ import annotations

import struct
from collections.abc import AsyncGenerator, Callable, Iterator
from itertools import chain

from discovery.dns.message.edns import opt_heads
from discovery.dns.message.query import HEADER, QR, CutShort, Request
from discovery.dns.message.values import RR, Question
from discovery.dns.message.wire import Packer
from discovery.plugins.transfer.tsig import Signer
from discovery.system.turns import turns

# Octets of a message, if its records let it be so short. Longer ones save signatures, shorter ones are sooner on their way.
MESSAGE = 32768
# RFC 1035 §4.2.2, less what a TSIG record may take: two names, the longest MAC, 26 octets.
_MAX_MESSAGE = 65535 - 2 * 255 - 64 - 26
_AA = 0x0400
# Records between two looks at the clock.
_AT_ONCE = 16


class Totals:
    serial = 0
    records = 0
    messages = 0
    octets = 0


async def messages(
    query: Request,
    question: Question,
    soa: RR,
    rest: Iterator[RR | None],
    signer: Signer,
    wall: Callable[[], float],
    totals: Totals,
) -> AsyncGenerator[bytes]:
    """`question.name` is the zone's origin, at or above all records' names. `rest`: None is a place for a pause.

    CutShort when a record does not fit any message.
    """
    message, pack = _Message(query), Packer(question)

    def finished() -> bytes:
        signed = signer.sign(message.octets(), int(wall()))
        totals.messages += 1
        totals.octets += len(signed)
        totals.records += message.count
        message.clear()
        return signed

    for number, rr in enumerate(chain((soa,), rest, (soa,))):
        if rr is None or number % _AT_ONCE == 0:
            await turns().over()
        if rr is None:
            continue
        packed = pack(rr)
        if message.count and message.size + len(packed) > MESSAGE:
            yield finished()
        message.add(packed)
    yield finished()


class _Message:
    """The reply to `query` that is being filled. Owners are compressed against the question, which every message repeats."""

    def __init__(self, query: Request) -> None:
        flags = QR | _AA | query.flags
        self._before = query.id + flags.to_bytes(2, "big") + b"\0\1"
        self._question = query.question_wire
        self._opt = b"" if query.edns is None else opt_heads(0)[query.edns.dnssec_ok] + b"\0\0"
        self._after = struct.pack("!HH", 0, 1 if self._opt else 0)
        self._empty = HEADER.size + len(self._question) + len(self._opt)
        self.clear()

    def clear(self) -> None:
        self._records: list[bytes] = []
        self.size = self._empty

    @property
    def count(self) -> int:
        return len(self._records)

    def add(self, packed: bytes) -> None:
        self._records.append(packed)
        self.size += len(packed)
        if self.size > _MAX_MESSAGE:
            raise CutShort

    def octets(self) -> bytes:
        count = len(self._records).to_bytes(2, "big")
        return b"".join((self._before, count, self._after, self._question, *self._records, self._opt))
