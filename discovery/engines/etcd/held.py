"""Who is held, through which silent node: counted in pieces, while any node is silent."""

from __future__ import annotations

from typing import NamedTuple

from discovery.engines.etcd.peers import Peers
from discovery.store.node_status import NodeStatus
from discovery.store.registry import Registry
from discovery.system.turns import turns

# Names of services that are shown of a node; an operator needs an idea of what is concerned, not a list.
_NAMES = 10


class Held(NamedTuple):
    """`services`: the first of them, as they are shown."""

    instances: int
    services: list[str]


NOBODY_HELD = Held(0, [])


async def count_held(registry: Registry, peers: Peers) -> dict[NodeStatus, Held]:
    """By silent node; under `peers.unknown` those of whom this node cannot know."""
    if not peers.any_silent:
        return {}
    numbers: dict[NodeStatus, int] = {}
    names: dict[NodeStatus, dict[str, None]] = {}
    for entries in registry.in_parts():
        for entry in entries:
            through = entry.through
            if through.silent:
                numbers[through] = numbers.get(through, 0) + 1
                of = names.setdefault(through, {})
                if len(of) < _NAMES:
                    of[entry.instance.spec.name] = None
        await turns().over()
    return {through: Held(number, list(names[through])) for through, number in numbers.items()}
