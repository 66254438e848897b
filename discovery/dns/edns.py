"""EDNS(0), RFC 6891: what the OPT record of a query says, and the OPT record of a reply."""

from __future__ import annotations

import struct
from typing import NamedTuple

from discovery.dns.message import Explanation, Type

# The size that survives every path without fragments (DNS Flag Day 2020). What we accept, and the most we send over UDP.
MAX_UDP = 1232
# RFC 1035 §4.2.1: without EDNS.
MIN_UDP = 512

_OPTION = struct.Struct("!HH")
OPTION_EDE = 15

_DO = 0x8000


class Edns(NamedTuple):
    """`size`: the client's UDP payload size. `dnssec_ok`: the DO bit. `options` in their order, unknown ones included."""

    size: int
    version: int
    dnssec_ok: bool
    options: tuple[tuple[int, bytes], ...]


def parse_options(rdata: bytes) -> tuple[tuple[int, bytes], ...] | None:
    """None when an option is cut short."""
    options, at = [], 0
    while at < len(rdata):
        if at + _OPTION.size > len(rdata):
            return None
        code, length = _OPTION.unpack_from(rdata, at)
        at += _OPTION.size + length
        if at > len(rdata):
            return None
        options.append((code, rdata[at - length : at]))
    return tuple(options)


def udp_limit(edns: Edns | None) -> int:
    """Octets that a reply over UDP may have."""
    return MIN_UDP if edns is None else min(max(edns.size, MIN_UDP), MAX_UDP)


def opt_record(edns: Edns, rcode: int, options: bytes) -> bytes:
    """The reply's OPT: the rcode's upper eight bits, version 0, DO as the client had it (RFC 3225 §3), nothing echoed."""
    ttl = rcode >> 4 << 24 | (_DO if edns.dnssec_ok else 0)
    return b"\0" + struct.pack("!HHIH", Type.OPT, MAX_UDP, ttl, len(options)) + options


def explanation_option(explanation: Explanation) -> bytes:
    """RFC 8914 §2."""
    text = explanation.text.encode()
    return _OPTION.pack(OPTION_EDE, 2 + len(text)) + explanation.code.to_bytes(2, "big") + text
