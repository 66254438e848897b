"""The three moments of a lease, to the instant: unhealthy, healthy again, expired. And what a heartbeat costs: nothing.

A lease of 10 s taken at 100 runs out at 110; cleanups run at 100, 105, 110, … (`making`).
"""

from __future__ import annotations

import math
import sys

import pytest

from discovery.core.event import Kind
from discovery.core.instance import Key
from discovery.core.status import Status
from discovery.store.errors import UnknownInstance
from tests.driven import EXPIRE, DrivenRegistry
from tests.store.making import ALL, INTERVAL, START, TTL, WALL, Log, a_registry, spec

KEY = Key("web", "10.0.0.1", 80)
RUNS_OUT = START + TTL


def healthy(registry: DrivenRegistry, now: float) -> int:
    service = registry.service("web")
    return len(service.healthy(now)) if service else 0


def test_it_is_healthy_to_the_last_instant_and_unhealthy_from_the_next() -> None:
    registry = a_registry()
    registry.register(spec(), START, WALL)
    assert healthy(registry, math.nextafter(RUNS_OUT, 0)) == 1
    assert healthy(registry, RUNS_OUT) == 0
    assert len(registry) == 1  # listed, though nobody has told the registry the time


def test_each_moment_is_one_change_at_its_time() -> None:
    registry = a_registry()
    log = Log.of(registry)
    registry.register(spec(), START, WALL)
    seen: list[tuple[float, Kind]] = []
    now = START
    while (deadline := registry.next_deadline()) is not None:
        assert deadline > now, "the same moment twice"
        now = deadline
        registry.advance(math.nextafter(now, 0), ALL)
        assert log.kinds() == [Kind.REGISTERED, *(kind for _, kind in seen)], "too early"
        registry.advance(now, ALL)
        seen += [(now, change.kind) for change in log.changes[1 + len(seen) :]]
    assert seen == [(110.0, Kind.UNHEALTHY), (115.0, Kind.EXPIRED)]
    assert [change.index for change in log.changes] == [1, 2, 3]


@pytest.mark.parametrize(
    ("taken", "ttl", "removed"),
    [
        (100.0, 10.0, 115.0),  # unhealthy from 110, for one interval at 115
        (100.5, 10.0, 120.0),  # from 110.5; at 115 for 4.5 s only
        (104.5, 10.0, 120.0),
        (105.0, 10.0, 120.0),
        (100.0, 1.0, 110.0),
        (100.0, 4.75, 110.0),
        (100.0, 5.0, 110.0),
        (100.0, 5.25, 115.0),
        (104.0, 1.0, 110.0),
    ],
)
def test_the_first_cleanup_that_finds_it_unhealthy_for_an_interval_removes_it(
    taken: float, ttl: float, removed: float
) -> None:
    registry = a_registry()
    log = Log.of(registry)
    registry.register(spec(ttl=ttl), taken, WALL)
    registry.advance(taken + ttl, ALL)
    registry.advance(math.nextafter(removed, 0), ALL)
    assert log.kinds() == [Kind.REGISTERED, Kind.UNHEALTHY]
    assert registry.next_deadline() == removed
    registry.advance(removed, ALL)
    assert log.kinds() == [Kind.REGISTERED, Kind.UNHEALTHY, Kind.EXPIRED]
    assert removed % INTERVAL == START % INTERVAL


def test_cleanups_are_counted_from_the_start_of_the_registry() -> None:
    registry = a_registry(started_at=102.25)
    registry.register(spec(), 103.0, WALL)
    registry.advance(113.0, ALL)
    assert registry.next_deadline() == 122.25  # 117.25 finds it unhealthy for 4.25 s


def test_a_heartbeat_before_the_cleanup_makes_it_healthy_again() -> None:
    registry = a_registry()
    log = Log.of(registry)
    entry = registry.register(spec(), START, WALL)
    registry.advance(RUNS_OUT, ALL)
    assert registry.renew(KEY, 114.5) is entry
    assert log.kinds() == [Kind.REGISTERED, Kind.UNHEALTHY, Kind.HEALTHY]
    assert healthy(registry, 124.25) == 1
    assert healthy(registry, 124.5) == 0
    registry.advance(124.25, ALL)
    assert log.kinds()[3:] == []
    registry.advance(124.5, ALL)
    registry.advance(130.0, ALL)
    assert log.kinds()[3:] == [Kind.UNHEALTHY, Kind.EXPIRED]


def test_a_heartbeat_after_the_cleanup_is_of_an_unknown_instance() -> None:
    registry = a_registry()
    entry = registry.register(spec(), START, WALL)
    registry.advance(115.0, ALL)
    with pytest.raises(UnknownInstance, match=r"10\.0\.0\.1.*80.*web"):
        registry.renew(KEY, 115.0)
    with pytest.raises(UnknownInstance, match=entry.instance.id):
        registry.renew(entry.instance.id, 115.0)


def test_a_lapse_that_nobody_advanced_over_is_published_before_the_heartbeat_that_ends_it() -> None:
    registry = a_registry()
    log = Log.of(registry)
    registry.register(spec(), START, WALL)
    registry.renew(KEY, RUNS_OUT)
    assert log.kinds() == [Kind.REGISTERED, Kind.UNHEALTHY, Kind.HEALTHY]


def test_registering_again_makes_it_healthy_as_a_heartbeat_does() -> None:
    registry = a_registry()
    log = Log.of(registry)
    registry.register(spec(), START, WALL)
    registry.register(spec(), 112.0, WALL + 12)
    assert log.kinds() == [Kind.REGISTERED, Kind.UNHEALTHY, Kind.HEALTHY]
    assert healthy(registry, 121.75) == 1


def test_a_late_advance_removes_at_once_what_is_overdue() -> None:
    registry = a_registry()
    log = Log.of(registry)
    registry.register(spec(), START, WALL)
    registry.advance(10_000.0, ALL)
    assert log.kinds() == [Kind.REGISTERED, Kind.UNHEALTHY, Kind.EXPIRED]
    assert (len(registry), registry.next_deadline(), registry.cleanups) == (0, None, 1)


def test_advance_publishes_no_more_than_its_limit_and_goes_on_where_it_stopped() -> None:
    registry = a_registry(max_instances=100)
    log = Log.of(registry)
    for port in range(1, 51):
        registry.register(spec(port=port), START, WALL)
    log.take()
    for turn in range(1, 26):
        registry.advance(RUNS_OUT, 2)
        assert log.kinds() == [Kind.UNHEALTHY] * 2 * turn
    assert registry.next_deadline() == 115.0


def test_a_shorter_ttl_at_re_registration_counts_from_then_on() -> None:
    registry = a_registry()
    log = Log.of(registry)
    registry.register(spec(ttl=3600), START, WALL)
    registry.register(spec(ttl=2), 101.0, WALL)
    assert registry.next_deadline() == 103.0
    registry.advance(103.0, ALL)
    assert log.kinds() == [Kind.REGISTERED, Kind.UPDATED, Kind.UNHEALTHY]


def test_a_longer_ttl_at_re_registration_keeps_it_alive() -> None:
    registry = a_registry()
    log = Log.of(registry)
    registry.register(spec(ttl=2), START, WALL)
    registry.register(spec(ttl=3600), 101.0, WALL)
    registry.advance(3700.5, ALL)
    assert log.kinds() == [Kind.REGISTERED, Kind.UPDATED]
    assert registry.next_deadline() == 3701.0


def test_an_update_is_told_with_the_lease_that_goes_with_it() -> None:
    """The reaper looks at the deadlines when a change comes: by the last one of a write they must be in place."""
    registry = a_registry()
    registry.register(spec(ttl=3600), START, WALL)
    deadlines: list[float | None] = []
    registry.followers.append(lambda change: deadlines.append(registry.next_deadline()))
    registry.register(spec(ttl=2), 101.0, WALL)
    assert deadlines[-1] == 103.0


def test_a_heartbeat_is_no_change_and_leaves_the_queue_alone() -> None:
    registry = a_registry(max_instances=3)
    entries = [registry.register(spec(port=port), START, WALL) for port in (80, 81, 82)]
    log = Log.of(registry)
    held = [sys.getrefcount(entry) for entry in entries]  # every row of the queue refers to its entry
    for tick in range(1, 10_000):
        registry.renew(KEY, START + tick / 1024)
        registry.renew(entries[1].instance.id, START + tick / 1024)
    assert [sys.getrefcount(entry) for entry in entries] == held
    assert (log.changes, registry.index) == ([], 3)
    assert registry.next_deadline() == RUNS_OUT  # looked at when it is up, not before
    registry.advance(RUNS_OUT, ALL)
    assert [change.instance for change in log.changes] == [entries[2].instance]
    registry.deregister(entries[2].instance.spec.key, "test", START + TTL)
    assert registry.next_deadline() == entries[0].lease.expires_at == START + 9_999 / 1024 + TTL
    assert registry.renewals == 2 * 9_999


def test_leases_that_were_renewed_are_put_off_some_at_a_time() -> None:
    """After a start all leases end at once: 100,000 that were renewed meanwhile held the event loop for 230 ms."""
    registry = a_registry(max_instances=10_000)
    entries = [registry.register(spec(port=port), START) for port in range(1, 2_001)]
    for entry in entries[:-1]:
        registry.renew(entry.instance.id, START + 5)
    now = START + TTL
    put_off = [0]
    while not registry.do(EXPIRE, now):
        put_off.append(sum(entry.due != now for entry in entries))
        assert 0 < put_off[-1] - put_off[-2] <= 500
        deadline = registry.next_deadline()
        assert deadline is not None
        assert deadline <= now  # so that whoever advances it comes again
    assert [entry.status for entry in entries].count(Status.UNHEALTHY) == 1
    assert put_off[-1] >= 1_000
