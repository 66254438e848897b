"""RDATA of the records that are made here, in wire form."""

from __future__ import annotations

import ipaddress
import struct

import orjson

from discovery.core import metadata as metadata_text
from discovery.core.instance import Instance
from discovery.dns.message import Type
from discovery.dns.names import Name, from_wire, to_wire

# RFC 6763 §6.2: a TXT record above 1,300 octets does not fit a packet and is a mistake.
MAX_TXT = 1300
# RFC 1035 §3.3: one character-string.
MAX_STRING = 255


def address_type(ip: str) -> Type:
    """A for IPv4, AAAA for IPv6."""
    return Type.AAAA if ":" in ip else Type.A


def address(ip: str) -> bytes:
    """RFC 1035 §3.4.1, RFC 3596 §2.2."""
    return ipaddress.ip_address(ip).packed


def srv(priority: int, weight: int, port: int, target: Name) -> bytes:
    """RFC 2782. The target is never compressed."""
    return struct.pack("!HHH", priority, weight, port) + to_wire(target)


def soa(mname: Name, rname: Name, serial: int, refresh: int, retry: int, expire: int, minimum: int) -> bytes:
    """RFC 1035 §3.3.13; times in seconds."""
    return to_wire(mname) + to_wire(rname) + struct.pack("!IIIII", serial, refresh, retry, expire, minimum)


def soa_with_serial(rdata: bytes, serial: int) -> bytes:
    return rdata[:-20] + struct.pack("!I", serial & 0xFFFFFFFF) + rdata[-16:]


def soa_minimum(rdata: bytes) -> int:
    minimum: int = struct.unpack("!I", rdata[-4:])[0]
    return minimum


def txt(instance: Instance) -> bytes:
    """Metadata as `key=value` strings (RFC 6763 §6.3–6.5), a value that is no string as JSON.

    Left out: keys that are no printable ASCII or contain `=`, pairs over 255 octets, and what exceeds 1,300 octets in
    all. HTTP has the whole.
    """
    rdata = b""
    for key, value in metadata_text.unpack(instance.spec.metadata).items():
        pair = _pair(key, value)
        if pair and len(rdata) + 1 + len(pair) <= MAX_TXT:
            rdata += len(pair).to_bytes(1, "big") + pair
    return rdata or b"\0"  # RFC 6763 §6.1: no strings at all is spelt as one empty string


def _pair(key: str, value: object) -> bytes | None:
    if not key or not key.isascii() or not key.isprintable() or "=" in key:
        return None
    text = value.encode() if isinstance(value, str) else orjson.dumps(value)
    pair = key.encode("ascii") + b"=" + text
    return pair if len(pair) <= MAX_STRING else None


# Where the name that wants an address begins in the RDATA (RFC 1035 §3.3, RFC 2782).
_TARGET_AT: dict[int, int] = {Type.NS: 0, Type.MX: 2, Type.SRV: 6}


def target(rtype: int, rdata: bytes) -> Name | None:
    """The host that an NS, MX or SRV record points at; None for other types."""
    at = _TARGET_AT.get(rtype)
    return None if at is None else from_wire(rdata[at:])
