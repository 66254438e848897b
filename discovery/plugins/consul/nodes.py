"""Nodes: what Consul calls the hosts. Here nobody runs an agent on them, so the address of a host is its node: named by CONSUL_NODES, or
after the address. Pure.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from discovery.core.name import fold
from discovery.core.network import MAX_CLIENTS, ip_of

# Addresses whose nodes are remembered, 0.5 KB each: every beat asks.
_MAX_KNOWN = 4096
# Of ids: Consul's are random, ours are always the same for a name.
_NAMESPACE = uuid.UUID("6d0b4a52-3c1c-5be7-9a0e-5f2f0d5ad3b1")


class Node(NamedTuple):
    """`name`: as Consul shows it. `address`: of the host."""

    name: str
    address: str

    @property
    def id(self) -> str:
        return _id_of(self.name.lower())


@lru_cache(_MAX_KNOWN)  # each row of an answer has it
def _id_of(folded: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, folded))


class Nodes:
    """`names`: of hosts, by their addresses. Several addresses of one name are one node, which has the first of them. `at(address)`: the
    node that a host at this address is; `folded_at`: its folded name.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = dict(names)
        self._addresses: dict[str, str] = {}
        for address, name in names.items():
            self._addresses.setdefault(name.lower(), address)
        self.at = lru_cache(_MAX_KNOWN)(self._at)
        self.folded_at = lru_cache(_MAX_KNOWN)(lambda address: fold(self.at(address).name))

    def _at(self, address: str) -> Node:
        name = self._names.get(address)
        return Node(named_after(address), address) if name is None else Node(name, self._addresses[name.lower()])


def named_after(address: str) -> str:
    """`ip-10-0-0-7`; of IPv6 `ip-2001-db8--7`, with a 0 where it would begin or end with a hyphen."""
    text = address.replace(".", "-").replace(":", "-").lower()
    return f"ip-{'0' if text.startswith('-') else ''}{text}{'0' if text.endswith('-') else ''}"


@lru_cache(MAX_CLIENTS)  # each beat asks
def canonical(address: str) -> str:
    """The one spelling of a caller's address; other text as it is."""
    ip = ip_of(address)
    return address if ip is None else str(ip)
