"""The one way into the table: a write is decided (`write`, on a Transaction), its events are applied and shown.

`change` is put and delete: it decides nothing, is the only code that changes the table, and changes all or, where the commit does not fit
what the table holds, nothing. `publish` moves the index, the log and whoever waits for them, so that nobody who has seen an index lacks
a part of it. Hide at read, remove later: readers test the lease themselves, so nothing here has to be on time to
be right. Pure and synchronous: `now`, `at` (monotonic seconds) and `wall` (epoch seconds) come from the caller.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from discovery.core.caller import NOBODY, SERVER, Caller
from discovery.core.check_states import failing_since
from discovery.core.event import RESTORE, Commit, InstanceEvent, Kind, ValueEvent, instant_of
from discovery.core.instance import Instance, Key
from discovery.core.kinds import WindowEvent, begun
from discovery.core.lease import Lease, Term
from discovery.core.maintenance import Scope
from discovery.core.status import SILENT, Status
from discovery.store import fits
from discovery.store.checked_lease import CheckedLease
from discovery.store.expiry import Expire
from discovery.store.rules import living
from discovery.store.service import Entry
from discovery.store.state import Gone, State, Unsettled
from discovery.store.transaction import MAX_EVENTS, Authorize, Transaction
from discovery.store.values import Snapshot
from discovery.store.write import Write

T = TypeVar("T")

# A heartbeat asks for them, and looking into an enum takes a third of it.
_UNHEALTHY, _SUSPECT = Status.UNHEALTHY, Status.SUSPECT

_log = logging.getLogger("discovery.registry")

# After so long time finishes what concerns a large service: its commits follow each other as fast as the disk takes them.
SETTLE_SECONDS = 1.0
# A pause that took at least this part of a lease may have swallowed the heartbeat that was due in it.
_SWALLOWED = 1 / 3


class Registry(State):
    """The state, and what changes it."""

    def carry_out(
        self,
        write: Write[T],
        now: float,
        wall: float,
        by: Caller = NOBODY,
        authorize: Iterable[Authorize] = (),
        keepers: Iterable[Callable[[], None]] = (),
    ) -> T:
        """Decides the write, then applies it, all in one turn. Raises what it raises; nothing has changed then.

        `keepers` may refuse what would change something (NotDurable).
        """
        txn = Transaction(self, now, wall, by, authorize)
        result = write.decide(txn)
        if txn.events:
            for keeper in keepers:
                keeper()
            index = self.index + 1
            self.change(Commit(index, wall, by, write.action, tuple(txn.events)), now)
            self.publish(index)
        for entry, check in txn.beats:
            entry.lease.renew(now)
            if check is not None:
                entry.report(check, now)
        if txn.settled or txn.half_held:
            self.note(txn.settled, txn.half_held)
        self.conclude(write, txn)
        return result

    def conclude(self, write: Write[T], txn: Transaction) -> None:
        """What was decided has happened."""
        for effect in txn.effects:
            effect()
        self.accepted[write.action] += 1

    def note(self, settled: Iterable[Scope], half_held: Iterable[str]) -> None:
        """What a decision leaves to others, once its events are applied: see `Transaction`."""
        for scope in settled:
            self.unsettled.pop(scope, None)
        for service in half_held:
            self.half_held[service] = None

    def beat(self, entry: Entry, now: float, check: str | None = None) -> bool:
        """A heartbeat. False when it takes a `Revive`: the lease has run out, or was no longer believed, or the instance was imported.
        `check`: a report of it besides, that says what it said (`Entry.says`).
        """
        instance, lease = entry.instance, entry.lease
        status = instance.status
        if status is _UNHEALTHY or status is _SUSPECT:
            return False
        if lease.alive(now):
            lease.renew(now)
        elif entry.over(now):
            return False
        else:
            lease.renewed_at = now  # another node may have heard it meanwhile: that is no gap between two heartbeats
        if check is not None:
            entry.report(check, now)
        if instance.spec.imported_from is not None:
            return False
        self.renewals += 1
        return True

    def change(self, commit: Commit, at: float) -> None:
        """The table alone: a piece of what `publish` will show as one index. DoesNotFit: nothing has changed then.

        `at`: when it was decided, on this node's monotonic clock.
        """
        fits.check(self, commit.events)
        for event in commit.events:
            if isinstance(event, InstanceEvent):
                self._apply(event, commit, at)
            else:
                self._set(event, at - commit.wall)
                if isinstance(event, WindowEvent):
                    self._unsettle(event, commit, at)
        for name in self.log.stage(commit):
            if (service := self._services.get(name)) is not None:
                service.index, service.changed_at = commit.index, commit.wall
        _tell(self.followers, commit, commit.index)

    def publish(self, index: int) -> None:
        """Readers see what was changed since the last time, as this one index."""
        self.index = index
        _tell(self.index_followers, self.log.publish(index), index)

    def _set(self, event: ValueEvent[Any, Any], offset: float) -> None:
        if (holder := self.values.get(type(event))) is not None:
            holder.set(event.key, event.after, offset)

    def _unsettle(self, event: WindowEvent, commit: Commit, at: float) -> None:
        service = self._services.get(event.key.service)
        if service is None:
            return
        is_large = event.key.ip is None and len(service.entries) > MAX_EVENTS // 4
        by_hand = commit.by is SERVER and commit.action != Expire.action  # in what nodes share: no decision settled it
        if is_large or by_hand:
            since = at if commit.action == Expire.action else at + SETTLE_SECONDS
            self.unsettled[event.key] = Unsettled(event.reason, since)

    def _released(self, before: Instance, after: Instance) -> bool:
        """Whether the brake let go of a suspect that did not beat: nothing else accounts for what it is now."""
        return before.with_status(after.status) == after and self.window(after) is None

    def _apply(self, event: InstanceEvent, commit: Commit, at: float) -> None:
        before, after = event.before, event.after
        if after is None:
            assert before is not None
            self._delete(before, event, commit, at)
            return
        if before is None:
            if self._tombstones:
                self._tombstones.pop(after.spec.key)
            if self.missing:
                self.missing.came(event.service, after)
            if self.gone:
                self.gone.pop(event.service, None)
            self._put(after, event.service, commit.index, at, commit.wall)
            return
        entry, service = self._by_id[before.id], self._services[event.service]
        entry.instance = after
        entry.override = None
        if after.own is not before.own:
            entry.output = None
        entry.index = commit.index
        entry.asker = event.asker(commit.by, entry.asker)
        if after.status is not before.status:
            entry.since = instant_of(event, commit.wall)
        if event.renews:
            if before.status in SILENT and not entry.lease.alive(at):
                entry.lease.renewed_at = at  # it was away: that is no gap between two heartbeats
            else:
                entry.lease.renew(at)
        if event.renews or after.spec is not before.spec:
            entry.lease.term = self.term_of(after.spec)
        if after.spec.checks or before.spec.checks:
            self._follow_checks(entry, before, after, at, commit.wall, event.renews)
        released = before.status is _SUSPECT and not event.renews and self._released(before, after)
        self.liveness.changed(entry, service, event, at, released)

    def _put(self, instance: Instance, service: str, index: int, at: float, wall: float, sorted: bool = True) -> None:
        entry = Entry(instance, self._lease_of(instance, self.term_of(instance.spec), at, at - wall), index, wall)
        self._insert(entry, self._service_for(service, instance.spec.name, sorted))
        self.liveness.added(entry)

    def _lease_of(self, instance: Instance, term: Term, renewed_at: float, offset: float) -> Lease:
        if not instance.spec.checks:
            return Lease(term, renewed_at)
        lease = CheckedLease(term, renewed_at)
        lease.follow(None, instance, renewed_at, offset, self.settings.grace, renews=True)
        return lease

    def _follow_checks(
        self, entry: Entry, before: Instance, after: Instance, at: float, wall: float, renews: bool
    ) -> None:
        lease = entry.lease
        if isinstance(lease, CheckedLease) and after.spec.checks:
            lease.follow(before, after, at, at - wall, self.settings.grace, renews)
        else:  # its first checks, or none any more
            entry.lease = self._lease_of(after, lease.term, lease.renewed_at, at - wall)
            entry.lease.longest_gap = lease.longest_gap

    def _delete(self, before: Instance, event: InstanceEvent, commit: Commit, at: float) -> None:
        entry, service = self._by_id[before.id], self._services[event.service]
        self.liveness.removed(entry, service)
        self._take(entry, service, event.service)
        if not service.entries:
            self.gone.set(event.service, Gone(commit.wall, event.kind is Kind.EXPIRED, commit.by.asker), 0.0)
        if event.buried_until is not None:
            key = Key(event.service, *before.spec.place)
            self._tombstones.bury(key, at + event.buried_until - commit.wall, at)
        if event.kind is Kind.EXPIRED or commit.action == Expire.action:
            self.missing.went(event.service, before, at)
        if event.kind is Kind.EXPIRED and commit.action == Expire.action:
            self.cleanups += 1

    # -- the start, and pauses

    def load(self, snapshot: Snapshot, now: float, wall: float, goes_on: bool = False) -> None:
        """Begins from this state, every instance with a full lease. The index moves, since what was silent is healthy again.

        `goes_on`: other nodes have it and go on with it, so the index and every status are theirs.
        Followers are told of one commit, which the log does not have: it begins after it. `begin` follows.
        """
        self.index = snapshot.index if goes_on else max(self.index, snapshot.index) + 1
        for event in snapshot.values:
            self._set(event, now - wall)
        for key, until in snapshot.tombstones:
            self._tombstones.bury(key, now + until - wall, now)
        restore = self._adopt if goes_on else self._restore
        events = tuple(restore(instance, now, wall) for instance in snapshot.instances)
        self._sort()
        for service in self._services.values():
            service.index = self.index
        self.log.begin(self.index)
        _tell(self.followers, Commit(self.index, wall, SERVER, RESTORE, events), self.index)
        _tell(self.index_followers, self._services, self.index)

    def _restore(self, stored: Instance, now: float, wall: float) -> InstanceEvent:
        if stored.lapsed_at is not None:
            lapsed = self._adopt(stored.with_status(Status.UNHEALTHY), now, wall)
            return lapsed._replace(reason="known from before the start, after its lease")
        instance = stored._replace(probed=None)
        instance = instance.with_status(living(self.windows, instance))
        service = instance.spec.key.service
        since = wall
        if instance.status is Status.FAILING:
            since = failing_since(instance.own, instance.spec.checks, instance.checks)
        self._put(instance, service, self.index, now, since, sorted=False)
        return InstanceEvent(Kind.RESTORED, service, None, instance, "known from before the start")

    def _adopt(self, instance: Instance, now: float, wall: float) -> InstanceEvent:
        term, silent, lapsed_at = self.term_of(instance.spec), instance.status in SILENT, instance.lapsed_at
        # Since when others are what they are, only those know who saw it.
        since = lapsed_at or (wall if silent else None)
        if instance.status is Status.FAILING:
            since = failing_since(instance.own, instance.spec.checks, instance.checks)
        renewed_at = now - (wall - (lapsed_at or wall)) - term.seconds if silent else now
        entry = Entry(instance, self._lease_of(instance, term, renewed_at, now - wall), self.index, since)
        service = self._service_for(instance.spec.key.service, instance.spec.name, sorted=False)
        self._insert(entry, service)
        self.liveness.adopted(entry, service, now)
        return InstanceEvent(Kind.RESTORED, instance.spec.key.service, None, instance, "known to the other nodes")

    def snapshot(self, now: float, wall: float) -> Snapshot:
        """The state as it is."""
        return Snapshot(
            self.index,
            tuple(entry.instance for entry in self),
            tuple(event for of, holder in self.values.items() for event in begun(of, holder.all)),
            tuple((key, wall + until - now) for key, until in self._tombstones),
        )

    def begin(self, now: float) -> None:
        """All is restored and can be asked from now on: what the start took counts against no lease."""
        for entry in self:
            if entry.instance.status not in SILENT:
                entry.lease.restart(now)

    def resume(self, pause: float, now: float) -> None:
        """The process stood still for `pause` seconds, which are not in `now`: whose heartbeat may have come to grief meanwhile
        gets a full lease.
        """
        self._windows.shift(pause)
        for entry in self:
            lease = entry.lease
            if lease.alive(now) and pause >= lease.ttl * _SWALLOWED:
                lease.restart(now)


def _tell(followers: Iterable[Callable[[T], None]], what: T, index: int) -> None:
    for follow in followers:
        try:
            follow(what)
        except Exception:  # a defect of one must not keep the others from what has happened
            _log.exception(
                "a follower failed at commit %(index)d; the others go on", {"event": "follower.failed", "index": index}
            )
