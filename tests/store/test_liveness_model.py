"""The registry with brake and damping against the judge (`liveness_model`): drains, windows, checks, pauses and restarts in any order.

Times that the machine chooses are multiples of 1/8 s, so sums are exact. The reaper comes when it likes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from discovery.core.errors import DiscoveryError
from discovery.core.event import Kind
from discovery.core.instance import Key, Registration
from discovery.core.kinds import WindowEvent
from discovery.core.maintenance import Scope, Window
from discovery.core.status import Probed, Status
from discovery.store.brake import Brake
from discovery.store.damping import Damping
from discovery.store.errors import Deregistered, NoWindow, ServiceFull, UnknownInstance, UnknownService
from discovery.store.operations import Drain
from discovery.store.probing import Probe
from tests.driven import DrivenRegistry
from tests.examples import examples
from tests.store.drawing import EIGHTHS, LEASE_TTL
from tests.store.liveness_model import FLAP_CHANGES, FLAP_WINDOW, MAX_SECONDS, PERCENT, Judge, Row
from tests.store.making import ALL, Log, a_registry, spec

MOST = 7
NAMES = st.sampled_from(["web", "Web", "api"])
PORTS = st.integers(1, 8)
# Numbers of those that are registered, and now and then somebody else.
KEYS: st.SearchStrategy[int | Key] = st.one_of(
    *[st.integers(0, 2 * MOST)] * 4,
    st.builds(lambda name, port: Key.of(name, "10.0.0.1", port), NAMES, PORTS),
)
SPECS = st.builds(
    lambda name, port, version, ttl: spec(name, port=port, metadata={"v": version}, ttl=ttl, checks={"tcp": True}),
    NAMES, PORTS, st.integers(0, 1), st.sampled_from([None, None, None, None, 1, 2.5, 10, 100]),
)  # fmt: skip
OUT = st.sampled_from(["drain", "check", "maintain one", "maintain all", "deregister"])
STEPS = st.sampled_from([0.125, 0.5, 0.5, 1.0, 1.0, 1.5, 2.5, 2.5, 4.0, 5.0, 7.5, 25.0, 60.0])


class Liveness(RuleBasedStateMachine):
    @initialize(
        started=EIGHTHS,
        interval=st.sampled_from([1.0, 2.5, 5.0]),
        percent=st.sampled_from([PERCENT, PERCENT, 0.0]),
        flaps=st.sampled_from([0, FLAP_CHANGES]),
        seed=st.integers(0, 99),
        ports=st.sets(PORTS),
    )
    def start(self, started: float, interval: float, percent: float, flaps: int, seed: int, ports: set[int]) -> None:
        self.now, self.wall, self.seed = started, started + 1e9, seed
        self.interval, self.percent, self.flaps = interval, percent, flaps
        self.buried: dict[Key, float] = {}
        self.settled_at = -math.inf  # when advance last had no limit, and nothing was written since
        self.begin(0)
        self.a_crowd_registers("web", ports)

    def begin(self, index: int) -> None:
        self.registry: DrivenRegistry = a_registry(
            lease_ttl=LEASE_TTL,
            cleanup_interval=self.interval,
            max_instances=MOST,
            started_at=self.now,
            index=index,
            new_id=lambda: f"auto-{self.registry.index}-{self.now}",
            brake=Brake(self.percent, MAX_SECONDS, self.interval, LEASE_TTL, Random(self.seed)),
            damping=Damping(self.flaps, FLAP_WINDOW),
        )
        self.log = Log.of(self.registry)
        self.judge = Judge(self.now, self.interval, self.percent, self.flaps, index)

    @property
    def rows(self) -> dict[Key, Row]:
        return self.judge.rows

    def key(self, which: int | Key) -> Key:
        if isinstance(which, Key):
            return which
        keys = sorted(self.rows) or [Key("web", "10.0.0.1", 1)]
        return keys[which % len(keys)]

    def hear(self, told: bool = False) -> list[Kind]:
        changes = self.log.take()
        self.judge.hear(changes, self.now, told)
        self.settled_at = self.now if told else -math.inf
        return [change.kind for change in changes]

    def hear_lapses(self) -> None:
        """Those changes that tell what was so before the write."""
        changes = self.log.changes
        lapses = [change for change in changes if change.kind in (Kind.UNHEALTHY, Kind.SUSPECT)]
        assert changes[: len(lapses)] == lapses, "first what was before"
        self.log.changes = changes[len(lapses) :]
        self.judge.hear(lapses, self.now, told=False)

    def refused(self, errors: type[DiscoveryError], write: Callable[[], object]) -> None:
        with pytest.raises(errors):
            write()
        assert self.hear() == []

    # -- writes

    @rule(sent=SPECS, whole=st.booleans())
    def register(self, sent: Registration, whole: bool) -> None:
        """`whole`: by a heartbeat that carries it."""
        key = sent.key
        write = self.registry.upsert if whole else self.registry.register
        if whole and key not in self.rows and self.buried.get(key, 0.0) > self.now:
            self.refused(Deregistered, lambda: write(sent, self.now, self.wall))
        elif key in self.rows:
            self.register_again(key, sent, lambda: write(sent, self.now, self.wall))
        else:
            peers = self.judge.peers(key.service)
            if len(peers) >= MOST and all(self.now < row.ends for row in peers):
                self.refused(ServiceFull, lambda: write(sent, self.now, self.wall))
                return
            write(sent, self.now, self.wall)
            self.add(key, sent)

    def add(self, key: Key, sent: Registration) -> None:
        self.buried.pop(key, None)
        at = next(at for at, change in enumerate(self.log.changes) if change.kind is Kind.REGISTERED)
        later, self.log.changes = self.log.changes[at:], self.log.changes[:at]
        assert set(self.hear()) <= {Kind.UNHEALTHY, Kind.SUSPECT, Kind.EXPIRED}  # who made way
        self.log.changes = later
        instance = later[0].instance
        assert all(instance.id != row.id for row in self.rows.values())
        self.rows[key] = Row(instance.id, self.wall, instance.spec, self.now)
        row = self.rows[key]
        row.draining_since = self.judge.drains.pop(key, None)
        row.status = instance.status
        assert row.status is (self.judge.out(key) or Status.HEALTHY)
        assert self.hear() == [Kind.REGISTERED]

    def register_again(self, key: Key, sent: Registration, write: Callable[[], object]) -> None:
        row = self.rows[key]
        shown = replace(sent, name=row.spec.name)
        write()
        self.hear_lapses()
        row.beat(self.now)
        other, row.spec = shown != row.spec, shown
        told = self.hear()
        assert len(told) <= 1
        assert told or not other, "other contents, and nobody is told"

    @rule(name=NAMES, ports=st.sets(PORTS, min_size=3))
    def a_crowd_registers(self, name: str, ports: set[int]) -> None:
        for port in ports:
            self.register(spec(name, port=port, checks={"tcp": True}), whole=False)

    @rule(which=KEYS, by_id=st.booleans())
    def renew(self, which: int | Key, by_id: bool) -> None:
        key = self.key(which)
        if key not in self.rows:
            self.refused(UnknownInstance, lambda: self.registry.renew(key, self.now, self.wall))
            return
        self.registry.renew(self.rows[key].id if by_id else key, self.now, self.wall)
        self.hear_lapses()
        self.rows[key].beat(self.now)
        self.hear()

    @rule(but=st.sets(PORTS))
    def the_others_beat(self, but: set[int]) -> None:
        for key in list(self.rows):
            if key.port not in but:
                self.renew(key, by_id=False)

    @rule(which=KEYS, beats=st.lists(st.sampled_from([0.5, 4.5]), min_size=2, max_size=5))
    def one_beats_now_and_then(self, which: int | Key, beats: list[float]) -> None:
        for step in beats:
            self.time_passes_untold(step)
            self.renew(self.key(which), by_id=True)

    @rule(which=KEYS, by_id=st.booleans(), draining=st.booleans())
    def drain(self, which: int | Key, by_id: bool, draining: bool) -> None:
        key = self.key(which)
        since = self.wall if draining else None
        if key not in self.rows:
            if draining or self.judge.drains.pop(key, None) is None:
                self.refused(
                    UnknownInstance, lambda: self.registry.do(Drain(key, draining, "asked"), self.now, self.wall)
                )
            else:
                assert not self.registry.do(Drain(key, False, "asked"), self.now, self.wall).draining
            return
        row = self.rows[key]
        entry = self.registry.drain(row.id if by_id else key, draining, "asked", self.now, self.wall)
        assert entry.instance.draining_since == (
            row.draining_since if draining and row.draining_since is not None else since
        )
        if (row.draining_since is not None) == draining:
            assert self.hear() == []
            return
        self.hear_lapses()
        row.draining_since = since
        self.hear()
        self.lapses_were_told(key)

    def lapses_were_told(self, *keys: Key) -> None:
        """Of whom a person takes out the brake believes nothing: who is silent is unhealthy."""
        for row in map(self.rows.__getitem__, keys):
            assert self.now < row.ends or row.status is Status.UNHEALTHY

    @rule(which=KEYS, failing=st.booleans())
    def checked(self, which: int | Key, failing: bool) -> None:
        key = self.key(which)
        if key not in self.rows:
            self.refused(UnknownInstance, lambda: self.registry.checked("nobody", None, self.now, self.wall))
            return
        row = self.rows[key]
        no_news = not failing and not row.failing
        self.registry.checked(row.id, "HTTP 503" if failing else None, self.now, self.wall)
        self.hear_lapses()
        row.failing = failing
        assert self.hear() == [] or not no_news

    @rule(which=KEYS, results=st.lists(st.booleans(), min_size=2, max_size=6), step=st.sampled_from([0.125, 0.5]))
    def checks_come_and_go(self, which: int | Key, results: list[bool], step: float) -> None:
        for failing in results:
            self.time_passes_untold(step)
            self.checked(which, failing)

    @rule(which=KEYS, all=st.booleans(), seconds=st.sampled_from([0.5, 2.5, 30.0]))
    def maintain(self, which: int | Key, all: bool, seconds: float) -> None:
        scope = self.scope(which, all)
        window = Window("upgrade", self.wall + seconds)

        def write() -> None:
            self.registry.maintain(scope, window, self.now, self.wall)

        if not any(scope in (Scope.of(key), Scope(key.service)) for key in self.rows):
            self.refused(UnknownService if scope.ip is None else UnknownInstance, write)
            return
        write()
        self.judge.windows[scope] = (window, self.now + seconds)
        self.hear()
        self.lapses_were_told(*(key for key in self.rows if scope in (Scope.of(key), Scope(key.service))))

    def scope(self, which: int | Key, all: bool) -> Scope:
        key = self.key(which)
        return Scope(key.service) if all else Scope.of(key)

    @rule(which=KEYS, all=st.booleans())
    def end_maintenance(self, which: int | Key, all: bool) -> None:
        scope = self.scope(which, all)

        def write() -> None:
            self.registry.end_maintenance(scope, "asked", self.now, self.wall)

        if scope not in self.judge.windows:
            self.refused(NoWindow, write)
            return
        write()
        del self.judge.windows[scope]
        self.hear()

    @rule(which=KEYS)
    def deregister(self, which: int | Key) -> None:
        key = self.key(which)
        if key not in self.rows:
            if self.judge.drains.pop(key, None) is None:
                self.refused(UnknownInstance, lambda: self.registry.deregister(key, "asked", self.now, self.wall))
            else:
                self.registry.deregister(key, "asked", self.now, self.wall)
            return
        self.buried[key] = self.now + min(self.rows[key].ttl, 60)
        self.registry.deregister(key, "asked", self.now, self.wall)
        assert self.hear() == [Kind.DEREGISTERED]

    @rule(name=NAMES)
    def deregister_service(self, name: str) -> None:
        keys = [key for key in self.rows if key.service == name.lower()]
        if not keys:
            self.refused(UnknownService, lambda: self.registry.deregister_service(name, "asked", self.now, self.wall))
            return
        self.buried |= {key: self.now + min(self.rows[key].ttl, 60) for key in keys}
        self.registry.deregister_service(name, "asked", self.now, self.wall)
        assert self.hear() == [Kind.DEREGISTERED] * len(keys)

    @rule(which=KEYS, answer=st.sampled_from([*Probed, None]))
    def a_port_answers(self, which: int | Key, answer: Probed | None) -> None:
        key = self.key(which)
        row = self.rows.get(key, Row("nobody", 0.0, spec(), 0.0))
        is_asked = row.status is Status.SUSPECT and self.now >= row.ends
        self.registry.do(Probe(key.service, ((row.id, answer),)), self.now, self.wall)
        row.refused = (is_asked and answer is Probed.REFUSED) or row.refused
        told = self.hear()
        assert told == ([Kind.UNHEALTHY] if is_asked and answer is Probed.REFUSED else told if is_asked else [])

    # -- what rarely comes about by chance

    def take_out(self, which: int | Key, how: str) -> None:
        if how == "drain":
            self.drain(which, by_id=True, draining=True)
        elif how == "check":
            self.checked(which, failing=True)
        elif how == "deregister":
            self.deregister(which)
        else:
            self.maintain(which, how == "maintain all", 2.5)

    @rule(which=KEYS, how=OUT, is_told=st.booleans())
    def one_falls_silent_and_is_taken_out(self, which: int | Key, how: str, is_told: bool) -> None:
        key = self.key(which)
        if key in self.rows:
            self.time_passes_untold(max(0.0, self.rows[key].ends - self.now))
            if is_told:
                self.advance()
            self.take_out(key, how)

    @rule(name=NAMES, out=st.sets(PORTS, max_size=4), how=OUT, beat=st.booleans())
    def some_are_taken_out_and_all_fall_silent(self, name: str, out: set[int], how: str, beat: bool) -> None:
        for key in [key for key in self.rows if key.service == name.lower() and key.port in out]:
            self.take_out(key, how)
        self.time_passes_untold(LEASE_TTL)
        self.advance()
        if beat:
            self.the_others_beat(set())

    @rule(which=KEYS, seconds=st.sampled_from([0.0, 1.0, 7.5, 60.0]))
    def one_that_was_deregistered_beats_with_its_registration(self, which: int | Key, seconds: float) -> None:
        key = self.key(which)
        if key in self.rows:
            sent = self.rows[key].spec
            self.deregister(key)
            self.time_passes_untold(seconds)
            self.register(sent, whole=True)

    @rule(which=KEYS)
    def a_window_ends_to_the_instant(self, which: int | Key) -> None:
        scope = self.scope(which, all=False)
        if scope in self.judge.windows and self.judge.windows[scope][1] > self.now + 0.125:
            self.time_passes_untold(self.judge.windows[scope][1] - 0.125 - self.now)
            self.advance()
            assert scope in self.judge.windows
            self.time_passes_untold(0.125)
            self.advance()
            assert scope not in self.judge.windows

    # -- the passing of time

    @rule(step=STEPS)
    def time_passes_untold(self, step: float) -> None:
        self.now += step
        self.wall += step

    @rule(limit=st.integers(0, 3))
    def advance_a_little(self, limit: int) -> None:
        self.registry.advance(self.now, limit, self.wall)
        self.judge_advance()
        self.settled_at = -math.inf

    @rule()
    def advance(self) -> None:
        self.registry.advance(self.now, ALL, self.wall)
        self.judge_advance()

    def judge_advance(self) -> None:
        gone = self.judge.windows.keys() - self.registry.windows.keys()
        assert all(self.judge.windows.pop(scope)[1] <= self.now for scope in gone), "a window ended too early"
        self.hear(told=True)

    @precondition(lambda self: self.registry.next_deadline() is not None)
    @rule(times=st.integers(1, 5))
    def advance_at_the_next_deadlines(self, times: int) -> None:
        """As the reaper does, an eighth of a second late at most."""
        for _ in range(times):
            deadline = self.registry.next_deadline()
            if deadline is not None:
                self.time_passes_untold(max(0.0, math.ceil(deadline * 8) / 8 - self.now))
                self.advance()

    @rule(seconds=st.sampled_from([0.5, 1.5, 5.0, 60.0]))
    def the_process_stands_still(self, seconds: float) -> None:
        self.wall += seconds
        self.registry.resume(seconds, self.now)
        windows = self.judge.windows  # they end by the wall's clock, which has not stood still
        self.judge.windows = {scope: (window, ends - seconds) for scope, (window, ends) in windows.items()}
        for row in self.rows.values():
            if self.now < row.ends and seconds >= row.ttl / 3:
                row.renewed_at = self.now
        assert self.hear() == []

    @rule(away=STEPS)
    def restart(self, away: float) -> None:
        """All but what was only believed is still so, what checks said too, and every lease is full."""
        snapshot = self.registry.snapshot(self.now, self.wall)
        rows, drains, index = self.rows, self.judge.drains, self.registry.index
        self.wall += away
        self.buried = {key: until - away for key, until in self.buried.items()}
        self.begin(index)
        self.judge.drains = drains
        for event in snapshot.values:
            if isinstance(event, WindowEvent) and event.after is not None:
                self.judge.windows[event.key] = (event.after, self.now + event.after.until - self.wall)
        for instance in snapshot.instances:
            old = rows[instance.spec.key]
            row = Row(
                old.id, old.registered_at, old.spec, self.now, draining_since=old.draining_since, failing=old.failing
            )
            self.rows[instance.spec.key] = row
            row.status = self.judge.out(instance.spec.key) or Status.HEALTHY
        self.registry.load(snapshot, self.now, self.wall)
        assert self.registry.index > index
        assert self.hear() == [Kind.RESTORED] * len(rows)
        self.registry.begin(self.now)
        self.settled_at = -math.inf  # a window may have ended meanwhile

    # -- after every step

    @invariant()
    def each_has_the_status_that_the_rules_give_it(self) -> None:
        for key, row in self.rows.items():
            if row.status is Status.SUSPECT:
                assert self.percent
                assert self.judge.out(key) is None
            elif row.status is not Status.UNHEALTHY and self.now < row.ends:
                assert row.status in self.allowed(key, row)

    def allowed(self, key: Key, row: Row) -> Iterable[Status]:
        out = self.judge.out(key)
        if out is not None:
            return {out}
        if self.now < row.flapping_until:
            return {Status.FLAPPING}
        return (
            {Status.HEALTHY, Status.FLAPPING}
            if row.flapping_until and self.settled_at != self.now
            else {Status.HEALTHY}
        )

    @invariant()
    def the_alive_are_served_and_of_the_dead_only_suspects(self) -> None:
        for now in (self.now, self.now + 1.0):
            for name, service in self.registry.services.items():
                peers = {key: row for key, row in self.rows.items() if key.service == name}
                alive = {key: row for key, row in peers.items() if now < row.ends}
                healthy = {key for key, row in alive.items() if row.status is Status.HEALTHY}
                suspect = {key for key, row in peers.items() if row.status is Status.SUSPECT}
                flapping = {key for key, row in alive.items() if row.status is Status.FLAPPING}
                assert {entry.instance.spec.key for entry in service.healthy(now)} == healthy
                served = [entry.instance.spec.key for entry in service.served(now)]
                assert len(served) == len(set(served))
                assert set(served) == (healthy | suspect or flapping)
                assert set(served[: len(healthy)]) == healthy, "suspects stand behind"
                ranks = [entry.rank(now) for entry in service.served(now)]
                assert ranks == sorted(ranks), "first of them those whose ports accept"

    @invariant()
    def the_same_is_listed_and_counted(self) -> None:
        assert {key: row.status for key, row in self.rows.items()} == self.judge.replica.statuses
        assert set(self.registry.services) == {key.service for key in self.rows}
        assert len(self.registry) == len(self.rows)
        for key, row in self.rows.items():
            entry = self.registry.at(key)
            assert (entry.instance, entry.status) == (self.judge.replica.instances[key], row.status)
            assert (entry.instance.id, entry.instance.registered_at) == (row.id, row.registered_at)
            assert (entry.instance.spec, entry.instance.draining_since) == (row.spec, row.draining_since)
            assert entry.lease.expires_at == row.ends
            assert (self.registry.window(entry.instance) is not None) == self.judge.maintained(key)
        counts = Counter(row.status for row in self.rows.values())
        assert self.registry.liveness.counts == {status: counts[status] for status in Status}
        assert self.registry.cleanups == self.judge.cleanups
        assert dict(self.registry.windows) == {scope: window for scope, (window, _) in self.judge.windows.items()}

    @invariant()
    def the_next_deadline_is_never_late(self) -> None:
        due = [ends for _, ends in self.judge.windows.values()]
        for key, row in self.rows.items():
            if row.status is Status.UNHEALTHY:
                due.append(self.judge.cleanup_of(row))
            elif row.status is Status.SUSPECT:
                until = self.judge.holds[key.service].until
                rounds = max(0, math.floor((self.now - until) / self.interval) + 1)
                due.append(until + (rounds + 0.01) * self.interval)
            else:
                due.append(row.ends)
            if row.status is Status.FLAPPING:
                due.append(row.flapping_until)
        deadline = self.registry.next_deadline()
        assert (deadline is None) == (not due)
        assert deadline is None or deadline <= min(due)

    @invariant()
    def once_told_the_time_nothing_is_left_to_do(self) -> None:
        if self.settled_at == self.now:
            self.judge.settled(self.now)
            deadline = self.registry.next_deadline()
            assert deadline is None or deadline > self.now


TestLivenessAgainstTheJudge = Liveness.TestCase
TestLivenessAgainstTheJudge.settings = settings(max_examples=examples(120), stateful_step_count=60)
