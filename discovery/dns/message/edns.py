"""EDNS(0), RFC 6891: what the OPT record of a query says, and the OPT record of a reply.

A reply carries OPT only when the query did (§7). Nothing of the query's is echoed but the DO bit (RFC 3225 §3).
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from discovery.dns.message.values import Explanation, Type

# The size that survives every path without fragments (DNS Flag Day 2020): what we accept, and the most we send over UDP.
MAX_UDP = 1232
# RFC 1035 §4.2.1: without EDNS.
MIN_UDP = 512

_OPTION = struct.Struct("!HH")
_DO = 0x8000


class Option(IntEnum):
    NSID = 3  # RFC 5001
    COOKIE = 10  # RFC 7873
    KEEPALIVE = 11  # RFC 7828
    PADDING = 12  # RFC 7830
    EDE = 15  # RFC 8914


class Edns(NamedTuple):
    """`size`: the client's UDP payload size. `dnssec_ok`: the DO bit. `options`: the first of each code, unknown too."""

    size: int
    version: int
    dnssec_ok: bool
    options: dict[int, bytes]


def parse_options(rdata: bytes) -> dict[int, bytes] | None:
    """None when an option is cut short."""
    options: dict[int, bytes] = {}
    at = 0
    while at < len(rdata):
        if at + _OPTION.size > len(rdata):
            return None
        code, length = _OPTION.unpack_from(rdata, at)
        at += _OPTION.size + length
        if at > len(rdata):
            return None
        options.setdefault(code, rdata[at - length : at])
    return options


def udp_limit(edns: Edns | None) -> int:
    """Octets that a reply over UDP may have."""
    return MIN_UDP if edns is None else min(max(edns.size, MIN_UDP), MAX_UDP)


def option(code: int, data: bytes) -> bytes:
    return _OPTION.pack(code, len(data)) + data


def explanation_option(explanation: Explanation) -> bytes:
    """RFC 8914 §2."""
    text = explanation.text if isinstance(explanation.text, str) else explanation.text()
    return option(Option.EDE, explanation.code.to_bytes(2, "big") + text.encode())


def opt_record(edns: Edns, rcode: int, options: bytes) -> bytes:
    """The reply's OPT: our size, the rcode's upper eight bits, version 0, DO as the client had it."""
    ttl = rcode >> 4 << 24 | (_DO if edns.dnssec_ok else 0)
    return b"\0" + struct.pack("!HHIH", Type.OPT, MAX_UDP, ttl, len(options)) + options
