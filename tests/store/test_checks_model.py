"""Checks, groups, own health and time against a judge that keeps nothing but who said what when: at every moment readers see what it says,
whether the reaper came by or not.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from discovery.core.caller import SERVER
from discovery.core.health import Finding, Health
from discovery.core.status import Status
from discovery.store.registration import Report, ReportCheck
from tests.examples import examples
from tests.store.making import START, WALL, Log, Replica, a_registry, spec

KEY = spec().key
LEASE = 8.0
HEALTHS = st.sampled_from(Health)
WORSE = list(Health)
# Quarters of a second are exact in binary.
STEPS = st.integers(1, 24).map(lambda quarters: quarters / 4)


class Kept(NamedTuple):
    """`ttl` None: the server makes it."""

    group: str
    ttl: float | None
    health: Health
    at: float

    def seen(self, now: float) -> Health:
        is_missing = self.ttl is not None and now >= self.at + self.ttl
        return Health.FAILING if is_missing else self.health


KINDS = st.tuples(st.sampled_from(["", "a", "b"]), st.none() | st.sampled_from([2.0, 3.5, 20.0]), HEALTHS)


class Checks(RuleBasedStateMachine):
    @initialize(checks=st.lists(KINDS, min_size=1, max_size=5), keeps=st.booleans())
    def begin(self, checks: list[tuple[str, float | None, Health]], keeps: bool) -> None:
        self.now = START
        self.registry = a_registry()
        self.log = Log.of(self.registry)
        self.replica = Replica(self.registry.index)
        self.own, self.draining, self.beaten = Health.PASSING, False, START
        self.checks = {str(n): Kept(group, ttl, health, START) for n, (group, ttl, health) in enumerate(checks)}
        sent = [self._sent(id, check) for id, check in self.checks.items()]
        self.entry = self.registry.register(spec(ttl=LEASE, keep=86400, checks=sent), self.now, self.wall)

    def _sent(self, id: str, check: Kept) -> dict[str, Any]:
        kind: dict[str, Any] = {"tcp": True} if check.ttl is None else {"ttl": check.ttl}
        return {"id": id, "status": check.health.value, "group": check.group, **kind}

    @property
    def wall(self) -> float:
        return self.now - START + WALL

    def lapse(self) -> None:
        """What is missing stays so until it is reported."""
        self.checks = {id: check._replace(health=check.seen(self.now)) for id, check in self.checks.items()}

    @property
    def health(self) -> Health:
        groups: dict[str, list[Health]] = {} if self.own is Health.PASSING else {"": [self.own]}
        for check in self.checks.values():
            groups.setdefault(check.group, []).append(check.seen(self.now))
        return min((max(group, key=WORSE.index) for group in groups.values()), key=WORSE.index, default=Health.PASSING)

    @property
    def status(self) -> Status:
        if self.now >= self.beaten + LEASE:
            return Status.UNHEALTHY
        if self.draining:
            return Status.DRAINING
        return Status.FAILING if self.health is Health.FAILING else Status.HEALTHY

    # -- what may happen

    @rule(seconds=STEPS)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.lapse()

    @rule(at=st.integers(0, 4), health=HEALTHS)
    def a_check_says(self, at: int, health: Health) -> None:
        id = list(self.checks)[at % len(self.checks)]
        check = self.checks[id]
        if check.ttl is None:
            self.registry.carry_out(ReportCheck(KEY, id, Finding(health, "odd")), self.now, self.wall, SERVER)
        else:
            if self.entry.says(id, health, self.now):
                assert self.registry.beat(self.entry, self.now, id)
            else:
                self.registry.do(ReportCheck(KEY, id, Finding(health, "odd")), self.now, self.wall)
            self.beaten = self.now
        self.checks[id] = check._replace(health=health, at=self.now)

    @rule()
    def it_beats(self) -> None:
        self.registry.renew(KEY, self.now, self.wall)
        self.beaten = self.now

    @rule(health=HEALTHS)
    def it_says_of_itself(self, health: Health) -> None:
        self.registry.do(Report(KEY, Finding(health, "full")), self.now, self.wall)
        self.own, self.beaten = health, self.now

    @rule(draining=st.booleans())
    def it_is_drained(self, draining: bool) -> None:
        self.registry.drain(KEY, draining, "asked", self.now, self.wall)
        self.draining = draining

    @rule()
    def it_registers_again(self) -> None:
        self.registry.upsert(self.entry.instance.spec, self.now, self.wall)
        self.beaten = self.now

    @rule()
    def the_reaper_leaves_nothing_undone(self) -> None:
        """And nothing that it would do again and again."""
        assert self.registry.advance(self.now, 50, wall=self.wall) < 50
        deadline = self.registry.next_deadline()
        assert deadline is not None
        assert deadline > self.now

    # -- what is so at every moment

    @invariant()
    def readers_see_what_the_judge_says(self) -> None:
        assert self.entry.status_at(self.now) is self.status
        seen = self.entry.as_seen(self.now, lambda at: at - START + WALL)
        said = {check.id: seen.said_by(check).health for check in seen.spec.checks}
        assert said == {id: check.seen(self.now) for id, check in self.checks.items()}
        assert seen.health is self.health

    @invariant()
    def it_is_served_until_its_lease_says_and_not_longer(self) -> None:
        if self.status is not Status.HEALTHY:
            return
        now, ends = self.now, self.entry.lease.expires_at
        assert self.entry.healthy(ends - 0.125)
        assert not self.entry.healthy(ends)
        self.now = ends - 0.125
        before = self.status
        self.now = ends
        after = self.status
        self.now = now
        assert (before is Status.HEALTHY, after is Status.HEALTHY) == (True, False)
        assert (self.registry.next_deadline() or 0.0) <= ends

    @invariant()
    def followers_can_tell_what_was_decided(self) -> None:
        for change in self.log.take():
            self.replica.apply(change)
        assert self.replica.instances[KEY] == self.entry.instance


TestChecks = Checks.TestCase
TestChecks.settings = settings(max_examples=examples(150), stateful_step_count=30)
