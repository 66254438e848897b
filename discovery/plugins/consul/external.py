"""/catalog as it is written: what has no agent, and is registered by somebody else: a node by its name, a service on it, and what checks of
it have come to, which its registrant makes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from discovery.core.health import MAX_OUTPUT
from discovery.core.name import fold
from discovery.plugins.consul import decode, definitions
from discovery.plugins.consul.definitions import HEALTH
from discovery.plugins.consul.directory import Peer, node_key
from discovery.plugins.consul.manners import TRUE, Refused
from discovery.plugins.consul.nodes import Node, canonical
from discovery.plugins.consul.reading import put
from discovery.plugins.consul.registering import Registering
from discovery.plugins.consul.topics import PLUGIN
from discovery.plugins.consul.views import Json
from discovery.plugins.consul.writes import DeregisterPeer, RegisterPeer, SetStatuses, with_statuses
from discovery.rest.api.answers import Answer
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Route
from discovery.store.operations import PutDocument
from discovery.store.service import Entry
from discovery.store.write import Write

_NO_NODE_CHECK = "A check of a whole node is not kept here; say of which service it is (ServiceID)"


class External:
    def __init__(self, registering: Registering, count_registration: Callable[[str, float], None]) -> None:
        self._registering = registering
        self._reader = registering.reader
        self._directory = registering.reader.directory
        self._count_registration = count_registration

    def routes(self) -> list[Route]:
        return [
            put("/catalog/register", self.register, "A node without an agent, or a service on one", Kind.REGISTRATION),
            put("/catalog/deregister", self.deregister, "The same no longer", Kind.REMOVAL),
        ]

    def _body(self, request: Request) -> Json:
        self._reader.asked(request)
        body = decode.body(request.body, decode.ENTRY)
        if not body.get("Node"):
            raise Refused(500, "Must provide node")
        if body.get("Datacenter", "") not in ("", self._reader.settings.consul_datacenter):
            raise Refused(500, "No path to datacenter")
        return body

    async def register(self, request: Request) -> Answer:
        self._count_registration(request.caller.address, self._reader.clock())
        body = self._body(request)
        if not body.get("Address") and not body.get("SkipNodeUpdate"):
            raise Refused(500, "Must provide address if SkipNodeUpdate is not set")
        checks = [each for each in (*body.get("Checks", ()), body.get("Check", {})) if each]
        await self._registering.submit_all(request.caller, *self._writes(request, body, checks))
        return TRUE

    def _writes(self, request: Request, body: Json, checks: Sequence[Json]) -> list[Write[Any]]:
        service = body.get("Service")
        node = self._node(body)
        if service is not None:
            id = service.get("ID") or service.get("Service") or ""
            statuses = [_status(each) for each in checks if each.get("ServiceID", id) == id]
            return [self._service(body, node, service, statuses)]
        if not checks:
            value = {"Node": node.name, "Address": node.address, "Meta": body.get("NodeMeta")}
            return [PutDocument(PLUGIN, node_key(node.name), value, None, f"node registered, {request.reason}")]
        of_services: dict[str, list[Json]] = {}  # one write of each, so that of what is too much nothing is kept
        for each in checks:
            if not each.get("ServiceID"):
                raise Refused(500, _NO_NODE_CHECK)
            of_services.setdefault(each["ServiceID"], []).append(_status(each))
        found = [(*self._at(node, id), tuple(statuses)) for id, statuses in of_services.items()]
        nodes, reason = self._directory.nodes, request.reason
        return [SetStatuses(entry.instance.id, peer, nodes, reason, statuses) for entry, peer, statuses in found]

    def _node(self, body: Json) -> Node:
        """By its name; the address of one that is there already is known."""
        place = self._directory.places.get(fold(body["Node"]))
        address = body.get("Address") or (None if place is None else place.node.address)
        if address is None:
            raise Refused(500, "Must provide address if SkipNodeUpdate is not set")
        return Node(body["Node"], canonical(address))

    def _at(self, node: Node, id: str) -> tuple[Entry, Peer]:
        found = self._directory.find(node, id)
        if found is None:
            raise Refused(500, f"Missing service registration: {id[:200]} on {node.name[:200]}")
        return found

    def _service(self, body: Json, node: Node, service: Json, statuses: list[Json]) -> RegisterPeer:
        name = None if fold(self._directory.nodes.at(node.address).name) == fold(node.name) else node.name
        said = definitions.service(service, node.address, self._reader.settings.consul_keep, name)
        before, leaves = self._directory.known_as(node, said.peer.id)
        words = dict(said.peer.said) | ({"NodeMeta": body["NodeMeta"]} if body.get("NodeMeta") else {})
        if before is not None and "Checks" in before.said:
            words["Checks"] = before.said["Checks"]
        peer = with_statuses(said.peer._replace(said=words), statuses)
        return RegisterPeer(said.spec, peer=peer, checks=(), leaves=leaves, nodes=self._directory.nodes)

    async def deregister(self, request: Request) -> Answer:
        body = self._body(request)
        name, id = body["Node"], body.get("ServiceID")
        reason = f"deregistered, {request.reason}"
        place = self._directory.places.get(fold(name))
        writes: list[Write[Any]] = []
        for entry, peer in () if place is None else list(self._directory.own(place.node)):
            about = (entry.instance.id, peer, self._directory.nodes, reason)
            if id is None and body.get("CheckID"):
                writes.append(SetStatuses(*about, (), body["CheckID"]))
            elif id in (None, peer.id):
                writes.append(DeregisterPeer(*about))
        if id is None and not body.get("CheckID") and self._directory.remembered(name):
            writes.append(PutDocument(PLUGIN, node_key(name), None, None, reason))
        await self._registering.submit_all(request.caller, *writes)
        return TRUE


def _status(check: Json) -> Json:
    """What a check has come to, as it is remembered. Refused."""
    status, id = check.get("Status", "critical"), check.get("CheckID") or check.get("Name") or ""
    if status not in HEALTH:
        raise Refused(500, f"Invalid check status: '{status:.40}'")
    about = {"CheckID": id, "Status": status, "Output": check.get("Output", "")[:MAX_OUTPUT]}
    return about | {name: check.get(name, "") for name in ("Name", "Notes")}
