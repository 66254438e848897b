"""What an import says of an instance, as Consul's /health/service has it, read into the peers that its registrations would have left: their
own ids, nodes and checks. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from discovery.core.errors import InvalidField
from discovery.core.exact_json import dumps
from discovery.core.instance import Registration
from discovery.core.name import fold
from discovery.plugins.consul import decode, definitions
from discovery.plugins.consul.directory import MAINTENANCE, Peer
from discovery.plugins.consul.manners import Refused
from discovery.plugins.consul.nodes import Nodes, canonical
from discovery.plugins.consul.topics import PLUGIN
from discovery.plugins.consul.views import STATUSES, Json
from discovery.plugins.consul.writes import attached

_FIELD = f"importedAs.{PLUGIN}"
# Of one address; and octets of all outputs of their checks: an instance's attachments have 8 KiB.
_MOST, _OUTPUTS = 8, 2048
# Octets of them all: where they are more, the ids alone are kept.
_ROOM = 7 * 1024

_NODE = decode.struct(
    {
        "ID": decode.text, "Node": decode.text, "Address": decode.text, "Meta": decode.map_of(decode.text),
        "TaggedAddresses": decode.map_of(decode.text),
    }
)  # fmt: skip
_SERVICE = decode.struct(
    {
        "ID": decode.text, "Service": decode.text, "Tags": decode.list_of(decode.text), "Address": decode.text, "Port": decode.number,
        "Meta": decode.map_of(decode.text), "TaggedAddresses": decode.map_of(decode.ADDRESS), "EnableTagOverride": decode.flag,
    }
)  # fmt: skip
_CHECK = decode.struct(
    dict.fromkeys(("CheckID", "Name", "Status", "Output", "Notes", "Type", "ServiceID"), decode.text)
)
_ENTRIES = decode.list_of(
    decode.struct({"Node": _NODE, "Service": _SERVICE, "Checks": decode.list_of(_CHECK)}), "entries"
)


def imported(nodes: Nodes, said: Any, spec: Registration) -> Callable[[Any], Any]:
    """`said`: a list, the services at one address. The maintenance of a copy, which is said here, stays. InvalidField."""
    try:
        entries = _ENTRIES(said, "")[:_MOST]
        most = _OUTPUTS // max(1, sum(len(each.get("Checks", ())) for each in entries))
        peers = [_peer(nodes, each, spec, most) for each in entries]
    except Refused as error:
        raise InvalidField(_FIELD, str(error)) from None
    if len(dumps([peer.said for peer in peers])) > _ROOM:
        peers = [peer._replace(said={}) for peer in peers]  # found by its id and node, and what it is here

    def change(known: Any) -> Any:
        out = {} if known is None else {Peer(*each).key: each[3].get(MAINTENANCE) for each in known["peers"]}
        return attached([_maintained(peer, out.get(peer.key)) for peer in peers])[PLUGIN]

    return change


def _maintained(peer: Peer, why: str | None) -> Peer:
    return peer if why is None else peer._replace(said={**peer.said, MAINTENANCE: why})


def _peer(nodes: Nodes, entry: Json, spec: Registration, most: int) -> Peer:
    node, service, checks = entry.get("Node", {}), entry.get("Service", {}), entry.get("Checks", ())
    if not node.get("Node") or not node.get("Address"):
        raise InvalidField(_FIELD, "Node has a Node and an Address, as in /v1/health/service")
    at = canonical(node["Address"])
    name = None if fold(nodes.at(at).name) == fold(node["Node"]) else node["Node"]
    said = definitions.service(service, at, 0.0, name)
    words = dict(said.peer.said)
    if said.spec.tags != spec.tags:  # it shares its address
        words["Tags"] = list(said.spec.tags)
    if said.spec.metadata != spec.metadata:
        words["Meta"] = service.get("Meta", {})
    of_node = [_check(each, most) for each in checks if not each.get("ServiceID")]
    words["Node"] = {name: node.get(name) for name in ("ID", "TaggedAddresses", "Meta")} | {"Checks": of_node}
    words["Checks"] = [_check(each, most) for each in checks if each.get("ServiceID")]
    return said.peer._replace(said=words)


def _check(said: Json, most: int) -> Json:
    if said.get("Status") not in STATUSES:
        raise InvalidField(_FIELD, "Status of a check is passing, warning or critical")
    found = {name: said.get(name, "") for name in ("CheckID", "Name", "Status", "Notes", "Type")}
    return found | {"Output": said.get("Output", "").encode()[:most].decode(errors="ignore")}
