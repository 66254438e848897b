"""The engine's numbers for /metrics, which the page of the plugin `metrics` lists; and its nodes for /stats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from discovery.core.metric import Metric, Readings, counter, gauge
from discovery.engines.etcd.leadership import Leadership
from discovery.engines.etcd.mirror import Mirror
from discovery.engines.etcd.node_info import NodeInfos
from discovery.engines.etcd.peers import Peers
from discovery.engines.etcd.presence import NOBODY, Presence
from discovery.engines.etcd.writes import Writes
from discovery.store.service import NodeStatus


def nodes_shown(peers: Peers, node_infos: NodeInfos, presence: Presence) -> dict[str, Any]:
    def held(status: NodeStatus) -> dict[str, Any]:
        return presence.suspected.get(status, NOBODY)._asdict()

    shown = zip(peers.shown(presence.clock()), peers.others, strict=True)
    return {
        "nodes": [node | {"version": node_infos.version_of(of.node), "holds": held(of)} for node, of in shown],
        "heldThroughUnknownNodes": held(peers.unknown),
        "heldHere": held(peers.own),
    }


def metrics_of(
    mirror: Mirror,
    writes: Writes,
    leadership: Leadership,
    peers: Peers,
    node_infos: NodeInfos,
    presence: Presence,
    writable: Callable[[], bool],
) -> Sequence[Metric]:
    staleness = presence.staleness

    def nodes() -> Readings:
        silent = sum(status.silent for status in peers.others)
        return {("heard",): len(peers.others) - silent, ("silent",): silent}

    def held() -> int:
        return sum(each.instances for each in presence.suspected.values())

    def held_by_node() -> Readings:
        return {(through.node,): each.instances for through, each in presence.suspected.items()}

    def silent_for() -> Readings:
        shown = peers.shown(presence.clock())
        return {(node["node"],): node["silentForSeconds"] for node in shown if node["silent"]}

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
        gauge("discovery_engine_held_instances", "Suspects, for their node is silent.", held),
        Metric("gauge", "discovery_engine_held_by_node", "Of them, by silent node.", held_by_node, ("node",)),
        Metric("gauge", "discovery_engine_silent_seconds", "For how long a node is silent.", silent_for, ("node",)),
        Metric("gauge", "discovery_engine_node_info", "1, by node and version.", versions, ("node", "version")),
        gauge(
            "discovery_engine_zone_differences",
            "Zones that other nodes serve otherwise.",
            lambda: len(node_infos.differences()),
        ),
    ]
