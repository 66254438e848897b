"""/catalog and /health as they are read: what is registered anywhere, and what is known of its health."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from discovery.core.health import WELL
from discovery.core.instance import Instance, Registration
from discovery.core.lease import Lease, Term
from discovery.core.name import fold
from discovery.plugins.consul import views
from discovery.plugins.consul.directory import MAINTENANCE, Peer
from discovery.plugins.consul.manners import as_json, encoded
from discovery.plugins.consul.nodes import Node
from discovery.plugins.consul.reading import LIST, OBJECT, ONE, SKIP, Question, Reader, Shape, get, none, refusing
from discovery.plugins.consul.topics import CHECKS, NODES, SERVICES, node_topic
from discovery.plugins.consul.views import CRITICAL, PASSING, Json
from discovery.rest.api.answers import Answer
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Route
from discovery.store.service import Entry

# Of a node's id, a UUID.
_ID_LENGTH = 36


def _of_service(question: Question) -> str:
    return fold(question.names["name"])


def _of_node(question: Question) -> str:
    return node_topic(question.names["name"])


class Catalog:
    """`serf_output`: what is known of a node, by its folded name."""

    def __init__(self, reader: Reader, serf_output: Callable[[str], str]) -> None:
        self.serf_output = serf_output
        self._reader = reader
        self._registry = reader.registry
        self._directory = reader.directory
        self._datacenter = reader.settings.consul_datacenter

    def routes(self) -> list[Route]:
        route = self._reader.route
        health, row, check, node = SAMPLES["health"], SAMPLES["row"], SAMPLES["check"], SAMPLES["node"]
        by_id, as_list = (partial(self._with_services, shape) for shape in (OBJECT, LIST))
        return [
            get("/catalog/datacenters", self.datacenters, "The one data center"),
            route("/catalog/nodes", self.nodes, lambda _: NODES, sample=node, summary="All nodes", by_agent=True),
            route("/catalog/services", self.services, lambda _: SERVICES, OBJECT, summary="Names and tags of all services"),
            route("/catalog/service/{name}", self.service_rows, _of_service, sample=row, summary="Instances of a service"),
            route("/catalog/connect/{name}", none, _of_service, summary="Proxies of a service: none"),
            route("/catalog/gateway-services/{name}", lambda _: iter([None]), _of_service, ONE, summary="Services of a gateway: none"),
            route("/catalog/node/{name}", by_id, _of_node, ONE, SAMPLES["service"], "A node with its services", by_agent=True),
            route(
                "/catalog/node-services/{name}", as_list, _of_node, ONE, SAMPLES["service"], "The same as a list", by_agent=True
            ),
            get("/health/service/", refusing(400, "Missing service name"), "No service"),
            route("/health/service/{name}", self.health, _of_service, sample=health, summary="Instances with their checks"),
            route("/health/connect/{name}", none, _of_service, summary="Proxies with their checks: none"),
            route("/health/ingress/{name}", none, _of_service, summary="Gateways with their checks: none"),
            route("/health/checks/{name}", self.checks, _of_service, sample=check, summary="Checks of a service"),
            route("/health/node/{name}", self.node_checks, _of_node, sample=check, summary="Checks of a node", by_agent=True),
            route("/health/state/{state}", self.state, lambda _: CHECKS, sample=check, summary="Checks in a state", by_agent=True),
        ]  # fmt: skip

    # -- what all of them read

    def of_service(self, question: Question) -> Iterator[tuple[Entry, Peer, Node]]:
        """By `tag` and `node-meta`; first those on the node that `near` names, suspects last."""
        service = self._registry.service(question.names["name"])
        if service is None:
            return
        asked, now = question.asked, self._reader.clock()
        entries = sorted(service.entries.values(), key=lambda entry: entry.rank(now))
        near = asked.first("near")
        if near:
            near = fold(question.agent.name if near == "_agent" else near)
            here = self._directory.places.get(near)
            entries.sort(key=lambda entry: here is None or entry.instance.id not in here.instances)
        tags = [tag.lower() for tag in asked.values.get("tag", ())]
        for entry in entries:
            for peer in self._directory.peers_of(entry.instance):
                own = {tag.lower() for tag in peer.said.get("Tags", entry.instance.spec.tags)} if tags else set()
                node = self._directory.node_of(peer)
                if own.issuperset(tags) and self._has_meta(node, question):
                    yield entry, peer, node

    def _has_meta(self, node: Node, question: Question) -> bool:
        meta = self._node(node)["Meta"] or {} if question.asked.node_meta else {}
        return all(meta.get(key) == value for key, value in question.asked.node_meta)

    def _node(self, node: Node) -> Json:
        place = self._directory.places.get(fold(node.name))
        if place is None:
            known = self._directory.remembered(node.name)
            return views.node(
                node, self._datacenter, self._directory.topics.index_of(NODES), known if "Address" in known else None
            )
        return views.node(node, self._datacenter, place.since, place.external)

    def checks_of(self, node: Node, entry: Entry, peer: Peer) -> list[Json]:
        """Of one instance, without its node's."""
        window = self._registry.window(entry.instance)
        reason, is_out = None if window is None else window.reason, MAINTENANCE in self._directory.remembered(node.name)
        return views.service_checks(node, entry, peer, self._reader.clock(), reason, is_out)

    def of_node(self, node: Node, entry: Entry | None = None) -> list[Json]:
        """The checks of a node itself. `entry`: as they are for this instance, whose own checks say more of it."""
        name = fold(node.name)
        place, known = self._directory.places.get(name), self._directory.remembered(node.name)
        found = []
        if "Address" not in known and (place is None or place.external is None):
            is_gone = place is not None and place.silent and (entry is None or entry.instance.id in place.unchecked)
            found.append(views.node_check(node, status=CRITICAL if is_gone else PASSING, output=self.serf_output(name)))
        if place is not None and place.external is not None:
            found += [views.copied_check(node, each, place.index) for each in place.external.get("Checks", ())]
        if MAINTENANCE in known:
            found.append(views.node_maintenance(node, known[MAINTENANCE], self._directory.topics.index_of(CHECKS)))
        return found

    def _known(self, name: str, agent: Node) -> Node | None:
        """By its name or id: one where something is, or the agent's own."""
        place = self._directory.places.get(fold(name))
        if place is not None:
            return place.node
        if fold(name) in (fold(agent.name), agent.id):
            return agent
        for node in self._directory.external():
            if fold(node.name) == fold(name):
                return node
        places = self._directory.places.values() if len(name) == _ID_LENGTH else ()
        return next((each.node for each in places if each.node.id == name), None)

    def _all_nodes(self, agent: Node) -> Iterator[Node]:
        places = list(self._directory.places.values())
        if fold(agent.name) not in self._directory.places:
            yield agent
        yield from (place.node for place in places)
        yield from self._directory.external()

    # -- /catalog

    def datacenters(self, request: Request) -> Answer:
        self._reader.asked(request)
        return as_json([self._datacenter])

    def nodes(self, question: Question) -> Iterator[Any]:
        for node in self._all_nodes(question.agent):
            row = self._node(node)
            yield row if self._has_meta(node, question) and question.passes(row) else SKIP

    def services(self, question: Question) -> Iterator[tuple[str, list[str]]]:
        for service in list(self._registry.services.values()):
            tags: dict[str, None] = {}
            for entry in service.entries.values():
                for peer in self._directory.peers_of(entry.instance):
                    if self._has_meta(self._directory.node_of(peer), question):
                        tags |= dict.fromkeys(peer.said.get("Tags", entry.instance.spec.tags))
            yield service.name, list(tags)

    def service_rows(self, question: Question) -> Iterator[Any]:
        for entry, peer, node in self.of_service(question):
            row = views.service_row(self._node(node), entry, peer)
            yield row if question.passes(row) else SKIP

    def _with_services(self, shape: Shape, question: Question) -> Iterator[Any]:
        """In pieces: a host may have thousands."""
        node = self._known(question.names["name"], question.agent)
        if node is None:
            yield None if shape is OBJECT else {"Node": None, "Services": None}
            return
        yield b'{"Node":' + encoded(self._node(node)) + b',"Services":' + shape.begin
        comma = b""
        for entry, peer in self._directory.on(node.name):
            service = views.catalog_service(entry, peer)
            if question.passes(service):
                yield comma + (encoded(peer.id) + b":" if shape is OBJECT else b"") + encoded(service)
                comma = b","
            else:
                yield SKIP
        yield shape.end + b"}"

    # -- /health

    def health(self, question: Question) -> Iterator[Any]:
        passing = question.asked.flag("passing")
        for entry, peer, node in self.of_service(question):
            checks = [*self.of_node(node, entry), *self.checks_of(node, entry, peer)] or [views.node_check(node)]
            if passing and any(check["Status"] != PASSING for check in checks):
                yield SKIP
                continue
            row = {"Node": self._node(node), "Service": views.catalog_service(entry, peer), "Checks": checks}
            yield row if question.passes(row) else SKIP

    def checks(self, question: Question) -> Iterator[Any]:
        for entry, peer, node in self.of_service(question):
            yield from _passing(question, self.checks_of(node, entry, peer))

    def node_checks(self, question: Question) -> Iterator[Any]:
        node = self._known(question.names["name"], question.agent)
        if node is not None:
            yield from _passing(question, self._all_checks(node))

    def _all_checks(self, node: Node) -> Iterator[Json]:
        yield from self.of_node(node)
        for entry, peer in self._directory.on(node.name):
            yield from self.checks_of(node, entry, peer)

    def state(self, question: Question) -> Iterator[Any]:
        state = question.names["state"]
        for node in self._all_nodes(question.agent):
            if self._has_meta(node, question):
                for check in self._all_checks(node):
                    yield check if state in ("any", check["Status"]) and question.passes(check) else SKIP


def _passing(question: Question, rows: Iterable[Json]) -> Iterator[Any]:
    return (row if question.passes(row) else SKIP for row in rows)


def _samples() -> dict[str, Json]:
    """Of each kind of row, one that has all fields, by which selectors of filters are checked."""
    node = views.node(Node("", "127.0.0.1"), "", 1)
    said: Any = {"Kind": "", "TaggedAddresses": {}}
    spec = Registration(name="", ip="127.0.0.1", port=1)
    entry, peer = Entry(Instance("", 0.0, spec, own=WELL), Lease(Term(1.0), 0.0)), Peer("", "127.0.0.1", None, said)
    service, check = views.catalog_service(entry, peer), views.node_check(Node("", ""))
    health = {"Node": node, "Service": service, "Checks": [check]}
    row = views.service_row(node, entry, peer)
    return {"node": node, "service": service, "check": check, "health": health, "row": row}


SAMPLES = _samples()
