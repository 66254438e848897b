"""IP addresses and ports as clients send them, in one canonical spelling each."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from socket import AF_INET, inet_pton

from discovery.core.errors import InvalidField
from discovery.core.network import ip_of

_DECIMAL = re.compile(r"[0-9]{1,5}")


def parse_ip(value: object, field: str = "ip") -> str:
    """The canonical text of an address that a client could reach; InvalidField otherwise.

    An IPv4 address inside an IPv6 one (`::ffff:10.0.0.1`, as dual-stack servers see their peers) is that IPv4 address.
    """
    if not isinstance(value, str):
        raise InvalidField(field, "must be a string with an IPv4 or IPv6 address")
    if _is_usual(value):
        return value
    try:
        address = ipaddress.ip_address(value.strip())
    except ValueError:
        raise InvalidField(field, "must be an IPv4 or IPv6 address such as 10.0.0.7 or 2001:db8::7") from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise InvalidField(field, "must not carry a scope (%...): it means nothing on another host")
        address = address.ipv4_mapped or address
    if address.is_unspecified or address.is_multicast or address == _BROADCAST:
        raise InvalidField(field, f"{address} is not an address a client could connect to")
    return str(address)


def _is_usual(text: str) -> bool:
    """An IPv4 address in its one spelling, and neither unspecified, multicast nor broadcast: 6 µs less than `ipaddress`."""
    try:
        return 0 < inet_pton(AF_INET, text)[0] < _MULTICAST
    except (OSError, ValueError):
        return False


_MULTICAST = 224  # and what is above, of IPv4's first octet
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")


def parse_port(value: object, field: str = "port") -> int:
    """1–65535 from an integer or a decimal string; InvalidField otherwise."""
    number = _integer(value)
    if number is None:
        raise InvalidField(field, "must be a whole number from 1 to 65535")
    if not 1 <= number <= 65535:
        raise InvalidField(field, "is out of range, ports go from 1 to 65535")
    return number


def _integer(value: object) -> int | None:
    if isinstance(value, bool):  # true is an int to Python, not to anyone who sends it
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():  # 3001.0 and 3001 are one number in JSON
        return int(value)
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        return int(value)
    return None


def authority(ip: str, port: object) -> str:
    """An address and its port as in a URL."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


# What one client usually has of IPv6 (RFC 6177), in bits.
_CLIENT_PREFIX_BITS = 56


@lru_cache(maxsize=4096)
def client_prefix(address: str) -> str:
    """Whom a limit counts: an IPv4 address, or the /56 of an IPv6 one, whose holder has all of it. Other text as it is."""
    ip = ip_of(address)
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((ip, _CLIENT_PREFIX_BITS), strict=False))
    return address if ip is None else str(ip)
