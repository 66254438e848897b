"""Other settings are one event; how long each lease lasts follows from them, and nothing is told of an instance."""

from __future__ import annotations

import pytest

from discovery.core.event import InstanceEvent
from discovery.core.kinds import RegistrySettings, SettingsEvent
from discovery.core.status import Status
from discovery.store.operations import ChangeSettings
from tests.driven import DrivenRegistry
from tests.store.making import INTERVAL, START, TTL, Log, a_registry, spec


def change(registry: DrivenRegistry, **changed: float) -> None:
    registry.do(ChangeSettings(registry.settings._replace(**changed)), START)  # type: ignore[arg-type] # whole numbers too


def test_it_is_one_event_however_many_there_are_and_says_what_is_another_one() -> None:
    registry = a_registry(max_instances=5000)
    for port in range(1, 3000):
        registry.register(spec(port=port), START)
    log, before = Log.of(registry), registry.settings
    change(registry, heartbeat_timeout_seconds=30.0, max_services=7)
    [commit] = log.commits
    [event] = commit.events
    assert event == SettingsEvent(before, registry.settings, event.reason)
    assert event.reason == "HEARTBEAT_TIMEOUT_SECONDS was 10 and is 30, MAX_SERVICES was 1,000,000 and is 7"
    change(registry, max_services=7)
    assert len(log.commits) == 1, "the same again says nothing"


def test_leases_are_longer_or_shorter_at_once_whenever_they_began_and_those_of_their_own_stay() -> None:
    registry = a_registry()
    told: list[str | None] = []
    registry.staleness_followers.append(told.append)
    entry, own = registry.register(spec(port=1), START), registry.register(spec(port=2, ttl=20), START)
    change(registry, heartbeat_timeout_seconds=30.0)
    assert (entry.lease.expires_at - START, own.lease.expires_at - START) == (30, 20)
    change(registry, heartbeat_timeout_seconds=4.0)
    assert not entry.healthy(START + 4)
    change(registry, etcd_flush_seconds=1.0)
    assert (entry.lease.ttl, own.lease.ttl) == (6, 22), "two batches of heartbeats longer"
    assert len(told) == 3, "who keeps answers ready drops them"
    later = registry.register(spec(port=3), START + 1)
    assert later.lease.ttl == 6
    change(registry, max_services=7)
    assert len(told) == 3


@pytest.mark.parametrize("count", [1, 2500])
def test_of_shorter_leases_the_reaper_hears_when_they_end(count: int) -> None:
    registry = a_registry(lease_ttl=600.0, max_instances=5000)
    for port in range(1, count + 1):
        registry.register(spec(port=port), START)
    change(registry, heartbeat_timeout_seconds=TTL)
    assert registry.next_deadline() == float("-inf"), "the queue is looked through first"
    log = Log.of(registry)
    registry.advance(START + TTL + INTERVAL / 2)
    lapsed = [event for commit in log.commits for event in commit.events if isinstance(event, InstanceEvent)]
    assert {event.instance.status for event in lapsed} == {Status.UNHEALTHY}
    assert len(lapsed) == count
    deadline = registry.next_deadline()
    assert deadline is not None
    assert deadline > START + TTL


def test_what_they_were_comes_back_with_the_state() -> None:
    registry, other = a_registry(), a_registry(lease_ttl=33.0)
    registry.load(other.snapshot(START, START), START, START)
    assert registry.settings == RegistrySettings(33.0, other.settings.max_instances_per_service, 1_000_000, 10_000_000)
    assert registry.register(spec(), START).lease.ttl == 33.0
