"""Which zone a client is in: networks, each with the zone of whoever is there (CLIENT_ZONES). The longest prefix wins. Pure.

All addresses lie in a row of ranges without gaps, each in one zone or in none: a client's range is found by bisection, and the shortest
prefix that lies in that range alone is the scope of an answer that is for this zone (RFC 7871 §6).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from types import MappingProxyType
from typing import NamedTuple

from discovery.core.errors import DiscoveryError, InvalidField
from discovery.core.name import fold, label
from discovery.core.network import Network, ip_of, unmapped

# Each is a range or two, of 0.2 KB. A zone has its own kept answers and metrics.
MAX_NETWORKS = 10_000
MAX_ZONES = 256
# Of those at fault.
_MOST_NAMED = 8


class ClientZonesError(DiscoveryError):
    """A line for each network at fault."""


class Place(NamedTuple):
    """`zone`: None: in none. `prefix`: the length of the shortest prefix around an address in which no network lies that is not around the
    address too; of IPv4 inside IPv6, of the whole.
    """

    zone: str | None
    prefix: int


NOWHERE = Place(None, 0)


class ClientZones:
    """Zones by network; their names are folded. False when there are none."""

    def __init__(self, networks: Mapping[Network, str] = MappingProxyType({})) -> None:
        self.networks = networks
        self.zones: tuple[str, ...] = tuple(sorted(set(networks.values())))
        self._ranges = {bits: _Ranges(bits, networks) for bits in (32, 128)}

    def __bool__(self) -> bool:
        return bool(self.networks)

    def zone_of(self, client: str) -> str | None:
        """Of a client by its address; None: in none."""
        ip = ip_of(client)
        return None if ip is None else self._ranges[ip.max_prefixlen].place(int(ip)).zone

    def place_of(self, network: Network) -> Place:
        """Where all of a network is: in no zone when parts of it are in others, and then `prefix` is longer than its own."""
        plain = unmapped(network)
        zone, prefix = self._ranges[plain.max_prefixlen].place(int(plain.network_address))
        return Place(zone if prefix <= plain.prefixlen else None, prefix + network.prefixlen - plain.prefixlen)

    @classmethod
    def of_file(cls, path: object, text: str) -> ClientZones:
        """One NETWORK=ZONE a line; empty ones, and what stands behind a #, say nothing. ClientZonesError."""
        lines = ((f"{path}:{number}", line.partition("#")[0]) for number, line in enumerate(text.splitlines(), 1))
        return cls.read((place, line) for place, line in lines if line.strip())

    @classmethod
    def read(cls, lines: Iterable[tuple[str, str]]) -> ClientZones:
        """From `NETWORK=ZONE`, each with where it stands, which its error begins with. ClientZonesError."""
        found: dict[Network, str] = {}
        wrong = []
        for place, text in lines:
            try:
                network, zone = _entry(text)
                if network in found:
                    raise ValueError(f"{network} is there twice, as {found[network]} and as {zone}: leave one")
                found[network] = zone
            except ValueError as error:
                wrong.append(f"{place}: {error}")
        if not wrong:
            if len(found) > MAX_NETWORKS:
                wrong.append(f"{place}: {len(found):,} networks are too many, {MAX_NETWORKS:,} is the limit")
            if (zones := len(set(found.values()))) > MAX_ZONES:
                wrong.append(f"{place}: {zones} zones are too many, {MAX_ZONES} is the limit")
        if wrong:
            more = [f"and {len(wrong) - _MOST_NAMED} more"] if len(wrong) > _MOST_NAMED else []
            raise ClientZonesError("\n".join([*wrong[:_MOST_NAMED], *more]))
        return cls(found)


def _entry(text: str) -> tuple[Network, str]:
    """ValueError."""
    before, is_pair, after = text.partition("=")
    if not is_pair:
        raise ValueError(f"{text.strip()!r} has no zone; write NETWORK=ZONE, such as 10.1.0.0/16=eu-a")
    try:
        network = unmapped(ip_network(before.strip()))
    except ValueError as error:
        raise ValueError(f"{before.strip()!r} is no network such as 10.1.0.0/16 or fd00:1::/48: {error}") from None
    try:
        return network, fold(label(after, "zone"))
    except InvalidField as error:
        raise ValueError(f"{after.strip()!r} is no zone: {error}") from None


class _Ranges:
    """Of the addresses of so many bits: where each range begins, and its zone."""

    def __init__(self, bits: int, networks: Mapping[Network, str]) -> None:
        self._bits = bits
        zones = {
            (each.prefixlen, int(each.network_address)): networks[each]
            for each in networks
            if each.max_prefixlen == bits
        }
        ends = {start + (1 << bits - length) for length, start in zones} - {1 << bits}
        self._starts = sorted({0, *(start for _, start in zones), *ends})
        lengths = sorted({length for length, _ in zones}, reverse=True)
        around = ([(length, start >> bits - length << bits - length) for length in lengths] for start in self._starts)
        self._zones = [next((zones[each] for each in some if each in zones), None) for some in around]

    def place(self, address: int) -> Place:
        at = bisect_right(self._starts, address) - 1
        beside = [self._starts[at] - 1] if at else []
        beside += self._starts[at + 1 : at + 2]
        # One bit more than is common with the nearest address of another range.
        longest = max((self._bits - (address ^ other).bit_length() + 1 for other in beside), default=0)
        return Place(self._zones[at], longest)
