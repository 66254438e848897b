"""The engine's numbers for /metrics; the page of the plugin `metrics` lists them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from discovery.core.metric import Metric, Readings, counter, gauge
from discovery.engines.etcd.leadership import Leadership
from discovery.engines.etcd.mirror import Mirror
from discovery.engines.etcd.peers import Peers
from discovery.engines.etcd.writes import Writes
from discovery.store.registry import Registry

# Instances for one turn of the event loop, 0.1 µs each.
_PER_TURN = 5_000


def metrics_of(
    registry: Registry,
    mirror: Mirror,
    writes: Writes,
    leadership: Leadership,
    peers: Peers,
    writable: Callable[[], bool],
    lag: Callable[[], float],
) -> Sequence[Metric]:
    """`lag`: seconds since this node's own latest batch has come back."""

    def nodes() -> Readings:
        silent = sum(hearing.silent for hearing in peers.hearings)
        return {("heard",): len(peers.hearings) - silent, ("silent",): silent}

    async def held() -> Readings:
        return {(): await _held(registry, peers)}

    return [
        gauge("discovery_engine_writable", "1 while etcd takes this node's writes.", lambda: int(writable())),
        gauge("discovery_engine_lag_seconds", "Since this node has heard itself through etcd.", lag),
        gauge("discovery_engine_leads", "1 on the node that ends leases.", lambda: int(leadership.leads)),
        gauge("discovery_engine_revision", "etcd's, up to which this node has applied it.", lambda: mirror.revision),
        counter("discovery_engine_conflicts", "Writes that were decided again.", lambda: writes.conflicts),
        counter("discovery_engine_resyncs", "Times that everything was read again.", lambda: mirror.syncs),
        counter("discovery_engine_skipped_keys", "Values that could not be read.", lambda: mirror.skipped),
        Metric("gauge", "discovery_engine_other_nodes", "As this node hears them.", nodes, ("state",)),
        Metric("gauge", "discovery_engine_held_instances", "Suspects, for their node is silent.", held),
    ]


async def _held(registry: Registry, peers: Peers) -> int:
    """In several turns of the event loop, and only when there can be any."""
    if not any(hearing.silent for hearing in peers.hearings):
        return 0
    found = 0
    for entries in registry.in_parts(_PER_TURN):
        found += sum(entry.through.silent for entry in entries)
        await asyncio.sleep(0)
    return found
