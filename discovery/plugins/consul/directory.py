"""Which of Consul's ids are which instances, and on which nodes: kept as a follower of commits, so that it follows from them
after a restart and on every node of a cluster.

In Consul an id belongs to a host, whose agent it was told. Here the host is the address of whoever registered; `Peer` is what it said
under one id. Several of them may share an instance, at one address and port. Instances that others registered (POST /register, another
plugin) have a peer that is made up: their own id, on the node of their own address.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from discovery.core.check import Check
from discovery.core.event import Commit, InstanceEvent
from discovery.core.health import Health
from discovery.core.instance import Instance, Key
from discovery.core.kinds import DocumentEvent
from discovery.core.name import fold
from discovery.core.network import ip_of
from discovery.plugins.consul.nodes import Node, Nodes
from discovery.plugins.consul.topics import CHECKS, NODES, PLUGIN, SERVICES, Topics, node_of, node_topic
from discovery.store.registrants import registrants
from discovery.store.registry import Registry
from discovery.store.service import Entry

# What a peer or a node says while it is out of answers: why.
MAINTENANCE = "Maintenance"
# In front of the folded name of a node: what is remembered of it.
_REMEMBERED = "node "


def node_key(name: str) -> str:
    """Of the document about a node."""
    return _REMEMBERED + fold(name)


class Peer(NamedTuple):
    """`at`: the address of its host. `node`: the name of its node, if it is not the host's. `said`: in Consul's words, what the
    registration does not have.
    """

    id: str
    at: str
    node: str | None = None
    said: Mapping[str, Any] = {}

    @property
    def key(self) -> str:
        """What tells it from others of its instance."""
        return f"{self.at if self.node is None else self.node}/{self.id}"


def own_id(check: Check, peer: Peer) -> str:
    """As its peer calls it: two peers of an instance may give the same."""
    return check.id.removeprefix(f"{peer.key} ")


class Place:
    """A node, and what is there. `ids`: the instance of each peer's id. `checks`: the instance of each check of theirs, and the id that the
    check has there. `external`: what was said of a node that is no host; None: it is one. `unchecked`: instances
    without any check, of which those are `silent` that are out because their node is. `index`: of the last commit about any of them;
    `since`: of that by which the node itself became what it is.
    """

    __slots__ = ("checks", "external", "ids", "index", "instances", "node", "silent", "since", "unchecked")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.ids: dict[str, str] = {}
        self.checks: dict[str, tuple[str, str]] = {}
        self.instances: dict[str, None] = {}
        self.external: Mapping[str, Any] | None = None
        self.unchecked: set[str] = set()
        self.silent: set[str] = set()
        self.index = self.since = 0

    def itself(self) -> object:
        """What is said of it alone."""
        return self.node, {name: each for name, each in (self.external or {}).items() if name != "Checks"}


def stands_under_node(instance: Instance) -> bool:
    """Nothing says whether it works: it has no check, and nobody but Consul's clients has registered it."""
    return not instance.spec.checks and registrants(instance).keys() == {PLUGIN}


class Directory:
    """`nodes`: how hosts are called."""

    def __init__(self, registry: Registry, nodes: Nodes) -> None:
        self._registry = registry
        self.nodes = nodes
        self.places: dict[str, Place] = {}  # by the folded name of the node
        self._peers: dict[str, tuple[Peer, ...]] = {}  # by id, of instances that have any
        # Of each instance: the folded name of a node, the id that a peer has there (None: nobody said one), and those of its checks.
        self._where: dict[str, list[tuple[str, str | None, list[str]]]] = {}
        self._hosts: dict[str, set[str]] = {}  # by a peer's id, the folded names of the nodes that have one
        self.topics = Topics(registry, self._index_at)

    # -- who is where

    def peers_of(self, instance: Instance) -> tuple[Peer, ...]:
        return self._peers.get(instance.id) or (Peer(instance.id, self._host_of(instance)),)

    def node_of(self, peer: Peer) -> Node:
        return self.nodes.at(peer.at) if peer.node is None else Node(peer.node, peer.at)

    def _host_of(self, instance: Instance) -> str:
        """Of an instance with a host name, it is whoever registered it."""
        if ip_of(instance.spec.ip) is not None:
            return instance.spec.ip
        return instance.registrant.address or "127.0.0.1"

    def place_of(self, address: str) -> Place | None:
        """Of a host."""
        return self.places.get(self.nodes.folded_at(address))

    def remembered(self, node: str) -> Mapping[str, Any]:
        """What is known of a node besides what is there."""
        found = self._registry.document(PLUGIN, node_key(node))
        return found if isinstance(found, dict) else {}

    def external(self) -> Iterator[Node]:
        """Nodes that somebody registered without anything on them."""
        for key, document in list(self._registry.documents(PLUGIN).items()):
            if key.startswith(_REMEMBERED) and fold(key.removeprefix(_REMEMBERED)) not in self.places:
                found = document.value
                if "Address" in found:
                    yield Node(found["Node"], found["Address"])

    def on(self, node: str) -> Iterator[tuple[Entry, Peer]]:
        """All on a node, by its name."""
        place = self.places.get(fold(node))
        for id in () if place is None else list(place.instances):
            if (entry := self._registry.find(id)) is None:
                continue
            for peer in self.peers_of(entry.instance):
                if fold(self.node_of(peer).name) == fold(node):
                    yield entry, peer

    def own(self, node: Node) -> Iterator[tuple[Entry, Peer]]:
        """Those that were registered by the agent of a node."""
        place = self.places.get(fold(node.name))
        for id in [] if place is None else list(place.ids):
            if (found := self.find(node, id)) is not None:
                yield found

    def find(self, node: Node, id: str) -> tuple[Entry, Peer] | None:
        """What is known by this id to the agent of a node."""
        place = self.places.get(fold(node.name))
        entry = None if place is None or id not in place.ids else self._registry.find(place.ids[id])
        if entry is None:
            return None
        peers = (peer for peer in self.peers_of(entry.instance) if peer.id == id)
        return next(((entry, peer) for peer in peers if fold(self.node_of(peer).name) == fold(node.name)), None)

    def known_as(self, node: Node, id: str) -> tuple[Peer, Key] | tuple[None, None]:
        """What it has said until now, and at which key."""
        found = self.find(node, id)
        return (None, None) if found is None else (found[1], found[0].instance.spec.key)

    def anywhere(self, node: Node, id: str) -> tuple[Entry, Peer] | None:
        """As `find`; what is not known there, but at one other node alone, is that one's."""
        if (found := self.find(node, id)) is not None:
            return found
        hosts = self._hosts.get(id, ())
        return self.find(self.places[next(iter(hosts))].node, id) if len(hosts) == 1 else None

    # -- what happens

    def follow_commit(self, commit: Commit) -> None:
        for event in commit.events:
            if isinstance(event, InstanceEvent):
                self._follow(event, commit.index)
            elif isinstance(event, DocumentEvent) and event.key.plugin == PLUGIN:
                self.topics.move(NODES, commit.index)
                self.topics.move(CHECKS, commit.index)

    def _follow(self, event: InstanceEvent, index: int) -> None:
        before, after = event.before, event.after
        if before is None or after is None or before.spec.tags != after.spec.tags:
            self.topics.move(SERVICES, index)
        self.topics.move(CHECKS, index)
        id = event.instance.id
        known = self._names_of(id)
        for name in known:
            self._touch(name, index)
        if (
            after is None
            or before is None
            or before.attachments is not after.attachments
            or before.spec.checks is not after.spec.checks
        ):
            tags = self._tags_of(id)
            self._take(id)
            if after is not None:
                self._put(after, index)
            if tags != self._tags_of(id):
                self.topics.move(SERVICES, index)
            for name in self._names_of(id):
                self._touch(name, index)
            gone = [name for name in known if not self.places[name].instances]
            for name in gone:
                del self.places[name]
            if gone:
                self.topics.move(NODES, index)
        if after is not None:
            for name in self._names_of(id):
                place = self.places[name]
                if id in place.unchecked and after.own.health is Health.FAILING:
                    place.silent.add(id)
                else:
                    place.silent.discard(id)

    def _names_of(self, id: str) -> set[str]:
        return {name for name, _, _ in self._where.get(id, ())}

    def _tags_of(self, id: str) -> list[tuple[str, Any]]:
        """Those that peers have, where they are not their instance's."""
        return [(peer.key, peer.said.get("Tags")) for peer in self._peers.get(id, ())]

    def _put(self, instance: Instance, index: int) -> None:
        found = instance.attachment(PLUGIN)
        if found is not None:
            self._peers[instance.id] = tuple(Peer(*each) for each in found["peers"])
        where = self._where[instance.id] = []
        for peer in self.peers_of(instance):
            node = self.node_of(peer)
            place = self.places.setdefault(name := fold(node.name), Place(node))
            before = place.itself()
            place.node = node  # whoever says it last says where it is
            place.instances[instance.id] = None
            own = (
                {own_id(each, peer): each.id for each in instance.spec.checks if each.group == peer.key}
                if found
                else {}
            )
            place.checks |= {id: (instance.id, check) for id, check in own.items()}
            where.append((name, peer.id if found else None, list(own)))
            if found:
                place.ids[peer.id] = instance.id
                self._hosts.setdefault(peer.id, set()).add(name)
                if peer.node is not None:
                    place.external = {"Meta": peer.said.get("NodeMeta"), **peer.said.get("Node", {})}
                elif "Checks" not in peer.said and stands_under_node(instance):
                    place.unchecked.add(instance.id)
            if not place.since or before != place.itself():
                place.since = index
                self.topics.move(NODES, index)

    def _take(self, id: str) -> None:
        self._peers.pop(id, None)
        for name, peer, checks in self._where.pop(id, ()):
            place = self.places[name]
            place.instances.pop(id, None)
            place.unchecked.discard(id)
            place.silent.discard(id)
            for check in checks:
                if place.checks.get(check, ("", ""))[0] == id:
                    del place.checks[check]
            if peer is not None and place.ids.get(peer) == id:
                del place.ids[peer]
                self._hosts[peer].discard(name)
                if not self._hosts[peer]:
                    del self._hosts[peer]

    def _touch(self, name: str, index: int) -> None:
        self.places[name].index = index
        self.topics.move(node_topic(name))

    def _index_at(self, topic: str) -> int | None:
        """Of a node's topic; None: nothing is there."""
        return None if (place := self.places.get(node_of(topic))) is None else place.index
