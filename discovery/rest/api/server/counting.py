"""How many instances there are of each status, as a reader has to see them now: those too whose lease has run out and of whom nobody
was told yet, without those that are known for some time after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from discovery.core.status import Status
from discovery.store.registry import Registry
from discovery.system.turns import turns


async def count_by_status(registry: Registry, clock: Callable[[], float]) -> Mapping[Status, int]:
    """At once when everybody was told; while a mass of leases runs out, or a node is silent, one by one, in several turns."""
    deadline = registry.liveness.next
    if not registry.has_own_statuses and (deadline is None or deadline > clock()):
        return registry.liveness.counts
    counts = Counter(dict.fromkeys(Status, 0))
    for entries in registry.in_parts():
        now = clock()
        counts.update([entry.status_at(now) for entry in entries if entry.instance.lapsed_at is None])
        await turns().over()
    return counts
