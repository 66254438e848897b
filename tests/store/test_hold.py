"""Instances that are held as suspects after their lease, and those that are copies of another registry's until they come themselves."""

from __future__ import annotations

from typing import Any

import pytest

from discovery.core.caller import Caller, Grants
from discovery.core.errors import Forbidden
from discovery.core.event import Kind
from discovery.core.health import Finding, Health
from discovery.core.instance import Registration
from discovery.core.status import Status
from discovery.plugins.auth import authorize
from discovery.store.errors import ServiceFull, TakenOver
from discovery.store.explain import account
from discovery.store.losses import silent_imports
from discovery.store.registration import Deregister, Register, Report, Upsert
from discovery.store.write import Write
from tests.driven import DrivenRegistry
from tests.store.making import ALL, INTERVAL, START, TTL, WALL, Log, a_brake, a_registry, crowd, ports, spec, status_of

HOLD = 3600.0
OLD, OTHER = "consul://old:8500", "eureka://old:8761/eureka"


def held(port: int = 1, hold: float = HOLD, **more: Any) -> Registration:
    return spec(port=port, hold=hold, **more)


def copy(port: int = 1, origin: str = OLD, **more: Any) -> Registration:
    return held(port, imported_from=origin, **more)


@pytest.fixture
def registry() -> DrivenRegistry:
    return a_registry()


@pytest.mark.parametrize("is_told", [True, False], ids=["told", "before the reaper comes by"])
def test_after_its_lease_it_is_a_suspect_for_so_long_and_not_a_moment_longer(
    registry: DrivenRegistry, is_told: bool
) -> None:
    entry, over = registry.register(held(), START, WALL), START + TTL + HOLD
    registry.register(spec(port=2, ttl=3600, keep=0), START, WALL)

    def at(now: float) -> list[int]:
        if is_told:
            registry.advance(now, ALL)
        return ports(registry, now)

    assert at(START + TTL - 0.125) == [1, 2]
    for now in (START + TTL, over - 0.125):
        registry.renew(spec(port=2).key, now - 0.125)
        assert at(now) == [2, 1], "behind the healthy one"
        assert entry.status_at(now) is Status.SUSPECT
        assert entry.effective_lease(now).expires_at == over
        found = account(registry, registry.services["web"], entry, now, float, True)
        assert (
            found.why == "its lease ran out: it is held for 3600 s, as its registration asks, behind the healthy ones"
        )
        assert (found.until, found.served, found.next) == (over, True, "without a heartbeat it leaves the answers")
    assert at(over) == [2]
    registry.advance(over + INTERVAL, ALL)
    assert registry.find(held().key) is None


def test_a_beat_brings_it_back_and_it_is_held_again(registry: DrivenRegistry) -> None:
    entry, log = registry.register(held(), START, WALL), Log.of(registry)
    registry.advance(START + TTL, ALL)
    registry.renew(held().key, START + 100)
    assert status_of(entry) is Status.HEALTHY
    registry.advance(START + 100 + TTL, ALL)
    registry.advance(START + 100 + TTL + HOLD, ALL)
    assert log.kinds() == [Kind.SUSPECT, Kind.HEALTHY, Kind.SUSPECT, Kind.UNHEALTHY]


@pytest.mark.parametrize("how", ["drain", "check", "word"])
def test_who_is_not_in_the_answers_is_not_held(registry: DrivenRegistry, how: str) -> None:
    entry = registry.register(held(), START, WALL)
    if how == "drain":
        registry.drain(entry.instance.id, True, "asked", START)
    elif how == "check":
        registry.checked(entry.instance.id, "HTTP 503", START)
    else:
        registry.do(Report(entry.instance.id, Finding(Health.FAILING)), START)
    assert ports(registry, START + TTL) == []
    registry.advance(START + TTL, ALL)
    assert status_of(entry) is Status.UNHEALTHY


def test_those_that_are_held_are_no_part_of_the_brake(registry: DrivenRegistry) -> None:
    """A thousand copies whose old registry is away say nothing of the network between here and everybody else."""
    registry = a_registry(brake=a_brake(), max_instances=10_000)
    for port in range(1, 51):
        registry.register(held(port), START, WALL)
    [stays, goes] = crowd(registry, 2, "api", ttl=TTL * 2)
    registry.advance(START + TTL, ALL)
    assert registry.services["web"].hold is None
    registry.renew(stays.instance.id, START + TTL)
    registry.advance(START + TTL * 2, ALL)
    assert (status_of(stays), status_of(goes)) == (Status.HEALTHY, Status.UNHEALTHY)
    registry.deregister(held(1).key, "asked", START + TTL * 2)
    registry.renew(held(2).key, START + TTL * 2)
    registry.advance(START + TTL + HOLD, ALL)
    assert [entry.instance.status for entry in registry if entry.instance.spec.hold] == [
        Status.SUSPECT,
        *[Status.UNHEALTHY] * 48,
    ]


def test_a_node_that_starts_later_holds_it_too(registry: DrivenRegistry) -> None:
    registry.register(held(), START, WALL)
    registry.advance(START + TTL, ALL)
    other = a_registry()
    other.load(registry.snapshot(START + TTL, WALL + TTL), START, WALL + TTL, goes_on=True)
    assert ports(other, START + HOLD - 1) == [1]
    other.advance(START + HOLD, ALL)
    assert ports(other, START + HOLD) == []


def test_copies_that_nobody_renews_are_warned_of_by_where_they_are_from_and_not_as_the_brakes(
    registry: DrivenRegistry,
) -> None:
    for port, origin in ((1, OLD), (2, OLD), (3, OTHER)):
        registry.register(copy(port, origin), START, WALL)
    registry.renew(copy(2).key, START + TTL - 1)  # it has come itself
    restarted = a_registry()
    for each in (registry, restarted):
        if each is restarted:
            restarted.load(registry.snapshot(START, WALL), START, WALL, goes_on=True)
        copies = each.liveness.copies
        assert not silent_imports(copies)
        each.do(Register(copy(3, OTHER)), START + TTL - 1)
        each.advance(START + TTL, ALL)
        assert {origin: text.partition(" are ")[0] for origin, text in silent_imports(copies).items()} == {
            OLD: f"1 of 1 copies from {OLD}"
        }
        assert not any(concern.check() for concern in each.losses.concerns(lambda: WALL + TTL))
        assert copies == {(OLD, Status.SUSPECT): 1, (OTHER, Status.HEALTHY): 1}
        each.do(Register(copy(1)), START + TTL)
        assert not silent_imports(copies)


def test_to_be_held_and_to_import_is_an_admins(registry: DrivenRegistry) -> None:
    web = Caller("10.0.0.9", "web", Grants(register=("web",)))
    for each in (held(), copy(2, hold=0)):
        with pytest.raises(Forbidden):
            registry.carry_out(Register(each), START, WALL, web, [authorize])
        registry.carry_out(Register(each), START, WALL, Caller("10.0.0.9", "boss", Grants(admin=True)), [authorize])
        registry.carry_out(Register(spec(port=each.port)), START, WALL, web, [authorize])


@pytest.mark.parametrize(
    "how", [Register(spec(port=1)), Upsert(spec(port=1)), None, Report(spec(port=1).key, Finding(Health.WARNING))]
)
def test_a_copy_is_its_own_from_the_first_registration_or_beat_on(
    registry: DrivenRegistry, how: Write[object] | None
) -> None:
    registry.do(Register(copy()), START)
    entry, index = registry.at(copy().key), registry.index
    registry.do(Register(copy()), START + 1)
    assert (registry.index, entry.lease.renewed_at) == (index, START + 1), "the import renews it, and that is no change"
    if how is None:
        registry.renew(copy().key, START + 2)
    else:
        registry.do(how, START + 2)
    assert (entry.instance.spec, entry.lease.renewed_at) == (spec(port=1), START + 2)
    assert registry.index == index + 1, "in the same commit"
    for write in (Register(copy(weight=7)), Deregister(copy().key, "gone there", OLD)):
        with pytest.raises(TakenOver, match="registers or beats here itself"):
            registry.do(write, START + 3)
    registry.advance(START + 2 + TTL, ALL)
    registry.do(Register(copy()), START + 2 + TTL)
    assert entry.instance.spec == copy(), "once it has fallen silent here, what is known there counts"


def test_an_import_touches_only_what_it_brought(registry: DrivenRegistry) -> None:
    registry.do(Register(copy()), START)
    with pytest.raises(TakenOver, match=OLD):
        registry.do(Register(copy(origin=OTHER)), START)
    with pytest.raises(TakenOver, match=OLD):
        registry.do(Deregister(copy().key, "gone there", OTHER), START)
    registry.do(Deregister(copy().key, "gone there", OLD), START)
    registry.do(Register(copy()), START)
    registry.deregister(copy().key, "it has ended", START)
    registry.do(Register(copy()), START + 1)  # it has gone back to the old registry
    entry = registry.at(copy().key)
    registry.advance(START + 1 + TTL, ALL)
    assert entry.instance.status is Status.SUSPECT
    registry.do(Register(copy(origin=OTHER)), START + 1 + TTL)
    assert entry.instance.spec == copy(origin=OTHER), "of whose import nothing is heard, another brings anew"


def test_a_service_with_a_copy_has_a_limit_of_its_own() -> None:
    registry = a_registry(max_instances=2)
    registry.face_max_instances, registry.max_permanent = 4, 0
    for port in (1, 2):
        registry.register(spec(port=port), START, WALL)
    with pytest.raises(ServiceFull, match="MAX_INSTANCES_PER_SERVICE"):
        registry.register(spec(port=3), START, WALL)
    registry.do(Register(spec(port=3, lease="none", imported_from=OLD)), START)
    registry.do(Register(spec(port=4)), START)
    for each in (spec(port=5), copy(5)):
        with pytest.raises(ServiceFull, match="FACE_MAX_INSTANCES"):
            registry.do(Register(each), START)
    assert not registry.liveness.permanent
