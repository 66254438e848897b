"""Pages of services and the count of unhealthy instances: kept beside the table, so judged by counting anew."""

from __future__ import annotations

from bisect import bisect_right

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from discovery.core.errors import DiscoveryError
from discovery.core.status import Status
from tests.examples import examples
from tests.store.making import ALL, START, a_registry, spec

NAMES = st.sampled_from(["a", "A", "b", "B-1", "b_1", "b1", "c", "Zebra", "z", "0", "10", "9", "a-a", "aa"])
PORTS = st.integers(1, 5)


class Pages(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.now = START
        self.registry = a_registry(max_instances=3)

    @rule(name=NAMES, port=PORTS, ttl=st.sampled_from([None, 1, 2.5]))
    def register(self, name: str, port: int, ttl: float | None) -> None:
        try:
            self.registry.register(spec(name, port=port, ttl=ttl), self.now, 0.0)
        except DiscoveryError:
            assert len(self.registry.services[name.lower()].healthy(self.now)) == 3

    @rule(name=NAMES, port=PORTS)
    def renew(self, name: str, port: int) -> None:
        try:
            self.registry.renew(spec(name, port=port).key, self.now)
        except DiscoveryError:
            self.assert_absent(name, port)

    @rule(name=NAMES, port=PORTS)
    def deregister(self, name: str, port: int) -> None:
        try:
            self.registry.deregister(spec(name, port=port).key, "test", self.now)
        except DiscoveryError:
            self.assert_absent(name, port)

    @rule(name=NAMES)
    def deregister_service(self, name: str) -> None:
        try:
            self.registry.deregister_service(name, "test", self.now)
        except DiscoveryError:
            assert name.lower() not in self.registry.services

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.5, 5.0, 10.0, 20.0]), limit=st.sampled_from([0, 1, 2, ALL]))
    def time_passes(self, seconds: float, limit: int) -> None:
        self.now += seconds
        self.registry.advance(self.now, limit)

    def assert_absent(self, name: str, port: int) -> None:
        service = self.registry.service(name)
        assert service is None or ("10.0.0.1", port) not in service.entries

    @invariant()
    def the_unhealthy_are_as_many_as_are_marked(self) -> None:
        told = self.registry.liveness.counts
        assert told[Status.UNHEALTHY] == sum(entry.status is Status.UNHEALTHY for entry in self.registry)

    @invariant()
    def after_the_reaper_those_marked_are_those_whose_lease_ran_out(self) -> None:
        self.registry.advance(self.now, ALL)
        assert self.registry.liveness.counts[Status.UNHEALTHY] == sum(
            not entry.lease.alive(self.now) for entry in self.registry
        )
        assert sum(self.registry.liveness.counts.values()) == len(self.registry)

    @invariant()
    def pages_follow_the_sorted_names(self) -> None:
        names = sorted(self.registry.services)
        for limit in (1, 2, 100):
            found: list[str] = []
            while page := self.registry.page(found[-1] if found else "", limit):
                assert len(page) <= limit
                found += [service.name.lower() for service in page]
            assert found == names
        for after in ("", "a", "A", "a-", "b", "m", "~", "\xe9"):
            expected = names[bisect_right(names, after.lower()) :][:3]
            assert [service.name.lower() for service in self.registry.page(after, 3)] == expected
        assert self.registry.page("", 0) == []


Pages.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=30)
TestPages = Pages.TestCase
