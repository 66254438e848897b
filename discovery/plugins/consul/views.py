"""Consul's JSON of nodes, services and checks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discovery.core.check import MAX_REPORT
from discovery.core.health import Health
from discovery.core.instance import Instance
from discovery.core.metadata import texts, unpack
from discovery.core.network import ip_of
from discovery.core.options import DEFAULT_WEIGHT
from discovery.core.status import SILENT, Status
from discovery.plugins.consul.directory import MAINTENANCE, Peer, own_id, stands_under_node
from discovery.plugins.consul.nodes import Node
from discovery.store.service import Entry

Json = dict[str, Any]

PASSING, WARNING, CRITICAL = "passing", "warning", "critical"
STATUS = {Health.PASSING: PASSING, Health.WARNING: WARNING, Health.FAILING: CRITICAL}
STATUSES = (PASSING, WARNING, CRITICAL)  # the worse, the later
# Consul's own names of checks.
SERF, NODE_MAINTENANCE, SERVICE_MAINTENANCE = "serfHealth", "_node_maintenance", "_service_maintenance:"
ALIVE = "Agent alive and reachable"
_PROXY: Json = {"MeshGateway": {}, "Expose": {}}
_NO_REASON = "Maintenance mode is enabled for this {}, but no reason was provided. This is a default message."


def node(of: Node, datacenter: str, index: int, external: Mapping[str, Any] | None = None) -> Json:
    """`external`: what was said of one that is no host with an agent."""
    if external is not None:
        id, tagged, meta = external.get("ID", ""), external.get("TaggedAddresses"), external.get("Meta")
    else:
        ip, name = ip_of(of.address), "ipv4" if ":" not in of.address else "ipv6"
        id, meta = of.id, {"consul-network-segment": ""}
        places = ("lan", "wan") if ip is None else ("lan", f"lan_{name}", "wan", f"wan_{name}")
        tagged = dict.fromkeys(places, of.address)
    return {
        "ID": id, "Node": of.name, "Address": of.address, "Datacenter": datacenter, "TaggedAddresses": tagged, "Meta": meta,
        "CreateIndex": index, "ModifyIndex": index,
    }  # fmt: skip


def weights(instance: Instance) -> Json:
    """As Consul has them, where 1 is usual, which is DEFAULT_WEIGHT here."""
    spec = instance.spec
    passing, warning = (round(each / DEFAULT_WEIGHT) for each in (spec.weight, spec.warning_weight))
    return {"Passing": max(1, passing), "Warning": warning or min(1, spec.warning_weight)}


def _tagged(address: str, port: int, said: Mapping[str, Any]) -> Json | None:
    """What Consul adds of itself to the addresses that a service gives. None: it has none."""
    given = dict(said.get("TaggedAddresses") or {})
    if ip_of(address) is not None:
        name = "ipv6" if ":" in address else "ipv4"
        for place in ("lan", "wan"):
            given.setdefault(f"{place}_{name}", {"Address": address, "Port": port})
    return given or None


def agent_service(entry: Entry, peer: Peer) -> Json:
    """As an agent shows it."""
    instance = entry.instance
    spec, said = instance.spec, peer.said
    address = said.get("Address", spec.ip)
    service = {
        "ID": peer.id, "Service": spec.name, "Tags": list(said.get("Tags", spec.tags)),
        "Meta": said["Meta"] if "Meta" in said else texts(unpack(spec.metadata)),
        "Port": spec.port, "Address": address, "Weights": said.get("Weights") or weights(instance),
        "EnableTagOverride": said.get("EnableTagOverride", False),
    }  # fmt: skip
    if (tagged := _tagged(address, spec.port, said)) is not None:
        service["TaggedAddresses"] = tagged
    if "Proxy" in said:
        service["Proxy"] = _PROXY | said["Proxy"]
    return service | {name: said[name] for name in ("Kind", "Connect") if name in said}


def catalog_service(entry: Entry, peer: Peer) -> Json:
    """As the catalog shows it, below a node and in /health."""
    service = agent_service(entry, peer)
    service["Meta"] = service["Meta"] or None
    proxy, connect = service.get("Proxy", _PROXY), service.get("Connect", {})
    return service | {"Proxy": proxy, "Connect": connect, "CreateIndex": entry.index, "ModifyIndex": entry.index}


def service_row(node: Json, entry: Entry, peer: Peer) -> Json:
    """Of GET /catalog/service/NAME: the node's fields beside the service's, whose names begin with Service."""
    service = catalog_service(entry, peer)
    row = {name: node[name] for name in ("ID", "Node", "Address", "Datacenter", "TaggedAddresses")}
    row |= {
        "NodeMeta": node["Meta"], "ServiceKind": service.get("Kind", ""), "ServiceID": service["ID"], "ServiceName": service["Service"],
        "ServiceTags": service["Tags"], "ServiceAddress": service["Address"], "ServiceWeights": service["Weights"],
        "ServiceMeta": service["Meta"] or {}, "ServicePort": service["Port"], "ServiceEnableTagOverride": service["EnableTagOverride"],
        "ServiceProxy": service["Proxy"], "ServiceConnect": service["Connect"], "CreateIndex": entry.index, "ModifyIndex": entry.index,
    }  # fmt: skip
    if "TaggedAddresses" in service:
        row["ServiceTaggedAddresses"] = service["TaggedAddresses"]
    return row


# -- checks


def node_check(
    of: Node, id: str = SERF, name: str = "Serf Health Status", status: str = PASSING, output: str = ALIVE,
    notes: str = "", index: int = 0, kind: str = "",
) -> Json:  # fmt: skip
    return {
        "Node": of.name, "CheckID": id, "Name": name, "Status": status, "Notes": notes, "Output": output, "ServiceID": "",
        "ServiceName": "", "ServiceTags": [], "Type": kind, "Definition": {}, "CreateIndex": index, "ModifyIndex": index,
    }  # fmt: skip


def _check(
    of: Node, entry: Entry, peer: Peer, id: str, name: str, status: str, output: str, kind: str, notes: str = ""
) -> Json:
    spec = entry.instance.spec
    about = {"ServiceID": peer.id, "ServiceName": spec.name, "ServiceTags": list(peer.said.get("Tags", spec.tags))}
    return node_check(of, id, name, status, output, notes, entry.index, kind) | about


def copied_check(of: Node, said: Mapping[str, Any], index: int) -> Json:
    """Of a node, as its registry said it: see `imported`."""
    about = (said["CheckID"], said["Name"], said["Status"], said["Output"], said["Notes"])
    return node_check(of, *about, index=index, kind=said["Type"])


def node_maintenance(of: Node, reason: str, index: int) -> Json:
    notes = reason or _NO_REASON.format("node")
    return node_check(of, NODE_MAINTENANCE, "Node Maintenance Mode", CRITICAL, "", notes, index, "maintenance")


def service_checks(
    of: Node, entry: Entry, peer: Peer, now: float, window: str | None, node_is_out: bool = False
) -> list[Json]:
    """Those of the service alone. `window`: why a maintenance window keeps it out of answers. `node_is_out`: its node is in maintenance."""
    instance = entry.instance
    checks, name, is_peer = [], instance.spec.name, peer.key in {check.group for check in instance.spec.checks}
    reason = _maintenance(entry, peer, window, node_is_out)
    if reason is not None:
        id, notes = SERVICE_MAINTENANCE + peer.id, reason or _NO_REASON.format("service")
        checks.append(_check(of, entry, peer, id, "Service Maintenance Mode", CRITICAL, "", "maintenance", notes))
    notes = peer.said.get("Notes", {})
    suspect, seen = entry.suspect(now), entry.as_seen(now, float)
    for check in instance.spec.checks:
        if check.group in (peer.key, "" if not is_peer else peer.key):
            found, id = seen.said_by(check), own_id(check, peer)
            status, output = STATUS[found.health], found.output
            if check.ttl >= MAX_REPORT and not output:
                output = "its TTL is 7 days here, the longest there is"
            if status == CRITICAL and id in peer.said.get("Moved", ()) and "refused" in output:
                output += f"; it may listen on a loopback address alone, and is asked at {peer.at}"
            if suspect and found.health is not Health.FAILING:
                status, output = PASSING, _suspect(entry, now)
            checks.append(_check(of, entry, peer, id, check.label, status, output, check.kind, notes.get(id, "")))
    is_copy = instance.spec.imported_from is not None
    if is_copy or instance.spec.lease is not None:  # else it has come itself since an import brought it
        checks += [
            _check(
                of, entry, peer, each["CheckID"], each["Name"], each["Status"], each["Output"], each.get("Type", ""), each["Notes"]
            )
            for each in peer.said.get("Checks", ())  # that its registrant makes
        ]  # fmt: skip
    beats = instance.spec.lease is None and (not is_copy or entry.status_at(now) in SILENT)
    if beats or (instance.fails and not checks and not stands_under_node(instance)):  # as others say who registered it
        status, output = _life(entry, now)
        checks.append(_check(of, entry, peer, f"service:{peer.id}", f"Service '{name}' check", status, output, "ttl"))
    return checks


def _maintenance(entry: Entry, peer: Peer, window: str | None, node_is_out: bool) -> str | None:
    if window is not None or MAINTENANCE in peer.said:
        return window or str(peer.said[MAINTENANCE])
    return "it is draining" if entry.instance.draining and not node_is_out else None


def _suspect(entry: Entry, now: float) -> str:
    return f"suspect since {max(0.0, now - entry.lease.expires_at):.0f} s: it fell silent together with many others, or with its node"


def _life(entry: Entry, now: float) -> tuple[str, str]:
    """Of one that beats: its lease, and what it says of itself."""
    status, own = entry.status_at(now), entry.own
    if status is Status.UNHEALTHY:
        return CRITICAL, "TTL expired"
    if entry.instance.fails:
        return CRITICAL, entry.instance.failing or own.output
    if status is Status.SUSPECT:
        return PASSING, _suspect(entry, now)
    if own.health is Health.WARNING or status is Status.FLAPPING:
        return WARNING, own.output
    return PASSING, own.output


def worst(checks: list[Json]) -> str:
    """As agents and the catalog count them; passing without any."""
    return max((check["Status"] for check in checks), key=STATUSES.index, default=PASSING)
