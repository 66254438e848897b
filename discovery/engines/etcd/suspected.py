"""Who is a suspect at this node though nobody decided so, counted in pieces: they may beat at a node that this one does not hear."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from discovery.core.status import Status
from discovery.store.node_status import NodeStatus
from discovery.store.registry import Registry
from discovery.system.turns import turns

# Names of services that are shown of a silent node: an operator needs an idea of what is concerned, not a list.
_NAMES = 10


class Suspected(NamedTuple):
    """Who is a suspect here, and by no decision. `services`: the first of them, as they are shown."""

    instances: int
    services: list[str]


NOBODY = Suspected(0, [])


async def suspected(registry: Registry, clock: Callable[[], float]) -> dict[NodeStatus, Suspected]:
    """By the node that heard them last: who is a suspect here though nobody decided so."""
    if not registry.has_own_statuses:
        return {}
    numbers: dict[NodeStatus, int] = {}
    names: dict[NodeStatus, dict[str, None]] = {}
    for entries in registry.in_parts():
        now = clock()
        for entry in entries:
            through = entry.through
            is_certain = entry.lease.alive(now) and not through.silent
            if is_certain or entry.status is Status.SUSPECT or not entry.suspect(now):
                continue
            numbers[through] = numbers.get(through, 0) + 1
            of = names.setdefault(through, {})
            if len(of) < _NAMES:
                of[entry.instance.spec.name] = None
        await turns().over()
    return {through: Suspected(number, list(names[through])) for through, number in numbers.items()}
