"""What Consul's clients ask to be changed, as the registry's writes: each is decided on what the transaction reads, so that two peers who
register at one address at the same time both stay.

An instance's attachment is `{"peers": [[id, address of its host, name of its node or null, what it said], …]}`. The checks of each peer are
a group of the instance's; the instance drains while all of its peers are in maintenance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from discovery.core.check import Check
from discovery.core.health import Finding, Health
from discovery.core.instance import Instance, Key, Registration
from discovery.core.kinds import DocumentEvent, DocumentKey
from discovery.core.metadata import pack, texts, unpack
from discovery.core.name import fold
from discovery.plugins.consul.definitions import HEALTH
from discovery.plugins.consul.directory import MAINTENANCE, Peer, node_key, own_id, stands_under_node
from discovery.plugins.consul.nodes import Nodes
from discovery.plugins.consul.topics import PLUGIN
from discovery.store.registrants import joined, leave, registrants
from discovery.store.registration import Register, said
from discovery.store.rules import catch_up, override_status
from discovery.store.service import Entry
from discovery.store.transaction import Transaction
from discovery.store.write import InstanceWrite


def peers_in(instance: Instance) -> list[Peer]:
    found = instance.attachment(PLUGIN)
    return [] if found is None else [Peer(*each) for each in found["peers"]]


def attached(peers: list[Peer]) -> dict[str, Any]:
    return {PLUGIN: {"peers": [list(peer) for peer in peers]}}


def _checks_of(spec: Registration, peers: list[Peer]) -> tuple[Check, ...]:
    keys = {each.key for each in peers}
    return tuple(check for check in spec.checks if check.group in keys)


def _pinned(peer: Peer, before: Registration, after: Registration) -> Peer:
    """It keeps what it said, where the registration says another thing from now on."""
    words = dict(peer.said)
    if before.tags != after.tags:
        words.setdefault("Tags", list(before.tags))
    if before.metadata != after.metadata:
        words.setdefault("Meta", texts(unpack(before.metadata)))
    return peer._replace(said=words)


@dataclass(frozen=True, kw_only=True)
class RegisterPeer(Register):
    """As Register. `checks`: the peer's own; it keeps those of other ids that it had, unless they are `replaced`. `leaves`: the key of the
    instance that it was until now; None: of none.
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
        old = None if self.leaves in (None, spec.key) else txn.find(self.leaves)
        if old is not None:
            checks = tuple(_going_on(check, txn.current(old)) for check in checks)
            _leave(txn, old, peer, self.nodes, f"{peer.id} has come to {spec.ip}")
        entry = txn.find(spec.key)
        known = None if entry is None else txn.current(entry)
        here = spec if known is None else known.spec
        # Where nobody has registered it by Consul, what there is of peers are an import's words: each of them comes itself.
        peers = peers_in(known) if known is not None and PLUGIN in registrants(known) else []
        others = [_pinned(each, here, spec) for each in peers if each.key != peer.key]
        before = next((each for each in peers if each.key == peer.key), Peer("", ""))
        checks = tuple(_apart(each, here, peer) for each in checks)
        had = {check.id: check for check in here.checks if check.group == peer.key}
        own = {each.id: replace(each, status=had[each.id].status) if each.id in had else each for each in checks}
        if not self.replaced:
            own = {id: check for id, check in had.items() if id not in own} | own
        whole = replace(
            self, spec=replace(spec, checks=(*_checks_of(here, others), *own.values())), own=word_of([*others, peer]),
            attachments=attached([*others, _going_on_with(peer, before, own.values())]),
        )  # fmt: skip
        instance = super(RegisterPeer, whole).decide(txn)
        return instance if entry is None else follow_maintenance(txn, entry, self.nodes, "registered again", peers)


def _apart(check: Check, spec: Registration, peer: Peer) -> Check:
    """By the id that it has already, or by another one where somebody else has a check of its own: see `own_id`."""
    other = f"{peer.key} {check.id}"
    is_taken = any(each.id == other or (each.id == check.id and each.group != peer.key) for each in spec.checks)
    return replace(check, id=other) if is_taken else check


def _going_on_with(peer: Peer, before: Peer, checks: Iterable[Check]) -> Peer:
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
    peers = peers_in(known)
    left = [each for each in peers if each.key != peer.key]
    if len(left) == len(peers):
        return  # it has left meanwhile, or somebody else is there
    if left:
        *others, last = left  # the other surfaces show what the last one said
        spec = replace(
            known.spec, checks=_checks_of(known.spec, left), tags=tuple(last.said.get("Tags", known.spec.tags)),
            metadata=pack(last.said["Meta"]) if "Meta" in last.said else known.spec.metadata,
        )  # fmt: skip
        left = [*(_pinned(each, known.spec, spec) for each in others), _saying(last, Tags=None, Meta=None)]
        after = joined(txn, known, PLUGIN, spec, attached(left))
        if "Checks" in peer.said:
            after = after._replace(own=said(txn, known, word_of(left)))
        override_status(txn, entry, after, reason)
    elif not leave(txn, entry, PLUGIN, reason):
        return
    follow_maintenance(txn, entry, nodes, reason, peers)


def _saying(peer: Peer, **words: Any) -> Peer:
    """It says these besides what it said; None: no longer."""
    return peer._replace(said={name: each for name, each in {**peer.said, **words}.items() if each is not None})


@dataclass(frozen=True)
class PeerWrite(InstanceWrite[None]):
    """About one peer of an instance. UnknownInstance."""

    peer: Peer
    nodes: Nodes
    reason: str


@dataclass(frozen=True)
class DeregisterPeer(PeerWrite):
    action = "deregister"
    says_goodbye = True

    def decide(self, txn: Transaction) -> None:
        _leave(txn, txn.at(self.which), self.peer, self.nodes, self.reason)


class ChangePeer(PeerWrite):
    """It says something else from now on: `changed`, and what follows of the instance's checks and health."""

    def changed(self, peer: Peer) -> Peer:
        return peer

    def checks(self, spec: Registration, peers: list[Peer]) -> tuple[Check, ...]:
        """Of all peers."""
        return _checks_of(spec, peers)

    def judged(self, peers: list[Peer]) -> Finding | None:
        """What they say of its health; None: what it was."""
        return None

    def decide(self, txn: Transaction) -> None:
        entry = txn.at(self.which)
        txn.authorize(entry.instance.spec.key.service)
        known = catch_up(txn, entry)
        before = peers_in(known)
        peers = [self.changed(each) if each.key == self.peer.key else each for each in before]
        spec = replace(known.spec, checks=self.checks(known.spec, peers))
        after = joined(txn, known, PLUGIN, spec, attached(peers))
        override_status(txn, entry, after._replace(own=said(txn, known, self.judged(peers))), self.reason)
        follow_maintenance(txn, entry, self.nodes, self.reason, before)


@dataclass(frozen=True)
class ChangeChecks(ChangePeer):
    """It has one more check, or another of that id; `check` None: it has it no longer."""

    id: str
    check: Check | None
    notes: str = ""
    action = "change-checks"

    def changed(self, peer: Peer) -> Peer:
        own = self.id.removeprefix(f"{peer.key} ")
        notes = {id: text for id, text in {**peer.said.get("Notes", {}), own: self.notes}.items() if text}
        return _saying(peer, Notes=notes or None)

    def checks(self, spec: Registration, peers: list[Peer]) -> tuple[Check, ...]:
        there = {each.id: each for each in _checks_of(spec, peers)}
        if self.check is None:
            there.pop(self.id, None)
        else:
            check = _apart(self.check, spec, self.peer)
            there[check.id] = replace(check, status=there.get(check.id, check).status)
        return tuple(there.values())


@dataclass(frozen=True)
class SetStatuses(ChangePeer):
    """Checks that its registrant makes have come to this, and one of them is `removed`."""

    statuses: tuple[Mapping[str, Any], ...]
    removed: str | None = None
    action = "set-statuses"

    def changed(self, peer: Peer) -> Peer:
        return with_statuses(peer, self.statuses, self.removed)

    def judged(self, peers: list[Peer]) -> Finding:
        return word_of(peers)


@dataclass(frozen=True)
class MaintainPeer(ChangePeer):
    """`maintenance`: why it is out from now on; None: it no longer is."""

    maintenance: str | None
    action = "maintain-peer"

    @property
    def says_goodbye(self) -> bool:  # type: ignore[override]  # read alone
        return self.maintenance is not None

    def changed(self, peer: Peer) -> Peer:
        return _saying(peer, **{MAINTENANCE: self.maintenance})


# -- what follows of nodes, and of checks that others make


@dataclass(frozen=True)
class FollowNode(InstanceWrite[None]):
    """Maintenance of the node of one of its peers has begun or ended. UnknownInstance."""

    nodes: Nodes
    reason: str
    action = "maintain-peer"

    def decide(self, txn: Transaction) -> None:
        entry = txn.at(self.which)
        txn.authorize(entry.instance.spec.key.service)
        catch_up(txn, entry)
        follow_maintenance(txn, entry, self.nodes, self.reason, None)


@dataclass(frozen=True)
class JudgeNode(InstanceWrite[None]):
    """The node of an instance without checks is gone, or back. UnknownInstance."""

    finding: Finding
    action = "judge-node"
    lasts = False

    def decide(self, txn: Transaction) -> None:
        entry = txn.at(self.which)
        txn.authorize(None)
        known = catch_up(txn, entry)
        if stands_under_node(known):
            override_status(txn, entry, known._replace(own=said(txn, known, self.finding)), self.finding.output)


def with_statuses(peer: Peer, statuses: Iterable[Mapping[str, Any]], removed: str | None = None) -> Peer:
    """Of its checks that its registrant makes; those that are not named are as they were."""
    checks = {each["CheckID"]: each for each in (*peer.said.get("Checks", ()), *statuses)}
    checks.pop(removed, None)
    return _saying(peer, Checks=list(checks.values()) or None)


def word_of(peers: Iterable[Peer]) -> Finding:
    """What is said of their checks by whoever makes them: of each peer the worst, of all the best."""
    by_severity = list(Health)
    said = [[Finding(HEALTH[each["Status"]], each["Output"]) for each in peer.said.get("Checks", ())] for peer in peers]
    worst = [max(found, key=lambda each: by_severity.index(each.health)) for found in said if found]
    return min(worst, key=lambda each: by_severity.index(each.health), default=Finding())


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
