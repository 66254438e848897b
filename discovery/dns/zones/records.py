"""RDATA in wire form, of the records that are not instances' alone: addresses, SOA, and the host that a record points at."""

from __future__ import annotations

import socket
import struct

from discovery.dns.message.names import Name, from_wire, to_wire
from discovery.dns.message.values import Type

# RFC 1035 §3.3: one character-string.
MAX_STRING = 255


def address_type(ip: str) -> int:
    """A for IPv4, AAAA for IPv6."""
    return Type.AAAA if ":" in ip else Type.A


def address(ip: str) -> bytes:
    """RFC 1035 §3.4.1, RFC 3596 §2.2. OSError of a host name."""
    return socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)


def address_if_any(ip: str) -> bytes | None:
    """The same; None of a host name. Of an address it takes no longer."""
    try:
        return address(ip)
    except OSError:
        return None


# Of an SOA that no file gives, seconds: a secondary asks three times a minute, and gives the zone up after a minute without us,
# for leases end after seconds.
_REFRESH, _RETRY, _EXPIRE = 20, 5, 60


def soa(mname: Name, rname: Name, serial: int, minimum: int) -> bytes:
    """RFC 1035 §3.3.13; `minimum` in seconds."""
    times = struct.pack("!IIIII", serial & 0xFFFFFFFF, _REFRESH, _RETRY, _EXPIRE, minimum)
    return to_wire(mname) + to_wire(rname) + times


def soa_with_serial(rdata: bytes, serial: int) -> bytes:
    return rdata[:-20] + struct.pack("!I", serial & 0xFFFFFFFF) + rdata[-16:]


def soa_serial(rdata: bytes) -> int:
    """RFC 1035 §3.3.13: five numbers of 32 bits end it, the serial is the first."""
    serial: int = struct.unpack("!I", rdata[-20:-16])[0]
    return serial


def soa_minimum(rdata: bytes) -> int:
    minimum: int = struct.unpack("!I", rdata[-4:])[0]
    return minimum


# Types whose RDATA has a host in it, whose address belongs into the additional section: the octet at which its name begins
# (RFC 1035 §3.3, RFC 2782).
_TARGET_AT: dict[int, int] = {Type.NS: 0, Type.MX: 2, Type.SRV: 6}


def target(rtype: int, rdata: bytes) -> Name | None:
    """The host that an NS, MX or SRV record points at; None for other types."""
    at = _TARGET_AT.get(rtype)
    return None if at is None else from_wire(rdata[at:])
