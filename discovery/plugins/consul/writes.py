"""What Consul's clients ask to be changed, as the registry's writes: each is decided on what the transaction reads, so that two peers who
register at one address at the same time both stay.

An instance's attachment is `{"peers": [[id, address of its host, name of its node or null, what it said], …]}`. The checks of each peer are
a group of the instance's; the instance drains while all of its peers are in maintenance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from discovery.core.check import Check
from discovery.core.instance import Instance, Key, Registration
from discovery.core.kinds import DocumentEvent, DocumentKey
from discovery.core.metadata import pack, unpack
from discovery.core.name import fold
from discovery.core.remembered import changed
from discovery.plugins.consul.directory import MAINTENANCE, Peer, node_key, own_id
from discovery.plugins.consul.nodes import Nodes
from discovery.plugins.consul.topics import PLUGIN
from discovery.store.registrants import joined, leave
from discovery.store.registration import Register
from discovery.store.rules import catch_up, override_status
from discovery.store.service import Entry
from discovery.store.transaction import Transaction
from discovery.store.write import InstanceWrite


def peers_in(instance: Instance) -> list[Peer]:
    found = instance.attachment(PLUGIN)
    return [] if found is None else [Peer(*each) for each in found["peers"]]


def attached(peers: list[Peer]) -> dict[str, Any]:
    return {PLUGIN: {"peers": [list(peer) for peer in peers]}}


class Rest(NamedTuple):
    """What Consul has of an instance besides its peer: the others, and their checks."""

    peers: list[Peer]
    checks: tuple[Check, ...]


def _without(known: Instance, peer: Peer) -> Rest:
    others = [each for each in peers_in(known) if each.key != peer.key]
    keys = {each.key for each in others}
    return Rest(others, tuple(check for check in known.spec.checks if check.group in keys))


def _pinned(peer: Peer, before: Registration, after: Registration) -> Peer:
    """It keeps what it said, where the registration says another thing from now on."""
    words = dict(peer.said)
    if before.tags != after.tags:
        words.setdefault("Tags", list(before.tags))
    if before.metadata != after.metadata:
        words.setdefault("Meta", unpack(before.metadata))
    return peer._replace(said=words)


@dataclass(frozen=True, kw_only=True)
class RegisterPeer(Register):
    """As Register. `checks`: the peer's own; it keeps those of other ids that it had, unless they are `replaced`. `leaves`: the key of the
    instance that it was until now, if that is another one.
    """

    peer: Peer
    checks: tuple[Check, ...]
    replaced: bool = False
    leaves: Key | None = None
    nodes: Nodes

    def decide(self, txn: Transaction) -> Instance:
        peer, spec = self.peer, self.spec
        txn.authorize(fold(spec.name))
        checks = self.checks
        if self.leaves is not None and (old := txn.find(self.leaves)) is not None:
            checks = tuple(_going_on(check, txn.current(old)) for check in checks)
            _leave(txn, old, peer, self.nodes, f"{peer.id} has come to {spec.ip}")
        entry = txn.find(spec.key)
        rest, peers, before = Rest([], ()), list[Peer](), Peer("", "")
        if (
            entry is not None and entry.instance.spec.imported_from is None
        ):  # else each of them comes itself from now on
            known = txn.current(entry)
            rest, peers = _without(known, peer), peers_in(known)
            before = next((each for each in peers if each.key == peer.key), Peer("", ""))
            rest = rest._replace(peers=[_pinned(each, known.spec, spec) for each in rest.peers])
            others = {check.id for check in known.spec.checks if check.group != peer.key}
            checks = tuple(
                check if check.id not in others else replace(check, id=f"{peer.key} {check.id}") for check in checks
            )
        own = self._checks(entry, checks)
        whole = replace(
            self,
            spec=replace(spec, checks=(*rest.checks, *own)),
            attachments=attached([*rest.peers, _going_on_with(peer, before, own)]),
        )
        instance = super(RegisterPeer, whole).decide(txn)
        return instance if entry is None else follow_maintenance(txn, entry, self.nodes, "registered again", peers)

    def _checks(self, entry: Entry | None, checks: Sequence[Check]) -> tuple[Check, ...]:
        """Of those that it had, what they said is kept, whatever they are said to begin with."""
        known = () if entry is None else entry.instance.spec.checks
        had = {check.id: check for check in known if check.group == self.peer.key}
        ids = {check.id for check in checks}
        kept = () if self.replaced else tuple(check for check in had.values() if check.id not in ids)
        return kept + tuple(
            replace(check, status=had[check.id].status) if check.id in had else check for check in checks
        )


def _going_on_with(peer: Peer, before: Peer, checks: Sequence[Check]) -> Peer:
    """It has the maintenance and the notes of checks that it had."""
    ids = {own_id(check, peer) for check in checks}
    notes = {id: text for id, text in before.said.get("Notes", {}).items() if id in ids} | peer.said.get("Notes", {})
    kept = {MAINTENANCE: before.said[MAINTENANCE]} if MAINTENANCE in before.said else {}
    return peer._replace(said={**peer.said, **kept, **({"Notes": notes} if notes else {})})


def _going_on(check: Check, before: Instance) -> Check:
    """It says what it said where its peer was before."""
    had = any(each.id == check.id and each.group == check.group for each in before.spec.checks)
    return replace(check, status=before.said_by(check).health) if had else check


def _leave(txn: Transaction, entry: Entry, peer: Peer, nodes: Nodes, reason: str) -> None:
    """It is no longer one of the peers; with the last one all that Consul has of the instance goes."""
    txn.authorize(entry.instance.spec.key.service)
    known = catch_up(txn, entry)
    peers, rest = peers_in(known), _without(known, peer)
    if len(rest.peers) == len(peers):
        return  # it has left meanwhile, or somebody else is there
    if rest.peers:
        *others, last = rest.peers  # the other surfaces show what the last one said
        words = {key: value for key, value in last.said.items() if key not in ("Tags", "Meta")}
        spec = replace(
            known.spec, checks=rest.checks, tags=tuple(last.said.get("Tags", known.spec.tags)),
            metadata=pack(last.said["Meta"]) if "Meta" in last.said else known.spec.metadata,
        )  # fmt: skip
        left = [*(_pinned(each, known.spec, spec) for each in others), last._replace(said=words)]
        override_status(txn, entry, joined(txn, known, PLUGIN, spec, attached(left)), reason)
    elif not leave(txn, entry, PLUGIN, reason):
        return
    follow_maintenance(txn, entry, nodes, reason, peers)


@dataclass(frozen=True)
class DeregisterPeer(InstanceWrite[None]):
    """UnknownInstance."""

    peer: Peer
    nodes: Nodes
    reason: str
    action = "deregister"
    says_goodbye = True

    def decide(self, txn: Transaction) -> None:
        _leave(txn, txn.at(self.which), self.peer, self.nodes, self.reason)


@dataclass(frozen=True)
class ChangeChecks(InstanceWrite[Instance]):
    """A peer has one more check, or another of that id; `check` None: it has it no longer. UnknownInstance."""

    peer: Peer
    id: str
    check: Check | None
    notes: str
    reason: str
    action = "change-checks"

    def decide(self, txn: Transaction) -> Instance:
        entry = txn.at(self.which)
        txn.authorize(entry.instance.spec.key.service)
        known = catch_up(txn, entry)
        peers = [each if each.key != self.peer.key else _noted(each, self.id, self.notes) for each in peers_in(known)]
        keys = {each.key for each in peers}
        own = {each.id: each for each in known.spec.checks if each.group in keys}
        had = own.pop(self.id, self.check)
        if self.check is not None and had is not None:
            own[self.id] = replace(self.check, status=had.status)
        spec = replace(known.spec, checks=tuple(own.values()))
        return override_status(txn, entry, joined(txn, known, PLUGIN, spec, attached(peers)), self.reason)


def _noted(peer: Peer, id: str, notes: str) -> Peer:
    kept = {key: each for key, each in peer.said.get("Notes", {}).items() if key != id}
    words = {key: each for key, each in peer.said.items() if key != "Notes"}
    kept |= {id: notes} if notes else {}
    return peer._replace(said=words | ({"Notes": kept} if kept else {}))


# -- maintenance


@dataclass(frozen=True)
class MaintainPeer(InstanceWrite[Instance]):
    """`maintenance`: why a peer is out from now on; None: it no longer is. `peer` None: its node's has changed. UnknownInstance."""

    peer: Peer | None
    maintenance: str | None
    nodes: Nodes
    reason: str
    action = "maintain-peer"

    @property
    def says_goodbye(self) -> bool:  # type: ignore[override]  # read alone
        return self.maintenance is not None

    def decide(self, txn: Transaction) -> Instance:
        entry = txn.at(self.which)
        txn.authorize(entry.instance.spec.key.service)
        known = catch_up(txn, entry)
        if self.peer is not None:
            peers = [self._changed(each) if each.key == self.peer.key else each for each in peers_in(known)]
            after = known._replace(attachments=changed(known.attachments, attached(peers)))
            if after.attachments != known.attachments:
                txn.change(entry, after, after.status, self.reason)
        return follow_maintenance(txn, entry, self.nodes, self.reason, None if self.peer is None else peers_in(known))

    def _changed(self, peer: Peer) -> Peer:
        words = {key: each for key, each in peer.said.items() if key != MAINTENANCE}
        return peer._replace(said=words if self.maintenance is None else words | {MAINTENANCE: self.maintenance})


def follow_maintenance(
    txn: Transaction, entry: Entry, nodes: Nodes, reason: str, before: list[Peer] | None
) -> Instance:
    """It drains while all of its peers are in maintenance, by themselves or with their nodes. Where that was so or not `before`, too,
    nothing changes: an operator may have drained it. None: it is not known.
    """
    known = txn.current(entry)
    is_out = _is_out(txn, peers_in(known), nodes)
    if is_out == known.draining or (before is not None and is_out == _is_out(txn, before, nodes)):
        return known
    after = known._replace(draining_since=txn.wall if is_out else None)
    return override_status(txn, entry, after, reason)


def _is_out(txn: Transaction, peers: list[Peer], nodes: Nodes) -> bool:
    return bool(peers) and all(MAINTENANCE in peer.said or _node_is_out(txn, peer, nodes) for peer in peers)


def _node_is_out(txn: Transaction, peer: Peer, nodes: Nodes) -> bool:
    name = nodes.at(peer.at).name if peer.node is None else peer.node
    document = txn.value(DocumentEvent, DocumentKey(PLUGIN, node_key(name)))
    return document is not None and isinstance(document.value, Mapping) and MAINTENANCE in document.value
