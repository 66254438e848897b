"""The engine's numbers for /metrics, which the page of the plugin `metrics` lists; and its nodes for /stats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from discovery.core.metric import Metric, Readings, counter, gauge
from discovery.engines.etcd.held import NOBODY_HELD, Held, count_held
from discovery.engines.etcd.leadership import Leadership
from discovery.engines.etcd.mirror import Mirror
from discovery.engines.etcd.node_info import NodeInfos
from discovery.engines.etcd.peers import Peers
from discovery.engines.etcd.writes import Writes
from discovery.store.node_status import NodeStatus
from discovery.store.registry import Registry


def nodes_shown(peers: Peers, node_infos: NodeInfos, held: Mapping[NodeStatus, Held], now: float) -> dict[str, Any]:
    """`held`: as of the latest look, a flush ago at the most."""

    def shown(status: NodeStatus | None) -> dict[str, Any]:
        of = NOBODY_HELD if status is None else held.get(status, NOBODY_HELD)
        return {"instances": of.instances, "services": of.services}

    nodes = peers.shown(now)
    return {
        "nodes": [
            node | {"version": node_infos.version_of(node["node"]), "holds": shown(peers.status_of(node["node"]))}
            for node in nodes
        ],
        "heldThroughUnknownNodes": shown(peers.unknown),
    }


def metrics_of(
    registry: Registry,
    mirror: Mirror,
    writes: Writes,
    leadership: Leadership,
    peers: Peers,
    node_infos: NodeInfos,
    writable: Callable[[], bool],
    lag: Callable[[], float],
    clock: Callable[[], float],
) -> Sequence[Metric]:
    """`lag`: seconds since this node's own latest batch has come back."""

    def nodes() -> Readings:
        silent = sum(status.silent for status in peers.statuses)
        return {("heard",): len(peers.statuses) - silent, ("silent",): silent}

    async def held() -> Readings:
        return {(): sum(each.instances for each in (await count_held(registry, peers)).values())}

    async def held_by_node() -> Readings:
        return {(through.node,): each.instances for through, each in (await count_held(registry, peers)).items()}

    def of_silent(field: str) -> Readings:
        return {(node["node"],): node[field] for node in peers.shown(clock()) if node["silent"]}

    def silent_for() -> Readings:
        return of_silent("silentForSeconds")

    def held_for() -> Readings:
        return of_silent("holdsForSeconds")

    def versions() -> Readings:
        return dict.fromkeys(node_infos.versions().items(), 1)

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
        Metric("gauge", "discovery_engine_held_by_node", "Of them, by silent node.", held_by_node, ("node",)),
        Metric("gauge", "discovery_engine_silent_seconds", "For how long a node is silent.", silent_for, ("node",)),
        Metric("gauge", "discovery_engine_hold_left_seconds", "Until it is waited for no longer.", held_for, ("node",)),
        Metric("gauge", "discovery_engine_node_info", "1, by node and version.", versions, ("node", "version")),
        gauge(
            "discovery_engine_zone_differences",
            "Zones that other nodes serve otherwise.",
            lambda: len(node_infos.differences()),
        ),
    ]
