"""Two registries and one stream of commits, as JSON: whoever decides, both hold the same afterwards.

Each has a clock of its own. The one that decides applies its commit and hands it over as text; the other applies what it reads. Heartbeats
reach both, as they do in a cluster. After every step: the same instances in the same order, windows, tombstones, remembered drains,
leases, logs, and a fold of the events that comes to the same.
"""

from __future__ import annotations

import contextlib
from random import Random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from discovery.core import codec
from discovery.core.caller import NOBODY
from discovery.core.errors import DiscoveryError
from discovery.core.event import Commit, Event, InstanceEvent
from discovery.core.instance import Key, Registration
from discovery.core.kinds import ZonesEvent
from discovery.core.maintenance import Scope, Window
from discovery.store.brake import Brake
from discovery.store.damping import Damping
from discovery.store.expiry import Expire
from discovery.store.operations import Checked, Drain, EndMaintenance, Maintain, ReloadZones
from discovery.store.registration import Deregister, DeregisterMany, Register, Revive, Upsert
from discovery.store.snapshot import Snapshot
from discovery.store.write import Write, decide
from tests.driven import DrivenRegistry
from tests.store.making import a_registry, spec
from tests.store.state_of import state_of

LEASE, INTERVAL, MOST = 4.0, 2.5, 4
# The second clock runs beside the first.
CLOCKS = (0.0, 5000.0)

KEYS = st.builds(lambda name, port: Key(name, "10.0.0.1", port), st.sampled_from(["web", "api"]), st.integers(1, 6))
SPECS = st.builds(
    lambda name, port, version, ttl, check: spec(name, port=port, metadata={"v": version}, ttl=ttl, check=check),
    st.sampled_from(["web", "Web", "api"]),
    st.integers(1, 6),
    st.sampled_from([0, 2.5, 10**30]),
    st.sampled_from([None, None, 1.5, 100]),
    st.sampled_from([None, None, {"tcp": True}]),
)
STEPS = st.sampled_from([0.125, 0.5, 1.5, 2.5, 4.0, 7.5, 60.0])
WHO = st.integers(0, 1)


class Replay(RuleBasedStateMachine):
    @initialize(brake=st.sampled_from([0.0, 30.0]), flaps=st.sampled_from([0, 2]))
    def start(self, brake: float, flaps: int) -> None:
        self.passed = 0.0
        self.heard: list[Commit] = []
        self.state: dict[tuple[str, Key | Scope | bytes], object] = {}
        self.nodes = [self.node(clock, brake, flaps) for clock in CLOCKS]
        self.nodes[0].followers.append(self.heard.append)

    def node(self, clock: float, brake: float, flaps: int) -> DrivenRegistry:
        return a_registry(
            lease_ttl=LEASE,
            cleanup_interval=INTERVAL,
            max_instances=MOST,
            started_at=clock,
            new_id=lambda: f"auto-{self.nodes[0].index}",
            brake=Brake(brake, 20.0, INTERVAL, LEASE, Random(1)),
            damping=Damping(flaps, 8.0),
        )

    def now(self, who: int) -> float:
        return CLOCKS[who] + self.passed

    @property
    def wall(self) -> float:
        return 1e9 + self.passed

    def decide(self, who: int, write: Write[Any]) -> bool:
        """Whether it was carried out. What it decides reaches the other; a refused write changes nothing. To decide alone does not
        either, whatever is decided.
        """
        decides, follows = self.nodes[who], self.nodes[1 - who]
        state = state_of(decides)
        with contextlib.suppress(DiscoveryError):
            decide(write, decides, self.now(who), self.wall, NOBODY, ())
        assert state_of(decides) == state
        said: list[Commit] = []
        decides.followers.append(said.append)
        index, leases = decides.index, {entry.instance.id: entry.lease.renewed_at for entry in decides}
        try:
            decides.carry_out(write, self.now(who), self.wall)
        except DiscoveryError:
            assert not said
            assert decides.index == index
            return False
        finally:
            decides.followers.pop()
        for commit in said:
            assert commit.index == index + 1
            assert 0 < len(commit.events) <= 100
            follows.apply(codec.decode(codec.encode(commit)), self.now(1 - who))
        if not said:  # a heartbeat only, which travels by itself
            for entry in decides:
                if leases.get(entry.instance.id) != entry.lease.renewed_at:
                    follows.by_id(entry.instance.id).lease.renew(self.now(1 - who))
        return True

    # -- writes

    @rule(who=WHO, sent=SPECS, whole=st.booleans())
    def register(self, who: int, sent: Registration, whole: bool) -> None:
        self.decide(who, Upsert(sent) if whole else Register(sent))

    @rule(who=WHO, name=st.sampled_from(["web", "api"]), ports=st.sets(st.integers(1, 6), min_size=3))
    def crowd(self, who: int, name: str, ports: set[int]) -> None:
        for port in sorted(ports):
            self.decide(who, Register(spec(name, port=port)))

    @rule(who=WHO, key=KEYS)
    def beat(self, who: int, key: Key) -> None:
        if not self.nodes[who].knows(key):
            return
        if self.nodes[who].beat(self.nodes[who].at(key), self.now(who)):
            assert self.nodes[1 - who].beat(self.nodes[1 - who].at(key), self.now(1 - who))
        else:
            self.decide(who, Revive(key))

    @rule(who=WHO, key=KEYS, draining=st.booleans())
    def drain(self, who: int, key: Key, draining: bool) -> None:
        self.decide(who, Drain(key, draining, "asked"))

    @rule(who=WHO, key=KEYS, failing=st.sampled_from([None, "HTTP 503"]))
    def check(self, who: int, key: Key, failing: str | None) -> None:
        if self.nodes[who].knows(key):
            self.decide(who, Checked(self.nodes[who].at(key).instance.id, failing))

    @rule(who=WHO, key=KEYS, whole=st.booleans(), seconds=st.sampled_from([0.5, 2.5, 30.0]))
    def maintain(self, who: int, key: Key, whole: bool, seconds: float) -> None:
        scope = Scope(key.service) if whole else Scope.of(key)
        self.decide(who, Maintain(scope, Window("upgrade", self.wall + seconds)))

    @rule(who=WHO, key=KEYS, whole=st.booleans())
    def end_maintenance(self, who: int, key: Key, whole: bool) -> None:
        self.decide(who, EndMaintenance(Scope(key.service) if whole else Scope.of(key), "asked"))

    @rule(who=WHO, key=KEYS)
    def deregister(self, who: int, key: Key) -> None:
        self.decide(who, Deregister(key, "asked"))

    @rule(who=WHO, keys=st.sets(KEYS))
    def deregister_many(self, who: int, keys: set[Key]) -> None:
        self.decide(who, DeregisterMany(tuple(sorted(keys)), "asked"))

    @rule(who=WHO)
    def zones_are_read_again(self, who: int) -> None:
        assert self.decide(who, ReloadZones("asked"))

    # -- time

    @rule(step=STEPS)
    def time_passes(self, step: float) -> None:
        self.passed += step

    @rule(who=WHO, times=st.integers(1, 10))
    def expire(self, who: int, times: int) -> None:
        """By the one that leads, whichever that is now."""
        for _ in range(times):
            self.decide(who, Expire())

    # -- after every step

    @invariant()
    def both_hold_the_same(self) -> None:
        one, other = self.nodes
        assert self.snapshot(0) == self.snapshot(1)
        assert [entry.lease.expires_at - CLOCKS[0] for entry in one] == [
            entry.lease.expires_at - CLOCKS[1] for entry in other
        ]
        assert one.liveness.counts == other.liveness.counts
        assert one.log.after(0) == other.log.after(0)
        for name in ("web", "api"):
            assert one.log.after(0, name) == other.log.after(0, name)
            assert one.log.index_of(name) == other.log.index_of(name)

    def snapshot(self, who: int) -> Snapshot:
        return self.nodes[who].snapshot(self.now(who), self.wall)

    @invariant()
    def the_fold_of_the_events_is_the_state(self) -> None:
        for commit in self.heard:
            for event in commit.events:
                self.fold(event)
        self.heard.clear()
        registry = self.nodes[0]
        instances = {("instance", entry.instance.spec.key): entry.instance for entry in registry}
        values = {
            (of, key): value for of, holder in registry.values.items() for key, value in holder.all.items() if key
        }
        assert self.state == instances | values

    def fold(self, event: Event) -> None:
        """Put and delete, and nothing else."""
        assert event.reason
        if isinstance(event, ZonesEvent):
            return
        if isinstance(event, InstanceEvent):
            thing: tuple[Any, Any] = ("instance", event.instance.spec.key)
        else:
            thing = (type(event), event.key)
        assert self.state.get(thing) == event.before, "before is not what it was"
        assert event.before != event.after or (isinstance(event, InstanceEvent) and event.renews), "it says nothing"
        if event.after is None:
            del self.state[thing]
        else:
            self.state[thing] = event.after

    @invariant()
    def no_service_has_more_than_it_may(self) -> None:
        for registry in self.nodes:
            assert all(len(service.entries) <= MOST for service in registry.services.values())


TestReplay = Replay.TestCase
TestReplay.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
