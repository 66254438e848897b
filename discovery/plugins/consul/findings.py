"""What is found of an instance by others than itself, as the registry's writes: by who registered it elsewhere and makes its checks, and by
this server of its node. It stands as the instance's own health.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from discovery.core.health import Finding, Health
from discovery.core.instance import Instance
from discovery.core.remembered import changed
from discovery.plugins.consul.definitions import HEALTH
from discovery.plugins.consul.directory import Peer
from discovery.plugins.consul.writes import attached, peers_in
from discovery.store.registration import said
from discovery.store.rules import catch_up, override_status
from discovery.store.transaction import Transaction
from discovery.store.write import InstanceWrite


def worst_of(peers: list[Peer]) -> Finding:
    """By what was said of their checks by whoever makes them."""
    found = [(HEALTH[each["Status"]], each["Output"]) for peer in peers for each in peer.said.get("Checks", ())]
    by_severity = list(Health)
    health, output = max(found, key=lambda each: by_severity.index(each[0]), default=(Health.PASSING, ""))
    return Finding(health, output)


@dataclass(frozen=True)
class SetStatuses(InstanceWrite[Instance]):
    """Checks of a peer that its registrant makes have come to this, and one of them is `removed`. UnknownInstance."""

    peer: Peer
    statuses: tuple[Mapping[str, Any], ...]
    removed: str | None
    reason: str
    action = "set-statuses"

    def decide(self, txn: Transaction) -> Instance:
        entry = txn.at(self.which)
        txn.authorize(entry.instance.spec.key.service)
        known = catch_up(txn, entry)
        peers = [self._changed(each) if each.key == self.peer.key else each for each in peers_in(known)]
        own = said(txn, known, worst_of(peers))
        after = known._replace(own=own, attachments=changed(known.attachments, attached(peers)))
        return override_status(txn, entry, after, own.reason)

    def _changed(self, peer: Peer) -> Peer:
        ids = {self.removed, *(each["CheckID"] for each in self.statuses)}
        kept = [each for each in peer.said.get("Checks", ()) if each["CheckID"] not in ids]
        return peer._replace(said={**peer.said, "Checks": [*kept, *self.statuses]})


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
        if not known.spec.checks and peers_in(known):
            own = said(txn, known, self.finding)
            override_status(txn, entry, known._replace(own=own), self.finding.output)
