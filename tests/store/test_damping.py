"""Flap damping: too many changes of health in a while, and an instance has to hold still for as long before it is healthy again."""

from __future__ import annotations

import pytest

from discovery.core.event import Kind
from discovery.core.maintenance import Scope, Window
from discovery.core.status import Status
from discovery.store.damping import Damping, Flaps
from discovery.store.service import Entry
from tests.driven import DrivenRegistry
from tests.store.making import ALL, START, WALL, Log, a_registry, ports, spec, status_of, words

DAMPING = Damping(changes=4, window=60.0)


def damped() -> tuple[DrivenRegistry, Entry]:
    registry = a_registry(damping=DAMPING)
    return registry, registry.register(spec(ttl=3600), START, WALL)


def toggle(registry: DrivenRegistry, entry: Entry, *times: float) -> None:
    """Its checks fail, pass, fail, … at these times."""
    for time in times:
        registry.advance(time, ALL)
        registry.checked(entry.instance.id, None if entry.instance.failing else "HTTP 503", time)


def test_as_many_changes_as_are_allowed_are_not_too_many() -> None:
    registry, entry = damped()
    toggle(registry, entry, 101, 102, 103, 104)
    assert status_of(entry) is Status.HEALTHY


def test_one_more_and_it_is_flapping_when_it_comes_back() -> None:
    registry, entry = damped()
    log = Log.of(registry)
    toggle(registry, entry, 101, 102, 103, 104, 105)
    assert status_of(entry) is Status.FAILING
    toggle(registry, entry, 106)
    assert status_of(entry) is Status.FLAPPING
    assert log.kinds()[-1] is Kind.FLAPPING
    assert "more than 4 times in 60 s" in log.changes[-1].reason


def test_it_is_healthy_again_after_a_quiet_window_and_not_before() -> None:
    registry, entry = damped()
    log = Log.of(registry)
    toggle(registry, entry, 101, 102, 103, 104, 105, 106)
    assert registry.next_deadline() == 166
    registry.advance(165.75, ALL)
    assert status_of(entry) is Status.FLAPPING
    registry.advance(166, ALL)
    assert status_of(entry) is Status.HEALTHY
    assert (log.kinds()[-1], log.changes[-1].reason) == (Kind.HEALTHY, "quiet for 60 s")


def test_changes_further_apart_than_the_window_are_no_flapping() -> None:
    registry, entry = damped()
    toggle(registry, entry, *[101 + 15.0 * number for number in range(20)])
    assert status_of(entry) is Status.HEALTHY
    toggle(registry, entry, *[500 + 14.5 * number for number in range(6)])
    assert status_of(entry) is Status.FLAPPING


def test_lapses_and_heartbeats_that_end_them_are_changes_and_others_are_not() -> None:
    registry = a_registry(damping=DAMPING, cleanup_interval=100.0)
    entry = registry.register(spec(ttl=1), START, WALL)
    for tick in range(200):
        registry.renew(entry.instance.id, START + tick / 4)
    assert status_of(entry) is Status.HEALTHY
    now = START + 50
    for lapses, expected in ((1, Status.HEALTHY), (2, Status.HEALTHY), (3, Status.FLAPPING)):
        now += 2 * bool(lapses)
        registry.advance(now, ALL)
        assert status_of(entry) is Status.UNHEALTHY
        registry.renew(entry.instance.id, now)
        assert status_of(entry) is expected


def test_one_that_flaps_and_goes_silent_is_unhealthy() -> None:
    registry = a_registry(damping=DAMPING)
    entry = registry.register(spec(), START, WALL)
    toggle(registry, entry, 101, 102, 103, 104, 105, 106)
    registry.advance(110, ALL)
    assert status_of(entry) is Status.UNHEALTHY
    assert ports(registry, 110) == []
    registry.renew(entry.instance.id, 111)
    assert status_of(entry) is Status.FLAPPING


def test_it_is_served_only_where_nothing_better_is_left() -> None:
    registry, entry = damped()
    other = registry.register(spec(port=81, ttl=3600), START, WALL)
    toggle(registry, entry, 101, 102, 103, 104, 105, 106)
    assert words(registry) == "flapping healthy"
    assert ports(registry, 107) == [81]
    registry.drain(other.instance.id, True, "asked", 107)
    assert ports(registry, 107) == [80]
    registry.drain(other.instance.id, False, "asked", 108)
    assert ports(registry, 108) == [81]


@pytest.mark.parametrize("change", ["drain", "maintain", "update"])
def test_what_people_do_is_no_flapping(change: str) -> None:
    registry, entry = damped()
    for turn in range(20):
        now = START + turn
        if change == "drain":
            registry.drain(entry.instance.id, turn % 2 == 0, "asked", now)
        elif change == "update":
            registry.register(spec(ttl=3600, metadata={"turn": turn}), now, WALL)
        elif turn % 2 == 0:
            registry.maintain(Scope("web"), Window("x", WALL + 1000), now, WALL)
        else:
            registry.end_maintenance(Scope("web"), "asked", now)
    assert status_of(entry) is Status.HEALTHY


def test_without_damping_nothing_flaps() -> None:
    registry = a_registry()
    entry = registry.register(spec(ttl=3600), START, WALL)
    toggle(registry, entry, *[101 + number / 8 for number in range(100)])
    assert (entry.status, entry.flaps) == (Status.HEALTHY, None)


def test_each_instance_has_flaps_of_its_own() -> None:
    registry, entry = damped()
    other = registry.register(spec(port=81, ttl=3600), START, WALL)
    toggle(registry, entry, 101, 102, 103, 104, 105, 106)
    toggle(registry, other, 106.5, 107)
    assert words(registry) == "flapping healthy"


def test_of_an_endless_row_of_changes_only_the_latest_are_kept() -> None:
    flaps = Flaps()
    for number in range(10_000):
        flaps.note(number / 1000, DAMPING)
    assert len(flaps._times) <= DAMPING.changes + 1
    assert flaps.until == 9.999 + 60.0


def test_a_change_while_it_flaps_begins_the_quiet_anew() -> None:
    """Only five changes in the last minute again, but the last of them half a second ago."""
    registry, entry = damped()
    toggle(registry, entry, 101, 102, 103, 104, 105, 106)
    toggle(registry, entry, 165, 165.5)
    registry.advance(166, ALL)
    assert status_of(entry) is Status.FLAPPING
    registry.advance(225.5, ALL)
    assert status_of(entry) is Status.HEALTHY
