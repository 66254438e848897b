"""What stands where in etcd: the keys below one prefix, and a decision as the operations of a transaction.

i/SERVICE/ID            an instance, as JSON
w/SERVICE[/IP-PORT]     a maintenance window
d/SERVICE/IP-PORT       the remembered drain of an instance that is gone
t/RANDOM                tombstones of one decision: [service, ip, port, until]…; on a lease that outlives them
r/SHA256                a revoked token
doc/PLUGIN/KEY          a document; its key percent-encoded
v/SERVICE               put by every decision about the service: what the next one compares
id/ID                   an id that a client chose, with the instance that has it
commit                  the decisions of the latest transaction: what keys alone do not tell (by whom, why, what was in between)
h/NODE                  the handles that a node has heard since its last batch; on the lease of the node
z/NODE                  the names that a node's zone files reserve; on the lease of the node
n/NODE                  what a node tells of itself: its version and its zones; on the lease of the node
leader                  the node that decides what time brings; on a lease of its own
conf                    what all nodes must agree on

A `%` or `/` in a name stands as %25 or %2F.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from typing import Any, NamedTuple

from discovery.core import codec, exact_json
from discovery.core.checked import text, whole
from discovery.core.codec import FACTS
from discovery.core.event import Commit, Event, InstanceEvent, ValueEvent
from discovery.core.instance import Instance, Registration
from discovery.core.kinds import KINDS, SCOPE, of_letter
from discovery.core.maintenance import Scope
from discovery.core.name import joined, parts_of
from discovery.core.options import OPTIONS
from discovery.engines.etcd.messages import Json, delete, put
from discovery.store.transaction import Transaction

OF_NO_SERVICE = frozenset(of.kind.letter for of in KINDS.values() if of.kind.letter and not of.kind.of_service)
# The keys whose revisions decisions compare. All that is of a service (its instances, windows, drains, tombstones) goes with its version.
COMPARED = {"v", "id"} | OF_NO_SERVICE


def letters() -> list[str]:
    """Of the keys that may be of a service, with its version."""
    return ["v", "i", *(of.kind.letter for of in KINDS.values() if of.kind.letter and of.kind.of_service)]


# What decisions about no service compare: other zone files, revoked tokens. A service of that name is compared with them, no more.
NO_SERVICE = "-"


class Decision(NamedTuple):
    """One of a transaction's. `services`: that it changes. `settled`, `half_held`: see `store.transaction`. `node`: whose.
    `ticket`: its number there, by which the node knows its own again.
    """

    commit: Commit
    services: tuple[str, ...]
    settled: tuple[Scope, ...] = ()
    half_held: tuple[str, ...] = ()
    node: str = ""
    ticket: int = 0


def is_state(letter: str) -> bool:
    """Whether keys that begin so are the registry's state: instances, tombstones, and what `core.kinds` declares."""
    return letter == "i" or letter == "t" or of_letter(letter) is not None


_KNOWN = codec.of_instance(Instance("", 0.0, Registration(name="", ip="", port=0))).keys() | {
    fact.name for fact in FACTS
}
_OPTIONS = {codec.PROTOCOLS, *(option.name for option in OPTIONS)}


class UnknownFields:
    """Of an instance: what a newer node has written and this one does not know. It stays when this node writes the instance anew: a
    drain, a status, a registration with other contents. One that is registered here for the first time has none.
    """

    def __init__(self) -> None:
        self._of: dict[str, tuple[Json, Json]] = {}  # by id: beside the known ones, and among the options

    def note(self, shown: Mapping[str, Any]) -> None:
        """An instance as it stands in etcd."""
        beside, among = shown.keys() - _KNOWN, shown["options"].keys() - _OPTIONS
        if beside or among:
            options = shown["options"]
            self._of[shown["id"]] = {name: shown[name] for name in beside}, {name: options[name] for name in among}
        elif self._of:
            self._of.pop(shown["id"], None)

    def forget(self, id: str) -> None:
        self._of.pop(id, None)

    def added(self, shown: Json) -> Json:
        """What is to be written, with them."""
        found = self._of.get(shown["id"])
        if found is None:
            return shown
        beside, among = found
        return {**beside, **shown, "options": {**among, **shown["options"]}}


class Layout:
    """`prefix`: of all keys, such as `reg/`."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix.encode()
        self.commit = self.prefix + b"commit"
        self.leader = self.prefix + b"leader"
        self.conf = self.prefix + b"conf"
        self.unknown = UnknownFields()

    def key(self, kind: str, *parts: str) -> bytes:
        return self.prefix + joined((kind, *parts)).encode()

    def value(self, of: type[ValueEvent[Any, Any]], key: Any) -> bytes:
        """Of what `core.kinds` declares."""
        return self.key(of.kind.letter or "", *of.kind.keys.path(key))

    def instance(self, service: str, id: str) -> bytes:
        return self.key("i", service, id)

    def version(self, service: str) -> bytes:
        return self.key("v", service)

    def id(self, id: str) -> bytes:
        return self.key("id", id)

    def versions(self, revisions: Mapping[bytes, int]) -> dict[str, int]:
        """Of the services, among the revisions of the keys that are compared."""
        start = self.key("v", "")
        return {
            parts_of(key[len(start) :].decode())[0]: revision
            for key, revision in revisions.items()
            if key.startswith(start)
        }

    def parts(self, key: bytes) -> list[str]:
        """The key's path below the prefix."""
        return parts_of(key[len(self.prefix) :].decode("utf-8", "replace"))

    def read(self, txn: Transaction) -> set[bytes]:
        """The keys of what it has read: any decision that changes it puts one of them."""
        services = map(self.version, txn.services)
        ids = (self.id(id) for id in txn.ids)
        return {*services, *ids, *(self.value(of, key) for of, key in txn.values)}

    def operations(
        self, decision: Decision, tombstone_lease: int, chosen: Collection[str] = (), ids: Container[bytes] = ()
    ) -> dict[bytes, Json]:
        """By key, each once: a transaction may not put one twice. `commit` is the caller's, one for all decisions. `chosen`: by clients,
        for what this decision registers. `ids`: the keys of those there are.
        """
        puts: dict[bytes, bytes | None] = {}
        tombstones = []
        for event in decision.commit.events:
            if isinstance(event, InstanceEvent):
                key = self.instance(event.service, event.instance.id)
                puts[key] = None if event.after is None else _octets(self.unknown.added(codec.of_instance(event.after)))
                if event.after is None and self.id(event.instance.id) in ids:
                    puts[self.id(event.instance.id)] = None
                elif event.before is None and event.instance.id in chosen:
                    puts[self.id(event.instance.id)] = event.service.encode()
                if event.buried_until is not None:
                    tombstones.append([*event.instance.spec.key, event.buried_until])
            elif event.kind.letter is not None:
                key = self.value(type(event), event.key)
                puts[key] = None if event.after is None else _octets(event.kind.dumps(event.after))
        puts |= {self.version(service): b"" for service in decision.services}
        operations = {key: delete(key) if value is None else put(key, value) for key, value in puts.items()}
        if tombstones:
            key = self.key("t", os.urandom(8).hex())
            operations[key] = put(key, exact_json.dumps(tombstones), tombstone_lease)
        return operations


def dumps(decisions: Iterable[Decision], unknown: UnknownFields) -> bytes:
    """For the key `commit`. What an event was before is not written: every node has it, from the commits before."""
    return exact_json.dumps([_written(decision, unknown) for decision in decisions])


def _written(decision: Decision, unknown: UnknownFields) -> Json:
    found = codec.of_commit(decision.commit)
    for event, shown in zip(decision.commit.events, found["events"], strict=True):
        if isinstance(event, InstanceEvent):
            shown["before"] = None
            shown["after"] = shown["after"] and unknown.added(shown["after"])
            shown["id"] = event.instance.id
    settled = [[*scope] for scope in decision.settled]  # orjson takes no NamedTuple
    more = {
        "settled": settled,
        "halfHeld": decision.half_held,
        "services": decision.services,
        "node": decision.node,
        "ticket": decision.ticket,
    }
    return {name: value for name, value in more.items() if value} | found


def loads(
    octets: bytes,
    known: Callable[[str], Instance | None],
    unknown: UnknownFields,
) -> list[Decision]:
    """The decisions, with what `known` has of each id before them. ValueError.
    Their index is still to be set.
    """
    before = _Before(known)
    found = exact_json.loads(octets)
    if not isinstance(found, list):
        raise ValueError("it is no list of decisions")
    with codec.OfShape("list of decisions"):
        decisions = [_read(each, before) for each in found]
    _note_unknown(found, unknown)
    return decisions


class _Before:
    """What is known of each id, with the events that were read laid over it."""

    def __init__(self, known: Callable[[str], Instance | None]) -> None:
        self._known = known
        self._after: dict[str, Instance | None] = {}

    def of(self, event: Event, id: str | None) -> Event | None:
        """The event with its `before`; None when it says nothing to this node: it removes what is not there."""
        if not isinstance(event, InstanceEvent) or id is None:
            return event
        if event.after is not None and (event.after.id, event.after.spec.key.service) != (id, event.service):
            raise ValueError("an event is about another instance than it says")
        before = self._after[id] if id in self._after else self._known(id)
        self._after[id] = event.after
        if before is None and event.after is None:
            return None
        return event._replace(before=before)


def _read(found: Any, before: _Before) -> Decision:
    commit = codec.commit_of(found)
    read = (before.of(event, shown.get("id")) for event, shown in zip(commit.events, found["events"], strict=True))
    events = tuple(event for event in read if event is not None)
    settled = tuple(map(SCOPE.loads, found.get("settled", ())))
    half_held, services = (tuple(map(text, found.get(name, ()))) for name in ("halfHeld", "services"))
    node, ticket = text(found.get("node", "")), whole(found.get("ticket", 0))
    return Decision(commit._replace(events=events), services, settled, half_held, node, ticket)


def _note_unknown(decisions: Iterable[Any], unknown: UnknownFields) -> None:
    for shown in (event for found in decisions for event in found["events"]):
        if shown.get("after") and "options" in shown["after"]:
            unknown.note(shown["after"])
        elif "id" in shown:
            unknown.forget(shown["id"])


def _octets(found: Json | None) -> bytes:
    return exact_json.dumps(found)
