"""The engine's numbers for /metrics, which the page of the plugin `metrics` lists; and its nodes for /stats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from discovery.core.metric import Metric, Readings, counter, gauge
from discovery.engines.etcd.leadership import Leadership
from discovery.engines.etcd.mirror import Mirror
from discovery.engines.etcd.node_info import NodeInfos
from discovery.engines.etcd.peers import Peers, Staleness
from discovery.engines.etcd.presence import NOBODY, Suspected, suspected
from discovery.engines.etcd.writes import Writes
from discovery.store.registry import Registry
from discovery.store.service import NodeStatus


def nodes_shown(
    peers: Peers, node_infos: NodeInfos, held: Mapping[NodeStatus, Suspected], now: float
) -> dict[str, Any]:
    """`held`: as of the latest look, a flush ago at the most."""

    def shown(status: NodeStatus) -> dict[str, Any]:
        return held.get(status, NOBODY)._asdict()

    statuses = {status.node: status for status in peers.others}
    return {
        "nodes": [
            node | {"version": node_infos.version_of(node["node"]), "holds": shown(statuses[node["node"]])}
            for node in peers.shown(now)
        ],
        "heldThroughUnknownNodes": shown(peers.unknown),
        "heldHere": shown(peers.own),
    }


def metrics_of(
    registry: Registry,
    mirror: Mirror,
    writes: Writes,
    leadership: Leadership,
    peers: Peers,
    node_infos: NodeInfos,
    writable: Callable[[], bool],
    staleness: Staleness,
    clock: Callable[[], float],
) -> Sequence[Metric]:
    def nodes() -> Readings:
        silent = sum(status.silent for status in peers.others)
        return {("heard",): len(peers.others) - silent, ("silent",): silent}

    async def held() -> Readings:
        return {(): sum(each.instances for each in (await suspected(registry, clock)).values())}

    async def held_by_node() -> Readings:
        found = await suspected(registry, clock)
        return {(through.node,): each.instances for through, each in found.items()}

    def silent_for() -> Readings:
        return {(node["node"],): node["silentForSeconds"] for node in peers.shown(clock()) if node["silent"]}

    def versions() -> Readings:
        return dict.fromkeys(node_infos.versions().items(), 1)

    return [
        gauge("discovery_engine_writable", "1 while etcd takes this node's writes.", lambda: int(writable())),
        gauge("discovery_engine_lag_seconds", "Since this node has heard itself through etcd.", lambda: staleness.lag),
        gauge("discovery_engine_stale_seconds", "How old the answers are; 0: not.", staleness.seconds),
        gauge("discovery_engine_leads", "1 on the node that ends leases.", lambda: int(leadership.leads)),
        gauge("discovery_engine_revision", "etcd's, up to which this node has applied it.", lambda: mirror.revision),
        counter("discovery_engine_conflicts", "Writes that were decided again.", lambda: writes.conflicts),
        counter("discovery_engine_resyncs", "Times that everything was read again.", lambda: mirror.syncs),
        counter("discovery_engine_skipped_keys", "Values that could not be read.", lambda: mirror.unreadable.times),
        gauge("discovery_engine_unreadable_keys", "Keys that cannot be read now.", lambda: len(mirror.unreadable)),
        Metric("gauge", "discovery_engine_other_nodes", "As this node hears them.", nodes, ("state",)),
        Metric("gauge", "discovery_engine_held_instances", "Suspects, for their node is silent.", held),
        Metric("gauge", "discovery_engine_held_by_node", "Of them, by silent node.", held_by_node, ("node",)),
        Metric("gauge", "discovery_engine_silent_seconds", "For how long a node is silent.", silent_for, ("node",)),
        Metric("gauge", "discovery_engine_node_info", "1, by node and version.", versions, ("node", "version")),
        gauge(
            "discovery_engine_zone_differences",
            "Zones that other nodes serve otherwise.",
            lambda: len(node_infos.differences()),
        ),
    ]
