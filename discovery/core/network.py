"""Networks, and whether the address of a client is in some. IPv4 inside IPv6 is IPv4, of clients and of networks alike."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

# Clients whose answer is remembered, 0.2 KB each.
MAX_CLIENTS = 4096
# Characters of an address: IPv6 with IPv4 at its end.
_LONGEST = 45


def ip_of(client: str) -> IPv4Address | IPv6Address | None:
    """Without a scope. None for what is no address, as behind a Unix socket."""
    address = client.partition("%")[0]
    return _parsed(address) if len(address) <= _LONGEST else None


@lru_cache(MAX_CLIENTS)  # each registration asks
def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        ip = ip_address(address)
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip


def unmapped(network: Network) -> Network:
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:
        return IPv4Network((int(mapped), network.prefixlen - 96))
    return network


def is_off_limits(ip: str, by: str, is_alone: bool) -> bool:
    """Whether the server connects to `ip` on nobody's behalf who is at `by`, whatever is configured: link-local, multicast and
    unspecified, which is this host, and loopback but for those who are there. `is_alone`: there is no other node, so that loopback is the
    same to all.
    """
    target, source = ip_of(ip), ip_of(by)
    if target is None or target.is_link_local or target.is_multicast or target.is_unspecified:
        return True
    return target.is_loopback and not (is_alone and source is not None and source.is_loopback)


class Networks:
    """False when there are none; then nobody is in them."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = tuple(map(unmapped, networks))
        self._has = lru_cache(MAX_CLIENTS)(self._find)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, client: str) -> bool:
        return self._has(client)

    def _find(self, client: str) -> bool:
        ip = ip_of(client)
        return ip is not None and any(ip in network for network in self._networks)


LOOPBACK_AND_PRIVATE: tuple[Network, ...] = tuple(
    map(ip_network, ("127.0.0.0/8", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"))
)
