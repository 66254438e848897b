"""The registry against a plain dict: any order of writes and of the passing of time, told late, in pieces or not at all.

All times are multiples of 1/8 s, so the model's arithmetic is exact. A write is predicted: what it returns or refuses and which
changes it publishes. What `advance` publishes is judged: nothing early, nothing twice, and nothing left over when it had no limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from discovery.core.errors import DiscoveryError
from discovery.core.event import Kind
from discovery.core.instance import Key, Registration
from discovery.core.status import Status
from discovery.store.errors import IdTaken, NameReserved, ServiceFull, UnknownInstance, UnknownService
from discovery.store.service import Entry
from tests.examples import examples
from tests.store.drawing import EIGHTHS, IPS, LEASE_TTL, MAX_INSTANCES, NAMES, PORTS, SPECS, STEPS, Row
from tests.store.making import ALL, Log, Replica, Told, a_registry


class RegistryModel(RuleBasedStateMachine):
    @initialize(started=EIGHTHS, interval=st.sampled_from([1.0, 2.5, 5.0]), index=st.integers(0, 9))
    def start(self, started: float, interval: float, index: int) -> None:
        self.started, self.interval, self.now = started, interval, started
        self.registry = a_registry(
            lease_ttl=LEASE_TTL,
            cleanup_interval=interval,
            max_instances=MAX_INSTANCES,
            started_at=started,
            index=index,
        )
        self.zone_files_are_read({"fixed"})
        self.log = Log.of(self.registry)
        self.replica = Replica(self.registry.index)
        self.rows: dict[Key, Row] = {}
        self.names: dict[str, str] = {}  # services as first registered
        self.registrations = self.renewals = self.cleanups = 0
        self.settled_at = -math.inf  # when advance last had no limit, and nothing was written since

    # -- the model's own rules

    def removed_at(self, row: Row) -> float:
        """The first multiple of the interval from the start at which it has been unhealthy for an interval."""
        unhealthy_for_one = Fraction(row.ends) + Fraction(self.interval) - Fraction(self.started)
        return self.started + math.ceil(unhealthy_for_one / Fraction(self.interval)) * self.interval

    def lapse(self, key: Key) -> list[tuple[Kind, Key]]:
        """The change that a write publishes first when it finds a lease run out of which nobody has been told."""
        row = self.rows[key]
        return [(Kind.UNHEALTHY, key)] if self.now >= row.ends and not row.lapsed else []

    def revive(self, key: Key) -> list[tuple[Kind, Key]]:
        row = self.rows[key]
        before, dead = self.lapse(key), self.now >= row.ends or row.lapsed
        row.renewed_at, row.lapsed = self.now, False
        return [*before, (Kind.HEALTHY, key)] if dead else []

    def drop(self, key: Key) -> Row:
        row = self.rows.pop(key)
        if all(other.service != key.service for other in self.rows):
            del self.names[key.service]
        return row

    def published(self) -> list[tuple[Kind, Key]]:
        """What was published since the last call, played to the replica."""
        changes: list[Told] = self.log.take()
        for change in changes:
            self.replica.apply(change)
        return [(change.kind, change.instance.spec.key) for change in changes]

    def refused(self, possible: set[type[DiscoveryError]], write: Callable[[], object]) -> None:
        with pytest.raises(tuple(possible)):
            write()
        assert self.published() == []

    def written(self) -> None:
        self.settled_at = -math.inf

    # -- writes

    @rule(names=st.sets(st.sampled_from(["fixed", "web"])))
    def zone_files_are_read(self, names: set[str]) -> None:
        self.registry.reserved = dict.fromkeys(names, "has fixed records in a zone file")

    @rule(some=st.lists(st.tuples(SPECS, st.booleans()), min_size=3, max_size=8))
    def some_register(self, some: list[tuple[Registration, bool]]) -> None:
        for sent, replaces in some:
            self.register(sent, replaces)

    @rule(sent=SPECS, replaces=st.booleans())
    def register(self, sent: Registration, replaces: bool) -> None:
        key = sent.key
        # The service's first spelling stays, and an own id is no part of the contents.
        shown = replace(sent, name=self.names.get(key.service, sent.name), id=None)
        self.written()
        if key in self.rows:
            self.register_again(key, sent, shown, replaces)
            return
        peers = [other for other in self.rows if other.service == key.service]
        dead = [other for other in peers if self.now >= self.rows[other].ends]
        full = len(peers) >= MAX_INSTANCES
        possible: set[type[DiscoveryError]] = set()
        if key.service in self.registry.reserved and not peers:
            possible.add(NameReserved)
        old_self = next((other for other, row in self.rows.items() if row.id == sent.id), None)
        if old_self is not None and not (replaces and old_self in peers):
            possible.add(IdTaken)
        if full and not dead and old_self is None:
            possible.add(ServiceFull)
        if possible:
            self.refused(possible, lambda: self.registry.register(sent, self.now, self.now + 1e9, replaces))
            return
        entry, index = self.registry.register(sent, self.now, self.now + 1e9, replaces), self.replica.index
        changes = self.published()
        assert self.registry.index == index + 1, "one commit"
        if old_self is not None:
            assert changes[:-1] == [*self.lapse(old_self), (Kind.DEREGISTERED, old_self)]
            self.drop(old_self)
            changes = changes[-1:]
        elif full:
            gone = changes[-2][1]
            assert self.rows[gone].ends == min(self.rows[other].ends for other in dead)
            assert changes[:-1] == [*self.lapse(gone), (Kind.EXPIRED, gone)]
            self.drop(gone)
            changes = changes[-1:]
        assert changes == [(Kind.REGISTERED, key)]
        assert sent.id in (None, entry.instance.id)
        assert all(row.id != entry.instance.id for row in self.rows.values())
        self.rows[key] = Row(entry.instance.id, self.now + 1e9, shown, self.now)
        self.names.setdefault(key.service, shown.name)
        self.registrations += 1

    def register_again(self, key: Key, sent: Registration, shown: Registration, replaces: bool) -> None:
        other = shown != self.rows[key].spec
        entry = self.registry.register(sent, self.now, self.now + 1e9, replaces)
        health = self.revive(key)
        self.rows[key].spec = shown
        assert self.published() == (health or [(Kind.UPDATED, key)] * other)
        assert entry.lease.expires_at == self.rows[key].ends
        self.registrations += 1

    @rule(name=NAMES, ip=IPS, port=PORTS)
    def renew(self, name: str, ip: str, port: int) -> None:
        key = Key.of(name, ip, port)
        if key in self.rows:
            self.renew_row(key, lambda: self.registry.renew(key, self.now))
        else:
            self.refused({UnknownInstance}, lambda: self.registry.renew(key, self.now))

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def renew_by_id(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.rows)))
        self.renew_row(key, lambda: self.registry.renew(self.rows[key].id, self.now))

    @rule(id=st.sampled_from(["mine", "yours", "auto-0", "nobody"]))
    def renew_by_id_if_there(self, id: str) -> None:
        key = next((key for key, row in self.rows.items() if row.id == id), None)
        if key is None:
            self.refused({UnknownInstance}, lambda: self.registry.renew(id, self.now))
        else:
            self.renew_row(key, lambda: self.registry.renew(id, self.now))

    def renew_row(self, key: Key, renew: Callable[[], Entry]) -> None:
        self.written()
        before = self.registry.next_deadline()
        alive = self.now < self.rows[key].ends and not self.rows[key].lapsed
        entry = renew()
        assert entry.instance.id == self.rows[key].id
        assert self.published() == self.revive(key)
        assert not alive or self.registry.next_deadline() == before  # a heartbeat leaves the queue alone
        self.renewals += 1

    @rule(name=NAMES, ip=IPS, port=PORTS)
    def deregister(self, name: str, ip: str, port: int) -> None:
        key = Key.of(name, ip, port)
        if key not in self.rows:
            self.refused({UnknownInstance}, lambda: self.registry.deregister(key, "asked", self.now))
            return
        instance = self.registry.deregister(key, "asked", self.now)
        assert self.published() == [(Kind.DEREGISTERED, key)]
        assert instance.id == self.drop(key).id

    @rule(name=NAMES)
    def deregister_service(self, name: str) -> None:
        keys = [key for key in self.rows if key.service == name.lower()]
        if not keys:
            self.refused({UnknownService}, lambda: self.registry.deregister_service(name, "asked", self.now))
            return
        removed = self.registry.deregister_service(name, "asked", self.now)
        assert [instance.spec.key for instance in removed] == keys
        assert self.published() == [(Kind.DEREGISTERED, key) for key in keys]
        for key in keys:
            self.drop(key)

    # -- the passing of time

    @rule(step=STEPS)
    def time_passes_untold(self, step: float) -> None:
        self.now += step

    @precondition(lambda self: self.rows)
    @rule()
    def time_comes_to_the_next_deadline_untold(self) -> None:
        self.now = max(self.now, self.registry.next_deadline() or 0.0)

    @rule(limit=st.integers(0, 3))
    def advance_a_little(self, limit: int) -> None:
        assert self.judge_advance(limit) <= limit

    @rule()
    def advance(self) -> None:
        self.judge_advance(ALL)
        self.settled_at = self.now

    @precondition(lambda self: self.rows)
    @rule()
    def advance_at_the_next_deadline(self) -> None:
        """As the reaper does when it is on time."""
        deadline = self.registry.next_deadline()
        assert deadline is not None
        self.now = max(self.now, deadline)
        self.advance()

    def judge_advance(self, limit: int) -> int:
        self.registry.advance(self.now, limit)
        changes = self.published()
        for kind, key in changes:
            row = self.rows[key]
            if kind is Kind.UNHEALTHY:
                assert self.now >= row.ends, "unhealthy too early"
                assert not row.lapsed
                row.lapsed = True
            else:
                assert kind is Kind.EXPIRED
                assert row.lapsed
                assert self.now >= self.removed_at(row), "removed too early"
                self.drop(key)
                self.cleanups += 1
        return len(changes)

    # -- after every step

    @invariant()
    def nothing_expired_is_healthy_and_all_else_is(self) -> None:
        for at in (self.now, self.now + 1.0):
            healthy = {
                entry.instance.spec.key for service in self.registry.services.values() for entry in service.healthy(at)
            }
            assert healthy == {key for key, row in self.rows.items() if at < row.ends}

    @invariant()
    def the_same_is_listed(self) -> None:
        listed = {entry.instance.spec.key: entry for entry in self.registry}
        assert listed.keys() == self.rows.keys()
        assert len(self.registry) == len(self.rows)
        for key, row in self.rows.items():
            instance = listed[key].instance
            assert (instance.id, instance.registered_at) == (row.id, row.registered_at)
            assert (instance.spec, listed[key].lease.expires_at) == (row.spec, row.ends)
            assert self.registry.at(row.id) is listed[key]
        assert {key: service.name for key, service in self.registry.services.items()} == self.names
        for name, service in self.registry.services.items():
            assert [entry.instance.spec.key for entry in service.entries.values()] == [
                key for key in self.rows if key.service == name
            ]
            assert len(service.entries) <= MAX_INSTANCES

    @invariant()
    def the_changes_tell_the_same(self) -> None:
        assert self.replica.index == self.registry.index
        assert {key: instance.id for key, instance in self.replica.instances.items()} == {
            key: row.id for key, row in self.rows.items()
        }
        assert {key: instance.spec for key, instance in self.replica.instances.items()} == {
            key: row.spec for key, row in self.rows.items()
        }
        unhealthy = self.replica.of(Status.UNHEALTHY)
        assert unhealthy == {key for key, row in self.rows.items() if row.lapsed}
        assert all(self.now >= self.rows[key].ends for key in unhealthy)
        assert self.replica.statuses == {entry.instance.spec.key: entry.status for entry in self.registry}

    @invariant()
    def the_next_deadline_is_never_late(self) -> None:
        due = [self.removed_at(row) if row.lapsed else row.ends for row in self.rows.values()]
        deadline = self.registry.next_deadline()
        assert (deadline is None) == (not due)
        assert deadline is None or deadline <= min(due)

    @invariant()
    def once_told_the_time_nothing_is_left_to_do(self) -> None:
        if self.settled_at != self.now:
            return
        for row in self.rows.values():
            assert row.lapsed == (self.now >= row.ends)
            assert not row.lapsed or self.now < self.removed_at(row), "not removed in time"
        deadline = self.registry.next_deadline()
        assert deadline is None or deadline > self.now

    @invariant()
    def everything_is_counted(self) -> None:
        registry = self.registry
        counted: tuple[Any, ...] = (registry.accepted["register"], registry.renewals, registry.cleanups)
        assert counted == (self.registrations, self.renewals, self.cleanups)


TestRegistryAgainstTheModel = RegistryModel.TestCase
TestRegistryAgainstTheModel.settings = settings(max_examples=examples(150), stateful_step_count=50)
