"""/agent as it is read: what the agent of whoever asks knows, which is what came from his address."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from hashlib import blake2b
from itertools import chain
from typing import Any

from discovery.core.address import authority
from discovery.plugins.consul import views
from discovery.plugins.consul.catalog import SAMPLES, Catalog
from discovery.plugins.consul.directory import Peer
from discovery.plugins.consul.manners import TEXT, Refused, as_json
from discovery.plugins.consul.nodes import Node
from discovery.plugins.consul.reading import OBJECT, SKIP, Question, Reader, get
from discovery.plugins.consul.topics import node_topic
from discovery.plugins.consul.views import CRITICAL, PASSING, WARNING, Json
from discovery.rest.api.answers import Answer
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Reply, Right, Route
from discovery.store.service import Entry

# What of Consul's API is spoken here.
VERSION = "1.8.7"
_SERF, _RPC = 8301, 8300
# Of GET /agent/health/…: as Consul has them there.
_DEFINITION = {
    "Interval": "0s", "Timeout": "0s", "DeregisterCriticalServiceAfter": "0s", "HTTP": "", "Header": None, "Method": "",
    "Body": "", "TLSSkipVerify": False, "TCP": "",
}  # fmt: skip
_PROTOCOLS = {
    "ProtocolMin": 1, "ProtocolMax": 5, "ProtocolCur": 2, "DelegateMin": 2, "DelegateMax": 5, "DelegateCur": 4,
}  # fmt: skip
_STATUS_OF = {PASSING: 200, WARNING: 429, CRITICAL: 503, "maintenance": 503}


class Agent:
    def __init__(self, reader: Reader, catalog: Catalog) -> None:
        self._reader = reader
        self._registry = reader.registry
        self._directory = reader.directory
        self._catalog = catalog
        self._datacenter = reader.settings.consul_datacenter

    def routes(self) -> list[Route]:
        route, service, check = self._reader.route, SAMPLES["service"], SAMPLES["check"]
        return [
            get("/status/leader", lambda request: as_json(self._at(request)), "Who leads: this server", Right.NONE),
            get("/status/peers", lambda request: as_json([self._at(request)]), "The servers: this one", Right.NONE),
            get("/agent/self", self.self, "The agent of who asks"),
            get("/agent/members", self.members, "Members of the cluster: this one"),
            route("/agent/services", self.services, None, OBJECT, service, "Services registered from there"),
            route("/agent/checks", self.checks, None, OBJECT, check, "Their checks"),
            get("/agent/service/{id}", self.service, "One of them"),
            get("/agent/health/service/id/{id}", self.health_of_id, "Its health, by the status too"),
            get("/agent/health/service/name/{name}", self.health_of_name, "The health of all of a name"),
        ]

    # -- this server

    @staticmethod
    def _at(request: Request) -> str:
        return authority(request.arrival.ip or "127.0.0.1", _RPC)

    def self(self, request: Request) -> Answer:
        asked, node = self._reader.asked(request), self._reader.agent_of(request)
        config = {
            "Datacenter": self._datacenter, "NodeName": node.name, "NodeID": node.id, "Revision": "", "Server": True, "Version": VERSION,
        }  # fmt: skip
        found = {"Config": config, "Member": self._member(node), "Meta": {"consul-network-segment": ""}}
        return as_json(found, pretty="pretty" in asked.values)

    def members(self, request: Request) -> Answer:
        self._reader.asked(request)
        return as_json([self._member(self._reader.agent_of(request))])

    def _member(self, node: Node) -> Json:
        tags = {
            "acls": "0", "bootstrap": "1", "build": f"{VERSION}:", "dc": self._datacenter, "ft_fs": "1", "id": node.id, "port": str(_RPC),
            "raft_vsn": "3", "role": "consul", "segment": "", "vsn": "2", "vsn_max": "3", "vsn_min": "2", "wan_join_port": "8302",
        }  # fmt: skip
        return {"Name": node.name, "Addr": node.address, "Port": _SERF, "Tags": tags, "Status": 1, **_PROTOCOLS}

    # -- what came from there

    def services(self, question: Question) -> Iterator[Any]:
        for entry, peer in self._directory.own(question.agent):
            service = views.agent_service(entry, peer)
            yield (peer.id, service) if question.passes(service) else SKIP

    def checks(self, question: Question) -> Iterator[Any]:
        known = (check for each in self._directory.own(question.agent) for check in self._of_agent(*each))
        for check in chain(known, self._of_node(question.agent)):
            yield (check["CheckID"], check) if question.passes(check) else SKIP

    def service(self, request: Request) -> Reply:
        """With `hash` it waits until the service is another one."""
        question, id = self._reader.question(request), request.names["id"]
        known, wanted = self._directory.anywhere(question.agent, id), question.asked.first("hash")
        if known is None:
            raise Refused(404, f"unknown service ID: {id}")
        make = partial(self._hashed, question.agent, id, "pretty" in question.asked.values)
        if wanted is None or wanted != self._hash(*known):
            return make()
        index = self._reader.index_of(topic := node_topic(self._directory.node_of(known[1]).name))
        waiting = question._replace(asked=question.asked._replace(seen=index))
        return self._reader.wait_for(waiting, topic, ("hash", question.agent.name, id), make)

    def _hashed(self, agent: Node, id: str, pretty: bool) -> Answer:
        known = self._directory.anywhere(agent, id)
        if known is None:
            return Answer(404, f"unknown service ID: {id}".encode(), media=TEXT)
        found = self._hash(*known)
        return as_json(
            views.agent_service(*known) | {"ContentHash": found}, 200, {"X-Consul-ContentHash": found}, pretty
        )

    @staticmethod
    def _hash(entry: Entry, peer: Peer) -> str:
        return blake2b(repr(views.agent_service(entry, peer)).encode(), digest_size=8).hexdigest()

    # -- its health

    def health_of_id(self, request: Request) -> Answer:
        agent, id = self._reader.agent_of(request), request.names["id"]
        known = self._directory.find(agent, id)
        if known is None:
            nobody = {"AggregatedStatus": CRITICAL, "Service": None, "Checks": None}
            return self._told(request, 404, nobody, f"ServiceId {id} not found")
        found = self._health(*known)
        return self._told(request, _STATUS_OF[found["AggregatedStatus"]], found, found["AggregatedStatus"])

    def health_of_name(self, request: Request) -> Answer:
        agent, service = self._reader.agent_of(request), self._registry.service(request.names["name"])
        peers = (
            (entry, peer)
            for entry in (() if service is None else service.entries.values())
            for peer in self._directory.peers_of(entry.instance)
        )
        found = [self._health(*each) for each in peers if self._directory.find(agent, each[1].id) == each]
        if not found:
            return self._told(request, 404, [], f"ServiceName {request.names['name']} Not Found")
        status = max((each["AggregatedStatus"] for each in found), key=list(_STATUS_OF).index)
        return self._told(request, _STATUS_OF[status], found, status)

    @staticmethod
    def _told(request: Request, status: int, found: Any, text: str) -> Answer:
        if "format=text" in request.query.split("&"):
            return Answer(status, text.encode(), media="text/plain")
        return as_json(found, status)

    def _health(self, entry: Entry, peer: Peer) -> Json:
        checks = [*self._of_agent(entry, peer), *self._of_node(self._directory.node_of(peer))]
        checks.sort(key=lambda check: check["Type"] == "maintenance")  # which comes last
        in_maintenance = any(check["Type"] == "maintenance" for check in checks)
        status = "maintenance" if in_maintenance else views.worst(checks)
        more = {"Type": "", "Definition": _DEFINITION}
        shown = [check | more | {"ServiceTags": check["ServiceTags"] or None} for check in checks]
        return {"AggregatedStatus": status, "Service": views.agent_service(entry, peer), "Checks": shown}

    def _of_node(self, node: Node) -> list[Json]:
        """Without what its servers know of it, as agents have it."""
        return [check for check in self._catalog.of_node(node) if check["CheckID"] != views.SERF]

    def _of_agent(self, entry: Entry, peer: Peer) -> Iterator[Json]:
        for check in self._catalog.checks_of(self._directory.node_of(peer), entry, peer):
            yield check | {"CreateIndex": 0, "ModifyIndex": 0}
