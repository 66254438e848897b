"""EDNS(0), RFC 6891: what the OPT record of a query says, and the options of a reply's.

A reply carries OPT only when the query did (§7). Nothing of the query's is echoed but the DO bit (RFC 3225 §3).
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

from discovery.dns.message.values import Type

# The size that survives every path without fragments (DNS Flag Day 2020): what we accept, and the most we send over UDP.
MAX_UDP = 1232
# RFC 1035 §4.2.1: without EDNS.
MIN_UDP = 512

# Octets of an OPT record without options: the root, type, size, upper rcode, version, flags, length (§6.1.2).
OPT_SIZE = 11
_OPT = struct.Struct("!BHHIH")
_OPTION = struct.Struct("!HH")
_EXPLANATION = struct.Struct("!HHH")
_DO = 0x8000


class Option:
    NSID = 3  # RFC 5001
    CLIENT_SUBNET = 8  # RFC 7871
    COOKIE = 10  # RFC 7873
    KEEPALIVE = 11  # RFC 7828
    PADDING = 12  # RFC 7830
    EDE = 15  # RFC 8914


class Edns(NamedTuple):
    """`limit`: octets that a reply over UDP may have; the client would take `size`. `dnssec_ok`: the DO bit. `cookie`: the data of the
    COOKIE option.

    `options`: the first of each other code, unknown codes too.
    """

    limit: int
    version: int
    dnssec_ok: bool
    cookie: bytes | None
    options: dict[int, bytes]
    size: int = MIN_UDP


def parse(opt: bytes) -> Edns:
    """From a whole OPT record. ValueError when it is none, an option is cut short, or something stands behind it."""
    return _plain(opt) if len(opt) == OPT_SIZE else _parse(opt)


def _parse(opt: bytes) -> Edns:
    if len(opt) < OPT_SIZE:
        raise ValueError("no OPT record")
    root, rtype, size, ttl, rdlength = _OPT.unpack_from(opt)
    if root or rtype != Type.OPT or OPT_SIZE + rdlength != len(opt):
        raise ValueError("no OPT record")
    options: dict[int, bytes] = {}
    at = OPT_SIZE
    while at < len(opt):
        code, length = _OPTION.unpack_from(opt, at) if at + _OPTION.size <= len(opt) else (0, len(opt))
        at += _OPTION.size + length
        if at > len(opt):
            raise ValueError("an option that is cut short")
        options.setdefault(code, opt[at - length : at])
    cookie = options.pop(Option.COOKIE, None)
    size = max(size, MIN_UDP)
    return Edns(min(size, MAX_UDP), ttl >> 16 & 0xFF, bool(ttl & _DO), cookie, options, size)


_plain = lru_cache(maxsize=256)(_parse)  # without options: clients send one of a few


def option(code: int, data: bytes) -> bytes:
    return _OPTION.pack(code, len(data)) + data


# Octets of an explanation's text.
MAX_EXPLANATION = 200


def explanation_option(code: int, text: str) -> bytes:
    """RFC 8914 §2. The text is cut to what fits beside everything else; strangers' control characters are left out of it."""
    if not text.isprintable():  # nearly never
        text = "".join(filter(str.isprintable, text))
    octets = text.encode()
    if len(octets) > MAX_EXPLANATION:
        octets = octets[: MAX_EXPLANATION - 3].decode(errors="ignore").encode() + b"..."
    return _EXPLANATION.pack(Option.EDE, 2 + len(octets), code) + octets


def opt_heads(rcode: int) -> tuple[bytes, bytes]:
    """How the OPT of a reply begins, up to its length, without and with DO: our size, the rcode's upper eight bits, version 0."""
    upper = rcode >> 4 << 24
    return _OPT.pack(0, Type.OPT, MAX_UDP, upper, 0)[:-2], _OPT.pack(0, Type.OPT, MAX_UDP, upper | _DO, 0)[:-2]
