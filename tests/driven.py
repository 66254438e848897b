"""A registry as the local engine drives it: its verbs carry a write out at a time that the test says, and return its entry."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TypeVar

from discovery.core.caller import NOBODY
from discovery.core.check import TCP, Check
from discovery.core.health import Finding, Health
from discovery.core.instance import Instance, Key, Registration
from discovery.core.maintenance import Scope, Window
from discovery.core.status import Status
from discovery.store.expiry import Expire
from discovery.store.operations import (
    MAX_DEREGISTERED,
    DeregisterMany,
    Drain,
    EndMaintenance,
    Maintain,
    ReloadZones,
    Settle,
)
from discovery.store.registration import Deregister, Register, Revive, Upsert
from discovery.store.registry import Registry
from discovery.store.rules import catch_up, override_status
from discovery.store.service import Entry
from discovery.store.transaction import Transaction
from discovery.store.values import Snapshot
from discovery.store.write import Write

T = TypeVar("T")
# Wall time and monotonic time of a test run alongside, so far apart.
APART = 1_699_999_900.0

EXPIRE = Expire()


CHECK = Check(kind=TCP, id=TCP)


@dataclass(frozen=True)
class Checked(Write[None]):
    """What the server's one check of an instance says: why it fails, None: it passes. It is given one where it has none."""

    id: str
    failing: str | None
    action = "check"
    lasts = False

    def decide(self, txn: Transaction) -> None:
        entry = txn.at(self.id)
        txn.authorize(None)
        known = catch_up(txn, entry)
        spec = known.spec if known.spec.checks else replace(known.spec, checks=(CHECK,))
        if self.failing is None and known.failing is None:
            return
        found = Finding() if self.failing is None else Finding(Health.FAILING, self.failing, txn.wall)
        after = known._replace(spec=spec, checks={spec.checks[0].id: found})
        override_status(txn, entry, after, self.failing or "its checks pass again")


class DrivenRegistry(Registry):
    def do(self, write: Write[T], now: float, wall: float | None = None) -> T:
        return self.carry_out(write, now, now + APART if wall is None else wall, NOBODY)

    def register(self, spec: Registration, now: float, wall: float | None = None, replace: bool = False) -> Entry:
        return self.at(self.do(Register(spec, replace), now, wall).id)

    def upsert(self, spec: Registration, now: float, wall: float | None = None) -> Entry:
        return self.at(self.do(Upsert(spec), now, wall).id)

    def renew(self, which: Key | str, now: float, wall: float | None = None) -> Entry:
        entry = self.at(which)
        if not self.beat(entry, now):
            self.do(Revive(which), now, wall)
            self.renewals += 1
        return entry

    def checked(self, id: str, failing: str | None, now: float, wall: float | None = None) -> Entry:
        self.do(Checked(id, failing), now, wall)
        return self.at(id)

    def drain(self, which: Key | str, draining: bool, reason: str, now: float, wall: float | None = None) -> Entry:
        return self.at(self.do(Drain(which, draining, reason), now, wall).id)

    def maintain(self, scope: Scope, window: Window, now: float, wall: float | None = None) -> None:
        settled = self.do(Maintain(scope, window), now, wall)
        while not settled:
            settled = self.do(Settle(scope), now, wall)

    def end_maintenance(self, scope: Scope, reason: str, now: float, wall: float | None = None) -> None:
        settled = self.do(EndMaintenance(scope, reason), now, wall)
        while not settled:
            settled = self.do(Settle(scope), now, wall)

    def deregister(self, which: Key | str, reason: str, now: float, wall: float | None = None) -> Instance:
        return self.do(Deregister(which, reason), now, wall)

    def deregister_service(self, name: str, reason: str, now: float, wall: float | None = None) -> list[Instance]:
        service = self.service(name)
        keys = tuple(entry.instance.spec.key for entry in service.entries.values()) if service else ()
        parts = range(0, len(keys), MAX_DEREGISTERED) if keys else (0,)
        writes = [DeregisterMany(keys[part : part + MAX_DEREGISTERED], reason, name.lower()) for part in parts]
        return [instance for write in writes for instance in self.do(write, now, wall)]

    def counts(self, now: float) -> Counter[Status]:
        return Counter(entry.status_at(now) for entry in self)

    def reload_zones(self, now: float) -> None:
        self.do(ReloadZones("zone files were read again"), now)

    def restore(self, *instances: Instance, now: float, wall: float | None = None) -> list[Entry]:
        wall = now + APART if wall is None else wall
        self.load(Snapshot(self.index, instances), now, wall)
        return [self.at(instance.id) for instance in instances]

    def advance(self, now: float, limit: int = 1_000_000, wall: float | None = None) -> int:
        """At most `limit` of what has become due. How many decisions that were."""
        for number in range(limit):
            while not self.do(
                EXPIRE, now, wall
            ):  # also when there was only rubbish to clear out of the queue of deadlines
                deadline = self.next_deadline()
                if deadline is None or deadline > now:
                    return number
        return limit
