"""Instances of one's own zone first: the share of the zone, who is added from elsewhere, and what that does to the load of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.caller import SERVER
from discovery.core.event import Commit, InstanceEvent, Kind
from discovery.core.maintenance import Scope, Window
from discovery.store.expiry import Expire
from discovery.store.nearness import MAX_MISSING, SECONDS, Missing, Near, _others, near
from discovery.store.service import Entry
from tests.driven import APART, DrivenRegistry
from tests.store.making import INTERVAL, START, TTL, a_brake, a_registry, an_entry, spec

ZONES = ("eu-a", "eu-b", "eu-c")


def a_house(each: int = 10, **settings: object) -> DrivenRegistry:
    """A service with so many instances in each of the zones."""
    registry = a_registry(max_instances=1000, **settings)
    for number, zone in enumerate(ZONES):
        for port in range(1, each + 1):
            registry.register(spec(ip=f"10.0.{number}.1", port=port, zone=zone.upper()), START)
    return registry


def of(registry: DrivenRegistry, zone: str = "eu-a", least: float = 0.7, now: float = START) -> Near | None:
    service = registry.service("web")
    assert service is not None
    entries = list(service.entries.values())
    return near(zone, entries, service.served(now), registry.missing.of("web", zone, now), least, now)


def found(registry: DrivenRegistry, zone: str = "eu-a", least: float = 0.7, now: float = START) -> Near:
    result = of(registry, zone, least, now)
    assert result is not None
    return result


def failing(registry: DrivenRegistry, count: int, zone: str = "eu-a") -> None:
    """So many of the zone fail their checks, the others pass."""
    entries = [entry for entry in registry if (entry.instance.spec.zone or "").lower() == zone]
    for number, entry in enumerate(entries):
        registry.checked(entry.instance.id, "refused" if number < count else None, START)


def silent(registry: DrivenRegistry, count: int, now: float) -> None:
    """So many of eu-a beat no more; all others do until `now`."""
    for at in range(int(START) + 1, int(now) + 1):
        for entry in list(registry):
            if entry.instance.spec.zone != "EU-A" or entry.instance.spec.port > count:
                registry.renew(entry.instance.id, at)
        registry.advance(at)


def places(entries: Iterable[Entry]) -> list[tuple[str | None, int]]:
    return [(entry.instance.spec.zone, entry.instance.spec.port) for entry in entries]


@pytest.mark.parametrize(
    ("each", "down", "least", "others", "text"),
    [
        (5, 0, 0.7, 0, "from eu-a: 5 of 5 are healthy here, so none is from elsewhere"),
        (10, 3, 0.7, 0, "from eu-a: 7 of 10 are healthy here, so none is from elsewhere"),
        (10, 4, 0.7, 1, "from eu-a: 6 of 10 are healthy here, so 1 in 10 are from elsewhere"),
        (10, 9, 0.7, 6, "from eu-a: 1 of 10 is healthy here, so 9 in 10 are from elsewhere"),
        (10, 10, 0.7, 20, "from eu-a: 0 of 10 are healthy here, so all are from elsewhere"),
        (5, 2, 1.0, 2, "from eu-a: 3 of 5 are healthy here, so 4 in 10 are from elsewhere"),
        (3, 1, 0.7, 0, "from eu-a: 2 of 3 are healthy here, so none is from elsewhere"),  # 95 %
        (2, 1, 0.7, 1, "from eu-a: 1 of 2 is healthy here, so 5 in 10 are from elsewhere"),
        (100, 99, 0.01, 0, "from eu-a: 1 of 100 is healthy here, so none is from elsewhere"),
    ],
)
def test_a_zone_is_filled_up_to_the_least_part_of_those_known(
    each: int, down: int, least: float, others: int, text: str
) -> None:
    registry = a_house(each)
    failing(registry, down)
    result = found(registry, least=least)
    assert (result.healthy, result.known, result.text) == (each - down, each, text)
    assert len(result.front) == each - down + others
    assert result.crosses == (others > 0)
    assert all(zone == "EU-A" for zone, _ in places(result.front[: each - down]))
    assert len(result.front) + len(result.behind) == 3 * each - down


@given(st.integers(1, 1000), st.integers(1, 1000), st.floats(0.01, 1))
def test_no_other_number_of_others_comes_nearer_to_the_share(own: int, more: int, least: float) -> None:
    needed = (own + more) * least
    share, others = min(1.0, own / needed), _others(own, needed)
    nearest = min(range(own + more + 1), key=lambda count: abs(own / (own + count) - share))
    assert abs(own / (own + others) - share) == pytest.approx(abs(own / (own + nearest) - share))


def test_others_are_added_one_by_one_and_stay() -> None:
    registry, before = a_house(), set[tuple[str | None, int]]()
    for down in range(10):
        failing(registry, down)
        others = {place for place in places(found(registry).front) if place[0] != "EU-A"}
        assert before <= others
        before = others
    assert found(registry).front == found(registry).front


def test_zones_get_different_others() -> None:
    registry = a_house()
    failing(registry, 8, "eu-a")
    failing(registry, 8, "eu-b")
    ours, theirs = (set(places(found(registry, zone).front)) for zone in ("eu-a", "eu-b"))
    assert {place for place in ours if place[0] == "EU-C"} != {place for place in theirs if place[0] == "EU-C"}


def test_there_is_no_preference_in_a_zone_with_fewer_than_two_or_with_nobody_elsewhere() -> None:
    registry = a_registry()
    registry.register(spec(port=1, zone="eu-a"), START)
    registry.register(spec(port=2, zone="eu-b"), START)
    registry.register(spec(port=3), START)
    assert of(registry) is None
    registry.register(spec(port=4, zone="eu-a"), START)
    assert places(found(registry).front) == [("eu-a", 1), ("eu-a", 4)]
    assert of(registry, "eu-x") is None
    registry.deregister(spec(port=2).key, "asked", START)
    registry.deregister(spec(port=3).key, "asked", START)
    assert of(registry) is None


def test_drained_ones_and_those_in_maintenance_are_known_and_those_that_left_are_not() -> None:
    registry = a_house(5)
    for port in (1, 2):
        registry.drain(spec(ip="10.0.0.1", port=port).key, True, "asked", START)
    registry.maintain(Scope("web", "10.0.0.1", 3), Window("upgrade", START + APART + 100), START)
    assert (found(registry).healthy, found(registry).known) == (2, 5)
    registry.deregister(spec(ip="10.0.0.1", port=1).key, "asked", START)
    assert (found(registry).healthy, found(registry).known) == (2, 4)


def test_who_was_removed_for_its_silence_is_known_until_somebody_comes_in_its_place_or_an_hour_is_over() -> None:
    registry = a_house()
    end = START + 2 * TTL + 2 * INTERVAL
    silent(registry, 6, end)
    assert len(registry) == 24
    assert (found(registry, now=end).healthy, found(registry, now=end).known) == (4, 10)
    registry.register(spec(ip="10.0.0.1", port=6, zone="eu-a"), end)  # it is back
    registry.register(spec(ip="10.0.0.9", port=1, zone="eu-a"), end)  # and another in the place of one
    assert (found(registry, now=end).healthy, found(registry, now=end).known) == (6, 10)
    assert end < found(registry, now=end).until <= end + SECONDS
    assert not registry.missing.of("web", "eu-a", end + SECONDS)
    assert not registry.missing


def test_who_went_before_the_start_is_missed_as_well_unless_somebody_has_come_since() -> None:
    registry, instances = a_house(4), [an_entry(port).instance for port in (1, 2, 3)]
    gone = [each._replace(spec=spec(ip="10.0.0.9", port=at, zone="eu-a")) for at, each in enumerate(instances, 1)]
    events = [InstanceEvent(Kind.EXPIRED, "web", each, None, "silent") for each in gone]
    events.append(InstanceEvent(Kind.REGISTERED, "web", None, gone[0], "back"))
    registry.missing.recall((event, START - 60) for event in events)
    assert (found(registry).healthy, found(registry).known) == (4, 6)
    assert found(registry).until == START - 60 + SECONDS


def test_who_is_kept_after_its_lease_is_not_known() -> None:
    registry = a_registry(max_instances=100)
    for port in (1, 2, 3):
        registry.register(spec(port=port, zone="eu-a", keep=60 if port == 3 else 0), START)
    registry.register(spec(port=9, zone="eu-b"), START)
    end = START + TTL
    for entry in list(registry):
        if entry.instance.spec.port != 3:
            registry.renew(entry.instance.id, end - 1)
    registry.advance(end)
    assert (found(registry, now=end).healthy, found(registry, now=end).known) == (2, 2)


def test_who_was_removed_because_it_failed_too_long_is_missed_too() -> None:
    registry = a_registry()
    for port in (1, 2, 3):
        registry.register(spec(port=port, zone="eu-a"), START)
    registry.register(spec(port=9, zone="eu-b"), START)
    service = registry.service("web")
    assert service is not None
    entry = next(iter(service.entries.values()))
    gone = InstanceEvent(Kind.DEREGISTERED, "web", entry.instance, None, "its checks failed for too long")
    registry.change(Commit(registry.index + 1, START + APART, SERVER, Expire.action, (gone,)), START)
    assert (found(registry).healthy, found(registry).known) == (2, 3)


def test_suspects_are_known_and_behind_unless_the_healthy_do_not_do() -> None:
    registry = a_house(4, brake=a_brake())
    end = START + TTL
    for entry in list(registry):
        if entry.instance.spec.zone == "EU-C" or entry.instance.spec.port == 4:
            registry.renew(entry.instance.id, end - 1)
    registry.advance(end)
    result = found(registry, now=end)
    assert (result.healthy, result.known, len(result.front)) == (1, 4, 3)
    assert [entry.suspect(end) for entry in result.behind] == [False] * 3 + [True] * 6
    for port in (1, 2, 3, 4):
        registry.deregister(spec(ip="10.0.2.1", port=port).key, "asked", end)
    result = found(registry, now=end)
    assert (len(result.front), result.behind) == (1 + 1 + 6, [])


def test_a_stranger_cannot_have_more_missed_than_there_is_room_for() -> None:
    missing = Missing()
    for number in range(MAX_MISSING + 100):
        instance = an_entry().instance
        missing.went("web", instance._replace(spec=spec(port=number % 60_000 + 1, zone=f"z{number // 10}")), START)
    held = sum(len(missing.of("web", f"z{number}", START)) for number in range(MAX_MISSING // 10 + 11))
    assert held == MAX_MISSING
    assert not missing.of("web", "z0", START)


# -- the proof: equal demand from three zones, one of which limps from 100 % to 0 and back


def limping() -> Iterator[int]:
    """How many of the ten fail."""
    yield from range(11)
    yield from range(9, -1, -1)


def loads(registry: DrivenRegistry) -> Counter[tuple[str | None, int]]:
    """Of each instance, in a third of a thousand requests: clients go to those in front in equal parts."""
    load: Counter[tuple[str | None, int]] = Counter()
    for zone in ZONES:
        front = found(registry, zone).front
        for place in places(front):
            load[place] += 1000 / len(ZONES) / len(front)  # type: ignore[assignment]  # parts of one
    return load


def test_while_the_share_is_one_nobody_has_more_than_half_again_the_mean_and_no_healthy_one_is_ever_starved() -> None:
    registry, shares = a_house(), list[bool]()
    for down in limping():
        failing(registry, down)
        load, healthy = loads(registry), 30 - down
        assert len(load) == healthy, "somebody healthy is asked by nobody"
        assert sum(load.values()) == pytest.approx(1000), "a request is lost"
        shares.append(not found(registry, "eu-a").crosses)
        if shares[-1]:
            assert max(load.values()) <= 1.5 * 1000 / healthy
        # Beyond that, those of the zone that limps have no more than when it began to, and who helps has no more than twice that.
        own = [part for (zone, _), part in load.items() if zone == "EU-A"]
        assert max(own, default=0.0) <= 1000 / 3 / 7 + 1e-9
        assert max(load.values()) <= 1000 / 3 / 10 + 1000 / 3 / 7 + 1e-9
    assert shares == [True] * 4 + [False] * 13 + [True] * 4


def test_by_silence_too_nobody_is_crushed_once_the_dead_are_removed() -> None:
    for down in range(10):
        registry, end = a_house(), START + 2 * TTL + 2 * INTERVAL
        silent(registry, down, end)
        assert len(registry) == 30 - down
        assert len(found(registry, now=end).front) >= 7
