"""What concerns more instances than one commit holds: several commits, in several turns, and all of them in the end."""

from __future__ import annotations

from collections import Counter

from discovery.core.caller import Caller, Grants
from discovery.core.event import Kind
from discovery.core.maintenance import Scope, Window
from discovery.core.status import Status
from discovery.store.operations import Maintain
from discovery.store.registry import SETTLE_SECONDS
from discovery.store.transaction import MAX_EVENTS
from tests.driven import EXPIRE, DrivenRegistry
from tests.store.making import START, TTL, WALL, Log, a_brake, a_registry, braked, crowd, spec, words

SCOPE = Scope("web")
WINDOW = Window("upgrade", WALL + 600)
ZOE = Caller("10.0.0.3", "zoe", Grants(admin=True))


def statuses(registry: DrivenRegistry) -> Counter[str]:
    return Counter(words(registry).split())


def test_a_window_over_600_takes_all_of_them_out_in_commits_of_at_most_100_events() -> None:
    registry = a_registry(max_instances=1000)
    crowd(registry, 600)
    log = Log.of(registry)
    registry.maintain(SCOPE, WINDOW, START, WALL)
    assert statuses(registry) == {"maintenance": 600}
    assert all(len(commit.events) <= MAX_EVENTS for commit in log.commits)
    assert {commit.action for commit in log.commits} == {"maintain", "settle"}
    assert not registry.unsettled


def test_time_leaves_it_to_whoever_opened_it_and_finishes_it_when_he_has_gone() -> None:
    registry = a_registry(max_instances=1000)
    crowd(registry, 600, ttl=600)
    assert not registry.do(Maintain(SCOPE, WINDOW), START, WALL)
    before = statuses(registry)
    assert registry.advance(START + SETTLE_SECONDS / 2, wall=WALL) == 0
    assert statuses(registry) == before
    assert registry.next_deadline() == START + SETTLE_SECONDS
    registry.advance(START + SETTLE_SECONDS, wall=WALL)
    assert statuses(registry) == {"maintenance": 600}
    assert not registry.unsettled


def test_a_window_that_ends_by_itself_lets_all_of_them_back_without_a_pause() -> None:
    registry = a_registry(max_instances=1000)
    crowd(registry, 600, ttl=3600)
    registry.maintain(SCOPE, WINDOW, START, WALL)
    registry.advance(START + 601, wall=WALL + 601)
    assert statuses(registry) == {"healthy": 600}


def test_a_window_over_suspects_is_no_work_of_the_brakes() -> None:
    registry = braked(others=2000)
    entries = crowd(registry, 150)
    registry.advance(START + TTL)
    assert statuses(registry) == {"suspect": 150}
    assert not registry.do(Maintain(SCOPE, WINDOW), START + TTL, WALL)
    registry.advance(START + TTL + SETTLE_SECONDS)
    assert not any(entry.suspect(START + TTL + SETTLE_SECONDS) for entry in entries)
    assert not any(entry.brake_released for entry in entries)


def test_all_the_silent_ones_are_held_also_those_that_were_unhealthy_already() -> None:
    registry = braked(others=5000, max_instances=10_000)
    early = crowd(registry, 280)
    late = [registry.register(spec(ip="10.0.0.2", port=port), START + 4) for port in range(1, 281)]
    beating = [registry.register(spec(ip="10.0.0.3", port=port), START) for port in range(1, 561)]
    for now in (START + 5, START + 9, START + 13):
        for entry in beating:
            registry.renew(entry.instance.id, now)
        registry.advance(now)
    registry.advance(START + 10)
    registry.advance(START + 4 + TTL)
    assert {entry.status for entry in early + late} == {Status.SUSPECT}
    assert not registry.half_held


def test_the_brake_holds_a_thousand_in_commits_of_at_most_100_events() -> None:
    registry = a_registry(max_instances=1000, brake=a_brake(30))
    crowd(registry, 1000)
    log = Log.of(registry)
    registry.advance(START + TTL)
    assert statuses(registry) == {"suspect": 1000}
    assert log.kinds() == [Kind.SUSPECT] * 1000
    assert all(len(commit.events) <= MAX_EVENTS for commit in log.commits)


def test_a_mass_of_lapses_is_not_counted_once_for_each_when_the_clock_goes_on() -> None:
    """Each decision is a little later than the one before, as it is with a real clock."""
    registry = braked(others=5000, max_instances=10_000)
    for port in range(1, 1001):
        registry.register(spec(port=port, ttl=TTL if port <= 250 else 3600), START)
    service = registry.service("web")
    assert service is not None
    counted = set()
    for number in range(250):
        registry.do(EXPIRE, START + TTL + number * 1e-5)
        counted.add(service.calm_at)
    assert len(counted) <= 2
    assert statuses(registry)["unhealthy"] == 250
