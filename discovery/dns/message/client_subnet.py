"""EDNS client subnet, RFC 7871: the network of the client for whom a resolver asks."""

from __future__ import annotations

import struct
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from discovery.core.network import Network
from discovery.dns.message.edns import Option, option

_HEAD = struct.Struct("!HBB")  # family, source prefix length, scope prefix length (§6)
_BITS = {1: 32, 2: 128}  # IANA's numbers of address families


class Subnet(NamedTuple):
    """`octets`: the option's data. `scope`: of an answer that is for the zone of that network alone."""

    network: Network
    octets: bytes
    scope: int = 0

    @classmethod
    def parse(cls, data: bytes) -> Subnet:
        """ValueError when it is malformed (§6): of no known family, with more or fewer octets than its prefix has, or with bits beyond."""
        if len(data) < _HEAD.size:
            raise ValueError("a client subnet that is cut short")
        family, source, scope = _HEAD.unpack_from(data)
        bits = _BITS.get(family)
        address = data[_HEAD.size :]
        if bits is None or source > bits or scope or len(address) != -(-source // 8):
            raise ValueError("a client subnet of no family, or of another length than it says")
        number = int.from_bytes(address.ljust(bits // 8, b"\0"), "big")
        network = (IPv4Network if bits == 32 else IPv6Network)((number, source))  # ValueError: bits beyond the prefix
        return cls(network, data)

    def reply(self, is_for_it: bool) -> bytes:
        """The reply's option (§7.2.1). `is_for_it`: else it is for everybody, scope 0."""
        octets = self.octets
        return option(Option.CLIENT_SUBNET, octets[:3] + bytes([self.scope if is_for_it else 0]) + octets[4:])
