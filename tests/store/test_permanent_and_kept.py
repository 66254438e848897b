"""Instances without a lease, and those that are known for some time after theirs."""

from __future__ import annotations

import pytest

from discovery.core.caller import Caller
from discovery.core.event import Kind
from discovery.core.instance import Registration
from discovery.core.status import Status
from discovery.store.errors import PermanentRefused, RegistryFull
from discovery.store.registration import Register
from discovery.store.service import NodeStatus
from tests.store.making import (
    ALL,
    INTERVAL,
    START,
    TTL,
    WALL,
    Log,
    a_brake,
    a_registry,
    crowd,
    ports,
    spec,
    status_of,
)

YEAR = 365 * 86400.0
KEEP = 3600.0


def permanent(port: int = 1) -> Registration:
    return spec(port=port, lease="none")


def kept(port: int = 1, keep: float = KEEP) -> Registration:
    return spec(port=port, keep=keep)


def test_one_without_a_lease_is_served_until_it_is_deregistered_and_after_a_restart() -> None:
    registry = a_registry()
    registry.register(permanent(), START, WALL)
    registry.advance(START + YEAR, ALL)
    assert ports(registry, START + YEAR) == [1]
    again = a_registry()
    again.load(registry.snapshot(START + YEAR, WALL + YEAR), START, WALL)
    again.advance(START + YEAR, ALL)
    assert ports(again, START + YEAR) == [1]
    again.deregister(permanent().key, "asked", START + YEAR)
    assert (len(again), set(again.liveness.permanent)) == (0, set()), "not even a zero: strangers have many addresses"


@pytest.mark.parametrize("most", [0, 2])
def test_more_without_a_lease_than_are_allowed_are_refused_by_who_asks(most: int) -> None:
    registry = a_registry()
    registry.max_permanent = most

    def register(port: int, by: Caller, spec_of: Registration | None = None) -> None:
        registry.carry_out(Register(spec_of or permanent(port)), START, WALL, by)

    one, two, shop = Caller("10.0.0.1"), Caller("10.0.0.2"), Caller("10.0.0.1", "shop")
    for port in range(1, most + 1):
        register(port, one)
    with pytest.raises(PermanentRefused, match="PERMANENT_PER_TOKEN" if most else "PERMANENT_ALLOWED"):
        register(3, one)
    register(3, one, spec(port=3))
    with pytest.raises(PermanentRefused):
        register(3, one)  # it beats so far
    if most:
        register(1, one)  # it is one already
        register(4, two)
        register(5, shop)
        register(1, one, spec(port=1))
        register(6, one)
    assert len(registry) == (6 if most else 1)


def test_a_node_that_falls_silent_makes_nobody_doubted_who_need_not_beat() -> None:
    registry = a_registry()
    node = NodeStatus("other")
    node.silent = True
    for port in (1, 2):
        registry.register(permanent(port) if port == 1 else spec(port=port), START).through = node
    assert [registry.at(spec(port=port).key).status_at(START) for port in (1, 2)] == [Status.HEALTHY, Status.SUSPECT]


def test_one_that_is_kept_is_in_no_answer_after_its_lease_and_a_heartbeat_brings_it_back() -> None:
    registry = a_registry()
    log = Log.of(registry)
    entry = registry.register(kept(), START, WALL)
    later = START + TTL + KEEP - INTERVAL
    registry.advance(later, ALL)
    assert (ports(registry, later), status_of(entry), entry.instance.lapsed_at) == ([], Status.UNHEALTHY, WALL + TTL)
    assert (len(registry), registry.living) == (1, 0)
    registry.renew(entry.instance.id, later)
    assert (ports(registry, later), entry.instance.lapsed_at, registry.living) == ([1], None, 1)
    registry.advance(later + TTL + KEEP + 2 * INTERVAL, ALL)
    assert (len(registry), registry.liveness.lapsed) == (0, 0)
    assert log.kinds() == [Kind.REGISTERED, Kind.UNHEALTHY, Kind.HEALTHY, Kind.UNHEALTHY, Kind.EXPIRED]


def test_after_a_restart_the_lapsed_are_lapsed_and_go_at_their_time() -> None:
    registry = a_registry()
    crowd(registry, 2)
    registry.register(kept(9), START, WALL)
    registry.advance(START + TTL, ALL)
    registry.renew(spec(port=1).key, START + TTL + 1)
    again = a_registry()
    away = 1000.0
    again.load(registry.snapshot(START + TTL + 1, WALL + TTL + 1), START, WALL + away)
    entry = again.at(kept(9).key)
    assert (status_of(entry), entry.since, again.living) == (Status.UNHEALTHY, WALL + TTL, 2)
    assert ports(again, START) == [1, 2], "others get a full lease"
    again.advance(START + KEEP - away + TTL - 1, ALL)
    assert again.find(kept(9).key) is entry
    again.advance(START + KEEP - away + TTL + 2 * INTERVAL, ALL)
    assert again.find(kept(9).key) is None


def test_the_lapsed_count_in_no_limit_and_make_way_first() -> None:
    registry = a_registry(max_instances=3, max_in_all=3)
    for port in (1, 2, 3):
        registry.register(kept(port), START + port)
    with pytest.raises(RegistryFull):
        registry.register(spec("other"), START + 4)
    registry.advance(START + 2 * TTL, ALL)
    for port in (4, 5, 6):
        registry.register(spec(port=port), START + 2 * TTL)
    assert ports(registry, START + 2 * TTL) == [4, 5, 6]
    with pytest.raises(RegistryFull):
        registry.register(spec("other"), START + 2 * TTL)


def test_the_lapsed_are_no_part_of_the_share_that_the_brake_holds() -> None:
    registry = a_registry(brake=a_brake(), max_instances=100)
    late = START
    for port in range(1, 31):  # one by one: they fall silent on their own
        registry.register(kept(port, 86400), late)
        late += 2 * TTL
        registry.advance(late, ALL)
    assert registry.living == 0
    for port in range(31, 37):
        registry.register(spec(port=port), late)
    for port in (31, 32, 33):
        registry.renew(spec(port=port).key, late + TTL / 2)
    registry.advance(late + TTL, ALL)
    assert len(ports(registry, late + TTL)) == 6, "3 of 6 that live fell silent, which is more than 30 %"


def test_so_many_are_kept_and_no_more() -> None:
    registry = a_registry(max_in_all=2)
    for number, port in enumerate((1, 2, 3)):
        now = START + number * 2 * TTL
        registry.register(kept(port), now)
        registry.advance(now + TTL, ALL)
    registry.advance(START + 6 * TTL + 2 * INTERVAL, ALL)
    assert len(registry) == 2
