"""Two and three nodes that decide, send and follow in any order: whatever they had read when they decided, all rules of the registry hold.

The nodes are real, but for their heartbeats and for etcd (`simulated`), and each has a clock of its own. A judge follows at once, and looks
at each commit as etcd has it: what was before is what the commits before came to. To decide alone changes nothing.
"""

from __future__ import annotations

from concurrent.futures import Future
from hashlib import sha256
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from discovery.core import exact_json
from discovery.core.caller import Caller, Grants
from discovery.core.errors import DiscoveryError
from discovery.core.event import Commit, Event, InstanceEvent
from discovery.core.ids import is_made_here
from discovery.core.instance import Instance, Key, Registration
from discovery.core.kinds import DocumentEvent, DrainEvent, RegistrySettings, TokenEvent, WindowEvent, ZonesEvent
from discovery.core.maintenance import Scope, Window
from discovery.core.status import SILENT, Status
from discovery.store.expiry import Expire
from discovery.store.operations import (
    DeregisterMany,
    Drain,
    EndMaintenance,
    Maintain,
    PutDocument,
    ReloadZones,
    RestoreToken,
    RevokeToken,
)
from discovery.store.registration import Deregister, Register, Revive, Upsert
from discovery.store.write import Write
from tests.driven import Checked
from tests.engines.etcd.simulated import PREFIX, SimulatedNode, Store
from tests.examples import examples
from tests.store.attaching import Attach

LEASE, MOST = 4.0, 3
NAMES, PORTS, TOKENS = st.sampled_from(["web", "api", "db"]), st.integers(1, 5), st.sampled_from(["one", "two"])
KEYS = st.builds(lambda name, port: Key(name, "10.0.0.1", port), NAMES, PORTS)
SPECS = st.builds(
    lambda key, version, id, ttl: Registration.of(key.service, key.ip, key.port, metadata={"v": version}, id=id, ttl=ttl),
    KEYS, st.sampled_from([0, 10**30]), st.sampled_from([None, "mine", "yours"]), st.sampled_from([None, None, 1.5, 100]),
)  # fmt: skip
SCOPES = st.builds(lambda key, whole: Scope(key.service) if whole else Scope.of(key), KEYS, st.booleans())
REMOVALS = st.one_of(
    st.builds(lambda key: Deregister(key, "asked"), KEYS),
    st.builds(lambda keys: DeregisterMany(tuple(sorted(keys)), "asked"), st.sets(KEYS, max_size=6)),
)
WRITES = st.one_of(
    st.builds(Register, SPECS, st.booleans()),
    st.builds(Register, SPECS, st.booleans()),
    st.builds(Upsert, SPECS),
    REMOVALS,
    st.builds(lambda key, draining: Drain(key, draining, "asked"), KEYS, st.booleans()),
    st.builds(Revive, KEYS),
    st.builds(lambda key, value: Attach(key, {"consul": value}, "asked"), KEYS, st.sampled_from([None, 1, [10**30]])),
    st.builds(
        lambda key, by: PutDocument(
            "consul", key, lambda known: None if known == by else (known or 0) + by, reason="asked"
        ),
        st.sampled_from(["a", "/b c"]),
        st.integers(1, 2),
    ),
    st.builds(EndMaintenance, SCOPES, st.just("asked")),
    st.just(ReloadZones("asked")),
)
WHO = st.integers(0, 2)


def digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


class Judge(SimulatedNode):
    """Decides nothing, and judges each commit by what was before it."""

    def __init__(self, *given: Any) -> None:
        super().__init__("judge", *given)
        self.wrong: tuple[str, ...] = ()
        self.state: dict[Any, Any] = {}
        self._buried: dict[Key, float] = {}
        self._revoked: set[str] = set()
        self._known: set[str] = set()  # services
        self.registry.followers.append(self._judge)

    def _expect(self, is_right: bool, why: str) -> None:
        """A follower must not raise."""
        self.wrong += () if is_right else (why,)

    def _judge(self, commit: Commit) -> None:
        self._expect(commit.by.name not in self._revoked, "its token was revoked before")
        for event in commit.events:
            if isinstance(event, InstanceEvent):
                self._judge_instance(event, commit)
            elif isinstance(event, TokenEvent):
                (self._revoked.discard if event.after is None else self._revoked.add)(
                    next(name for name in ("one", "two") if digest(name) == event.key)
                )
            self._fold(event)
        self._known = set(self.registry.services)
        for name, service in self.registry.services.items():
            self._expect(len(service.entries) <= MOST, f"{name} has too many")

    def _fold(self, event: Event) -> None:
        """Put and delete, and nothing else."""
        if isinstance(event, ZonesEvent):
            return
        thing = (type(event), event.instance.spec.key if isinstance(event, InstanceEvent) else event.key)
        self._expect(bool(event.reason) and self.state.get(thing) == event.before, "before is not what it was")
        is_news = event.before != event.after or (isinstance(event, InstanceEvent) and event.renews)
        self._expect(is_news, "it says nothing")
        self.state[thing] = event.after
        if event.after is None:
            del self.state[thing]

    def _judge_instance(self, event: InstanceEvent, commit: Commit) -> None:
        key = event.instance.spec.key
        if event.after is None:
            self._buried[key] = event.buried_until or 0.0
        elif event.before is None:
            is_reserved = event.service not in self._known and event.service in self.registry.reserved_elsewhere
            self._expect(not is_reserved, "its name is reserved")
            if commit.action == "upsert":
                self._expect(self._buried.get(key, 0.0) <= commit.wall, "it was deregistered just before")
            self._buried.pop(key, None)


class Interleavings(RuleBasedStateMachine):
    @initialize(count=st.integers(2, 3), brake=st.sampled_from([0.0, 30.0]), flaps=st.sampled_from([0, 2]))
    def start(self, count: int, brake: float, flaps: int) -> None:
        self.passed = 0.0
        self.store = Store()
        shared = RegistrySettings(LEASE, MOST, 1_000, 1_000)
        given = self.store, lambda: self.passed
        self.judge = Judge(*given, 0.0, brake, flaps, shared)
        clocks = {"a": 0.0, "b": 5000.0, "c": 70.0}
        self.nodes = [
            SimulatedNode(name, *given, ahead, brake, flaps, shared) for name, ahead in list(clocks.items())[:count]
        ]
        for node in (*self.nodes, self.judge):
            node.registry.face_max_instances = MOST  # of services with attachments, too
        self.answers: list[Future[Any]] = []
        self.lead(0)

    def node(self, who: int) -> SimulatedNode:
        return self.nodes[who % len(self.nodes)]

    def submit(self, who: int, write: Write[Any], token: str = "") -> None:
        by = Caller("10.0.0.9", token, Grants(admin=True), digest(token) if token else b"")
        self.answers.append(self.node(who).submit(write, by))

    # -- writes

    @rule(who=WHO, write=WRITES, token=TOKENS | st.just(""))
    def write(self, who: int, write: Write[Any], token: str) -> None:
        self.submit(who, write, token)

    @rule(who=WHO, write=WRITES, token=TOKENS, meanwhile=st.sampled_from(["revoke", "reserve"]) | WRITES)
    def much_happens_before_it_is_sent(self, who: int, write: Write[Any], token: str, meanwhile: Any) -> None:
        """At another node, after it was decided."""
        self.submit(who, write, token)
        self.node(who).decide()
        if meanwhile == "reserve":
            self.reserve(who + 1, getattr(write.subject, "service", "web"))
        else:
            self.submit(
                who + 1, RevokeToken(digest(token), token, None, "asked") if meanwhile == "revoke" else meanwhile
            )
            self.node(who + 1).decide()
            self.node(who + 1).send()
        self.node(who).send()

    @rule(who=WHO, scope=SCOPES, seconds=st.sampled_from([0.5, 2.5, 30.0]))
    def maintain(self, who: int, scope: Scope, seconds: float) -> None:
        self.submit(who, Maintain(scope, Window("upgrade", 1e9 + self.passed + seconds)))

    @rule(who=WHO, token=TOKENS, taken_back=st.booleans())
    def revoke(self, who: int, token: str, taken_back: bool) -> None:
        sha = digest(token)
        self.submit(who, RestoreToken(sha, "asked") if taken_back else RevokeToken(sha, token, None, "asked"))

    @rule(who=WHO, key=KEYS, failing=st.sampled_from([None, "HTTP 503"]))
    def check(self, who: int, key: Key, failing: str | None) -> None:
        if (registry := self.node(who).registry).find(key) is not None:
            self.submit(who, Checked(registry.at(key).instance.id, failing))

    @rule(who=WHO, name=NAMES)
    def reserve(self, who: int, name: str) -> None:
        """Another node's zone files have it from now on."""
        value = exact_json.dumps({name: "is fixed elsewhere"})
        self.store.put_all([(f"{PREFIX}z/{self.node(who).name}".encode(), value)])

    # -- time

    @rule(step=st.sampled_from([0.125, 0.5, 1.5, 4.0, 7.5]))
    def time_passes(self, step: float) -> None:
        self.passed += step

    @rule(key=KEYS)
    def beat(self, key: Key) -> None:
        for node in (*self.nodes, self.judge):
            node.hear(key)

    @rule(who=WHO, times=st.integers(1, 3))
    def expire(self, who: int, times: int) -> None:
        """By whoever leads, or still believes so."""
        if self.node(who).leads:
            for _ in range(times):
                self.submit(who, Expire())

    @rule(who=WHO)
    def lead(self, who: int) -> None:
        key = f"{PREFIX}leader".encode()
        self.store.put_all([(key, None)])
        self.store.put_all([(key, self.node(who).name.encode())])

    # -- steps

    @rule(who=WHO)
    def decide(self, who: int) -> None:
        self.node(who).decide()

    @rule(who=WHO)
    def send(self, who: int) -> None:
        self.node(who).send()

    @rule(who=WHO, most=st.none() | st.integers(1, 2))
    def follow(self, who: int, most: int | None) -> None:
        self.node(who).follow(most)

    # -- after every step

    @invariant()
    def each_commit_is_one_that_the_registry_allows(self) -> None:
        self.judge.follow()
        assert not self.judge.wrong
        registry = self.judge.registry
        held: dict[Any, Any] = {(InstanceEvent, entry.instance.spec.key): entry.instance for entry in registry}
        for of in (WindowEvent, DrainEvent, TokenEvent, DocumentEvent):
            held |= {(of, key): value for key, value in registry.values[of].all.items()}
        assert self.judge.state == held
        for node in (*self.nodes, self.judge):
            assert not node.mirror.misfits.times

    @invariant()
    def each_id_and_each_address_is_in_etcd_once(self) -> None:
        instances = [exact_json.loads(held.value) for key, held in self.store.held.items() if key.startswith(b"reg/i/")]
        ids = [each["id"] for each in instances]
        assert len(ids) == len(set(ids))
        assert set(ids) == {entry.instance.id for entry in self.judge.registry}
        chosen = {key.decode().removeprefix("reg/id/") for key in self.store.held if key.startswith(b"reg/id/")}
        assert chosen == {id for id in ids if id in ("mine", "yours")}
        assert not any(map(is_made_here, ids))

    @invariant()
    def who_is_in_maintenance_has_a_window_and_the_other_way_round(self) -> None:
        registry = self.judge.registry
        for entry in registry:
            if entry.instance.status not in SILENT:
                assert (entry.instance.status is Status.MAINTENANCE) == (registry.window(entry.instance) is not None)

    def teardown(self) -> None:
        """All is sent and followed in the end: each write has an answer, and all nodes have the same."""
        if not hasattr(self, "nodes"):
            return
        for _ in range(200):
            for node in self.nodes:
                node.decide()
                node.send()
            if all(node.is_idle for node in self.nodes):
                break
        self.each_commit_is_one_that_the_registry_allows()
        for node in self.nodes:
            node.follow()
            assert contents(node) == contents(self.judge)
            assert node.registry.log.after(0) == self.judge.registry.log.after(0)
            for name in ("web", "api", "db"):
                assert node.registry.index_of(name) == self.judge.registry.index_of(name)
        for answer in self.answers:
            assert answer.done()
            assert answer.exception() is None or isinstance(answer.exception(), DiscoveryError)


def contents(node: SimulatedNode) -> tuple[list[Instance], Any, Any]:
    snapshot = node.registry.snapshot(0.0, 0.0)
    return list(snapshot.instances), set(snapshot.values), (snapshot.index, dict(node.registry.liveness.counts))


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=examples(150), stateful_step_count=50)
