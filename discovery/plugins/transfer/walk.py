"""The records of a message that `query.parse` has found to be well-formed: where each stands, nothing more."""

from __future__ import annotations

import struct
from typing import NamedTuple

from discovery.dns.message.names import MAX_NAME, Name
from discovery.dns.message.query import HEADER

_FIXED_RR = struct.Struct("!HHIH")
_POINTER = 0xC0


class Record(NamedTuple):
    """`at`, `rdata`, `end`: octets from the start of the message."""

    at: int
    type: int
    klass: int
    ttl: int
    rdata: int
    end: int


def records(packet: bytes) -> list[Record]:
    """Those of all sections behind the question, in order."""
    _, _, questions, *counts = HEADER.unpack_from(packet)
    at = HEADER.size
    for _ in range(questions):
        at = _name_end(packet, at) + 4
    found = []
    for _ in range(sum(counts)):
        fixed = _name_end(packet, at)
        rtype, klass, ttl, length = _FIXED_RR.unpack_from(packet, fixed)
        rdata = fixed + _FIXED_RR.size
        found.append(Record(at, rtype, klass, ttl, rdata, rdata + length))
        at = rdata + length
    return found


def name_at(packet: bytes, at: int) -> tuple[Name, int]:
    """The name, in lower case, and where it ends. ValueError when it is none; IndexError when it is cut."""
    end = _name_end(packet, at)
    labels: list[bytes] = []
    size = 1
    before = at
    while length := packet[at]:
        if length >= _POINTER:
            at = (length & 0x3F) << 8 | packet[at + 1]
            if at >= before:  # only ever backwards: no loops
                raise ValueError
            before = at
            continue
        labels.append(packet[at + 1 : at + 1 + length].lower())
        size += 1 + length
        at += 1 + length
        if length >= 0x40 or size > MAX_NAME:
            raise ValueError
    return tuple(labels), end


def _name_end(packet: bytes, at: int) -> int:
    while size := packet[at]:
        if size >= _POINTER:
            return at + 2
        at += 1 + size
    return at + 1
