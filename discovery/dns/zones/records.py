"""RDATA of the records that are made here, in wire form."""

from __future__ import annotations

import socket
import struct

import orjson

from discovery.core import metadata as metadata_text
from discovery.core.instance import Instance
from discovery.dns.message.names import Name, from_wire, to_wire
from discovery.dns.message.values import Type

# RFC 6763 §6.2: a TXT record above 1,300 octets does not fit a packet and is a mistake.
MAX_TXT = 1300
# Octets of `k=` with its length.
_SHORTEST_PAIR = 3
# RFC 1035 §3.3: one character-string.
MAX_STRING = 255


def address_type(ip: str) -> Type:
    """A for IPv4, AAAA for IPv6."""
    return Type.AAAA if ":" in ip else Type.A


def address(ip: str) -> bytes:
    """RFC 1035 §3.4.1, RFC 3596 §2.2."""
    return socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)


def srv(priority: int, weight: int, port: int, target: Name) -> bytes:
    """RFC 2782. The target is never compressed."""
    return struct.pack("!HHH", priority, weight, port) + to_wire(target)


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


def name(target: Name) -> bytes:
    """PTR, NS, CNAME."""
    return to_wire(target)


def txt(instance: Instance) -> bytes:
    """Metadata as `key=value` strings (RFC 6763 §6.3–6.5), a value that is no string as JSON.

    Left out: keys that are no printable ASCII or contain `=`, pairs over 255 octets, and what exceeds 1,300 octets in
    all. HTTP has the whole.
    """
    return _strings(instance, b"")


def browsed_txt(instance: Instance) -> bytes:
    """The same for DNS-SD browsers, with the version of the format first (RFC 6763 §6.7)."""
    return _strings(instance, b"\x09txtvers=1")


def http_port(instance: Instance, tls_only: bool) -> int | None:
    """Where the instance speaks HTTPS, or failing that HTTP: a port of that name, or a `scheme` or `protocol` in its metadata."""
    ports = dict(instance.spec.ports)
    if "https" in ports:
        return ports["https"]
    said = metadata_text.unpack(instance.spec.metadata)
    for scheme in ("https",) if tls_only else ("https", "http"):
        if scheme in ports:
            return ports[scheme]
        if scheme in (said.get("scheme"), said.get("protocol")):
            return instance.spec.port
    return None


def may_speak_http(instance: Instance, tls_only: bool) -> bool:
    """False where `http_port` is surely None. Nothing is parsed: a scheme that metadata tells stands in its text, in quotes."""
    ports, said = dict(instance.spec.ports), instance.spec.metadata
    if "https" in ports or b'"https"' in said:
        return True
    return not tls_only and ("http" in ports or b'"http"' in said)


def svcb(priority: int, target: Name, port: int, ip: str) -> bytes:
    """RFC 9460 §2.2, service form: port (§7.2) and address hint (§7.3), keys in ascending order. Priority 0 would be an alias."""
    hint = _IPV6HINT if ":" in ip else _IPV4HINT
    parameters = _parameter(_PORT, port.to_bytes(2, "big")) + _parameter(hint, address(ip))
    return max(1, priority).to_bytes(2, "big") + to_wire(target) + parameters


_PORT, _IPV4HINT, _IPV6HINT = 3, 4, 6


def _parameter(key: int, value: bytes) -> bytes:
    return struct.pack("!HH", key, len(value)) + value


def _strings(instance: Instance, rdata: bytes) -> bytes:
    for key, value in metadata_text.unpack(instance.spec.metadata).items():
        if len(rdata) + _SHORTEST_PAIR > MAX_TXT:
            break
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


# Types whose RDATA has a host in it, whose address belongs into the additional section: the octet at which its name begins
# (RFC 1035 §3.3, RFC 2782).
_TARGET_AT: dict[int, int] = {Type.NS: 0, Type.MX: 2, Type.SRV: 6}


def target(rtype: int, rdata: bytes) -> Name | None:
    """The host that an NS, MX or SRV record points at; None for other types."""
    at = _TARGET_AT.get(rtype)
    return None if at is None else from_wire(rdata[at:])
