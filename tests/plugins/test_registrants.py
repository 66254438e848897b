"""Natively, by Consul's ids and by Eureka's at one address, in whatever order, over restarts: each takes back its own part alone, and the
instance goes with the last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discovery.core.health import Finding, Health
from discovery.core.instance import Key, Registration
from discovery.core.lease import PERMANENT_TTL
from discovery.plugins.consul.definitions import service
from discovery.plugins.consul.directory import Peer
from discovery.plugins.consul.nodes import Nodes
from discovery.plugins.consul.writes import DeregisterPeer, RegisterPeer, peers_in
from discovery.plugins.eureka.ids import records_of
from discovery.plugins.eureka.record import read
from discovery.plugins.eureka.writing import Announce, Cancel
from discovery.store.registrants import NATIVE, is_said, native_ttl, registrants
from discovery.store.registration import Register, ReportCheck
from tests.driven import DrivenRegistry
from tests.examples import examples
from tests.plugins.eureka.house import sent
from tests.store.making import ALL, START, a_registry

AT = "10.0.0.1"
KEY = Key("web", AT, 8080)
NODES = Nodes({})
TTL, NATIVE_TTL, EUREKA_TTL, CRITICAL = 30, 20.0, 25.0, 60.0
_CHECK = {"TTL": TTL, "Status": "passing", "DeregisterCriticalServiceAfter": CRITICAL}


class Shared:
    """One address, and who has registered there: `natively`: with a check or without, `ids`: of Consul."""

    def __init__(self) -> None:
        self.registry = a_registry()
        self.now = START
        self.natively: bool | None = None
        self.ids: list[str] = []
        self.in_eureka = False

    def native(self, checked: bool) -> None:
        checks: dict[str, Any] = {"checks": [{"tcp": True, "id": "own"}]} if checked else {}
        self.registry.register(Registration.of("web", AT, 8080, ttl=NATIVE_TTL, **checks), self.now)
        self.natively = checked

    def consul(self, id: str) -> None:
        said = service({"Name": "web", "ID": id, "Port": 8080, "Checks": [_CHECK]}, AT, 600.0)
        self._do(RegisterPeer(said.spec, peer=said.peer, checks=said.checks, nodes=NODES))
        if id not in self.ids:
            self.ids.append(id)

    def deregister(self, id: str) -> None:
        if id in self.ids:
            self._do(DeregisterPeer(KEY, Peer(id, AT), NODES, "asked"))
            self.ids.remove(id)

    def eureka(self) -> None:
        self._do(Announce(read(sent("e"), "WEB"), None))
        self.in_eureka = True

    def cancel(self) -> None:
        if self.in_eureka:
            self._do(Cancel(KEY, "e", "asked"))
            self.in_eureka = False

    def restart(self) -> None:
        again: DrivenRegistry = a_registry()
        if (entry := self.registry.find(KEY)) is not None:
            again.restore(entry.instance, now=self.now)
        self.registry = again

    def wait(self, seconds: float, passing: bool = True) -> None:
        """Those that are there beat; `passing` False: Consul's checks alone report no longer."""
        end = self.now + seconds
        while self.now < end:
            self.now += 5.0
            if self.natively is not None or self.in_eureka:
                self.registry.renew(KEY, self.now)
            for id in self.ids if passing else ():
                self._do(ReportCheck(KEY, f"service:{id}", Finding(Health.PASSING)))
            self.registry.advance(self.now, ALL)

    def expire(self) -> None:
        self.wait(TTL + CRITICAL + 10.0, passing=False)
        self.ids.clear()

    def _do(self, write: Any) -> None:
        self.registry.do(write, self.now)

    def assert_agrees(self) -> None:
        entry = self.registry.find(KEY)
        assert (entry is not None) == bool(self.natively is not None or self.ids or self.in_eureka)
        if entry is None:
            return
        instance = entry.instance
        names = {NATIVE: self.natively is not None, "consul": bool(self.ids), "eureka": self.in_eureka}
        assert registrants(instance).keys() == {name for name, is_there in names.items() if is_there}
        assert {peer.id for peer in peers_in(instance)} == set(self.ids)
        assert records_of(instance).keys() == ({"e"} if self.in_eureka else set())
        checks = {f"service:{id}" for id in self.ids} | ({"own"} if self.natively else set())
        assert {check.id for check in instance.spec.checks} == checks
        ttl = PERMANENT_TTL if self.ids else EUREKA_TTL if self.in_eureka else NATIVE_TTL
        assert self.registry.ttl_of(instance.spec) == entry.lease.term.seconds == ttl
        if self.natively is not None and len(registrants(instance)) > 1:
            assert native_ttl(instance, 10.0) == NATIVE_TTL  # it is still told to beat
        assert entry.healthy(self.now)


_STEPS = st.one_of(
    st.tuples(st.just(Shared.native), st.booleans()),
    st.tuples(st.sampled_from((Shared.consul, Shared.deregister)), st.sampled_from("ab")),
    st.tuples(st.sampled_from((Shared.eureka, Shared.cancel, Shared.restart, Shared.expire))),
    st.tuples(st.just(Shared.wait), st.sampled_from((5.0, 40.0))),
)


@settings(max_examples=examples(100))
@given(st.lists(_STEPS, max_size=12))
def test_each_takes_back_its_own_part_and_the_instance_goes_with_the_last(steps: list[tuple[Any, ...]]) -> None:
    it = Shared()
    for step, *given_ in steps:
        step(it, *given_)
        it.assert_agrees()


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("expires", [False, True])
def test_what_was_registered_natively_too_stays_when_consul_goes_and_lapses_by_its_own_lease(
    later: bool, restarts: bool, expires: bool
) -> None:
    it = Shared()
    if later:
        it.consul("a")
    it.native(False)
    if not later:
        it.consul("a")
    if restarts:
        it.restart()
    if expires:
        it.expire()
    else:
        it.deregister("a")
    it.assert_agrees()
    it.registry.advance(it.now + NATIVE_TTL, ALL)
    assert not it.registry.at(KEY).healthy(it.now + NATIVE_TTL)


def test_a_heartbeat_with_the_whole_registration_that_was_said_before_is_no_write_though_others_registered_it_too() -> (
    None
):
    it = Shared()
    spec = Registration.of("web", AT, 8080, ttl=NATIVE_TTL, checks=[{"tcp": True, "id": "own"}])
    it.consul("a")
    assert not is_said(it.registry.at(KEY).instance, spec)
    it.native(True)
    index = it.registry.index
    assert is_said(it.registry.at(KEY).instance, spec)
    it.native(True)
    assert it.registry.index == index
    assert not is_said(it.registry.at(KEY).instance, replace(spec, ttl=5.0))


def test_whoever_had_a_check_of_an_id_keeps_it_when_another_api_registers_one_of_that_id() -> None:
    it = Shared()
    it.consul("a")
    it.registry.register(Registration.of("web", AT, 8080, checks=[{"tcp": True, "id": "service:a"}]), it.now)
    instance = it.registry.at(KEY).instance
    said = {check.id: (check.kind, instance.said_by(check).health) for check in instance.spec.checks}
    assert said == {"10.0.0.1/a service:a": ("ttl", Health.PASSING), "service:a": ("tcp", Health.PASSING)}
    it.native(False)
    it.consul("a")
    assert [check.id for check in it.registry.at(KEY).instance.spec.checks] == ["10.0.0.1/a service:a"]
    it.deregister("a")
    assert it.registry.at(KEY).instance.spec.checks == ()


@pytest.mark.parametrize("ends", [lambda it: it.deregister("a"), Shared.cancel])
def test_what_an_import_knew_of_others_is_no_registration_of_theirs(ends: Callable[[Shared], None]) -> None:
    it = Shared()
    it.consul("a")
    it.eureka()
    words = {name: it.registry.at(KEY).instance.attachment(name) for name in ("consul", "eureka")}
    it = Shared()
    copy = Registration.of("web", AT, 8080, ttl=NATIVE_TTL, hold=60.0, imported_from="consul://old")
    it.registry.do(Register(copy, attachments=words), it.now)
    assert registrants(it.registry.at(KEY).instance) == {}
    it.native(False)
    it.ids, it.in_eureka = ["a"], True
    ends(it)
    it.restart()
    assert registrants(it.registry.at(KEY).instance).keys() == {NATIVE}
    it.wait(5.0, passing=False)
    it.consul("b")
    it.deregister("b")
    assert registrants(it.registry.at(KEY).instance).keys() == {NATIVE}
