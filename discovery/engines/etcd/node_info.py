"""What each node tells of itself, under a key of its own: its version, and which zone files it serves. So that a difference shows, not only
acts. Older nodes pass the key over.

n/NODE    {"version": "…", "zones": {"example.com": "SERIAL DIGEST", "svc.local": ""}}, on the lease of the node
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from discovery.core import exact_json
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.messages import Change, put

# Zones that a node tells of, 100 octets each.
_MOST_ZONES = 1000

Zones = Mapping[str, str]


class NodeInfo(NamedTuple):
    version: str
    zones: Zones


@dataclass(eq=False)
class NodeInfos:
    """`own_zones`: those that this node serves, another mapping after each change. `is_silent`: whether that node is."""

    etcd: Etcd
    layout: Layout
    node: str
    version: str
    own_zones: Callable[[], Zones]
    is_silent: Callable[[str], bool]

    def __post_init__(self) -> None:
        self._key = self.layout.key("n", self.node)
        self._infos: dict[str, NodeInfo] = {}  # of the others
        self._told: tuple[int, Zones] | None = None  # the lease, and the zones that were put on it

    async def tell(self, lease: int) -> None:
        """Again on another lease, or with other zones."""
        zones = self.own_zones()
        if self._told is None or self._told[0] != lease or self._told[1] is not zones:
            info = {"version": self.version, "zones": _first(zones)}
            await self.etcd.txn([], [put(self._key, exact_json.dumps(info), lease)])
            self._told = lease, zones

    def on_node_info(self, node: str, change: Change) -> None:
        """ValueError when it cannot be read."""
        if node == self.node:
            return
        self._infos.pop(node, None)
        if change.value is not None:
            self._infos[node] = _read(change.value)

    def version_of(self, node: str) -> str | None:
        """None: an older one, that does not tell."""
        info = self._infos.get(node)
        return None if info is None else info.version

    def versions(self) -> dict[str, str]:
        """By node, this one too."""
        return {self.node: self.version} | {node: info.version for node, info in self._infos.items()}

    def differences(self) -> list[str]:
        """How the zones of nodes that are here differ from this one's."""
        mine = _first(self.own_zones())
        there = [(node, info.zones) for node, info in self._infos.items() if not self.is_silent(node)]
        return [each for node, theirs in there if theirs != mine for each in _differing(node, theirs, mine)]


def _differing(node: str, theirs: Zones, mine: Zones) -> list[str]:
    found = []
    for zone in sorted(theirs.keys() | mine.keys()):
        if zone not in mine:
            found.append(f"{node} serves {zone}, this node does not")
        elif zone not in theirs:
            found.append(f"this node serves {zone}, {node} does not")
        elif theirs[zone] != mine[zone]:
            found.append(f"{zone} is {_named(theirs[zone])} at {node} and {_named(mine[zone])} here")
    return found


def _named(content: str) -> str:
    serial, _, digest = content.partition(" ")
    return f"a file with serial {serial} and content {digest}" if digest else "without a file"


def _first(zones: Zones) -> Zones:
    """As many as are told of, in the order of their names."""
    return zones if len(zones) <= _MOST_ZONES else {zone: zones[zone] for zone in sorted(zones)[:_MOST_ZONES]}


def _read(value: bytes) -> NodeInfo:
    found = exact_json.loads(value)
    if not isinstance(found, dict) or not isinstance(found.get("zones", {}), dict):
        raise ValueError("what a node tells of itself is an object")
    zones = {str(zone): str(content) for zone, content in found.get("zones", {}).items()}
    return NodeInfo(str(found.get("version", "")), zones)
