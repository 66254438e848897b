"""Addresses and ports as clients send them: an IP address in its one canonical spelling, or a host name as it was sent.

A host name compares folded and without its final dot (`folded`). Inside, a port of 0 is none at all (`NO_PORT`): no client can send it.
"""

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


# RFC 1123 §2.1: letters, digits and hyphens. Octets without the final dot (RFC 1035 §3.1).
_LABEL = re.compile("[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_HOST_NAME = re.compile(rf"(?:{_LABEL.pattern}\.)+{_LABEL.pattern}")
MAX_HOST_NAME, MAX_LABEL = 253, 63
_WITH_PORT = re.compile(r"[^:]+:[0-9]+")


_IPV4_CHARACTERS = "0123456789."


def is_host_name(address: str) -> bool:
    """Of an address whose value was checked."""
    return bool(address.strip(_IPV4_CHARACTERS)) and ":" not in address  # 60 ns


def folded(address: str) -> str:
    """The spelling by which addresses are compared. Of an IP address that is its own."""
    found = address.lower().removesuffix(".")
    return address if found == address else found  # one object for both: each instance has it twice, at 60 octets


def parse_address(value: object, field: str = "ip") -> str:
    """As `parse_ip`; or a host name of at least two labels, as it was sent but for blanks around it. InvalidField otherwise."""
    if not isinstance(value, str):
        raise InvalidField(field, "must be a string with an IP address or a host name")
    if _is_usual(value):
        return value
    text = value.strip()
    name = text.removesuffix(".")
    if len(name) <= MAX_HOST_NAME and _HOST_NAME.fullmatch(name) and not _ends_in_digits(name):
        return text
    if ip_of(text) is None and (why := _why_no_host_name(text)):
        raise InvalidField(field, why)
    return parse_ip(value, field)


def _ends_in_digits(text: str) -> bool:
    return text.rpartition(".")[2].isdigit()


def _why_no_host_name(text: str) -> str:
    """Which rule it broke; empty for what is nearer to an IPv6 address."""
    if "://" in text:
        return "must be an address or a host name, without a scheme: db.example.com, not http://db.example.com"
    if _WITH_PORT.fullmatch(text):
        return "must not carry a port, which is a field of its own"
    if ":" in text:
        return ""
    if not text.isascii():
        return "must be ASCII: write an international host name as xn--…, the form it has in DNS"
    if len(text.removesuffix(".")) > MAX_HOST_NAME:
        return f"is {len(text)} characters long, a host name has at most {MAX_HOST_NAME}"
    if _ends_in_digits(text.removesuffix(".")):
        return "ends in a number as only an IPv4 address does, and is none: that is four numbers from 0 to 255, such as 10.0.0.7"
    if text and "." not in text.strip("."):
        return "must be a host name of at least two labels, such as db.example.com: one alone means another host everywhere"
    if not text:
        return "must be an IP address such as 10.0.0.7 or 2001:db8::7, or a host name such as db.example.com"
    return f"must be a host name such as db.example.com (RFC 1123): {_why_no_label(text)}"


def _why_no_label(text: str) -> str:
    """Of the first part of a host name that is no label."""
    part = next(part for part in text.removesuffix(".").split(".") if not _LABEL.fullmatch(part))
    if not part:
        return "a label of it is empty"
    if len(part) > MAX_LABEL:
        return f"a label of it has {len(part)} characters, the most are {MAX_LABEL}"
    return f"{part!r} is not of letters, digits and '-', with a letter or digit first and last"


_MULTICAST = 224  # and what is above, of IPv4's first octet
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")


PORT = {"type": "integer", "minimum": 1, "maximum": 65535}  # as JSON schema


def parse_port(value: object, field: str = "port") -> int:
    """1–65535 from an integer or a decimal string; InvalidField otherwise."""
    number = _integer(value)
    if number is None:
        raise InvalidField(field, "must be a whole number from 1 to 65535")
    if not 1 <= number <= 65535:
        raise InvalidField(field, "is out of range, ports go from 1 to 65535")
    return number


NO_PORT = 0


def parse_port_or_none(value: object, field: str = "port") -> int:
    """As `parse_port`; NO_PORT where nothing was sent, null or an empty text."""
    return NO_PORT if value is None or value == "" else parse_port(value, field)


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
    """An address and its port as in a URL. `port` None: the address alone, without brackets."""
    if port is None:
        return ip
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def place_text(address: str, port: int | None) -> str:
    """For people: `10.0.0.7 port 3001`, or an address alone."""
    return f"{address} port {port}" if port else address


# What one client usually has of IPv6 (RFC 6177), in bits.
_CLIENT_PREFIX_BITS = 56


@lru_cache(maxsize=4096)
def client_prefix(address: str) -> str:
    """Whom a limit counts: an IPv4 address, or the /56 of an IPv6 one, whose holder has all of it. Other text as it is."""
    ip = ip_of(address)
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((ip, _CLIENT_PREFIX_BITS), strict=False))
    return address if ip is None else str(ip)
