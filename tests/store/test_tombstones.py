"""Deregistered is final: a heartbeat that was under way does not bring an instance back; only a registration does."""

from __future__ import annotations

import pytest

from discovery.core.errors import DiscoveryError
from discovery.core.event import Kind
from discovery.core.instance import Key
from discovery.store import values
from discovery.store.errors import Deregistered, ServiceFull
from discovery.store.values import Tombstones
from tests.driven import DrivenRegistry
from tests.store.making import START, TTL, WALL, Log, a_registry, crowd, spec

KEY = spec().key


def key(port: int) -> Key:
    return spec(port=port).key


def left_after(ttl: float | None) -> DrivenRegistry:
    registry = a_registry()
    registry.register(spec(ttl=ttl), START, WALL)
    registry.deregister(KEY, "asked", START + 1)
    return registry


@pytest.mark.parametrize(("ttl", "seconds"), [(None, TTL), (2.5, 2.5), (60, 60.0), (61, 60.0), (3600, 60.0)])
def test_a_whole_heartbeat_is_refused_for_a_lease_and_at_most_a_minute(ttl: float | None, seconds: float) -> None:
    registry = left_after(ttl)
    log = Log.of(registry)
    for after in (0.0, seconds - 0.125):
        with pytest.raises(Deregistered) as caught:
            registry.upsert(spec(ttl=ttl), START + 1 + after, WALL)
        assert caught.value.facts["retryAfterMs"] == 1000 * (seconds - after)
        assert f"{seconds - after:.1f} s" in str(caught.value)
    assert (len(registry), log.changes, registry.accepted["register"]) == (0, [], 1)
    registry.upsert(spec(ttl=ttl), START + 1 + seconds, WALL)
    assert log.kinds() == [Kind.REGISTERED]


def test_the_refusal_is_one_a_client_can_mend() -> None:
    registry = left_after(None)
    with pytest.raises(DiscoveryError, match=r"10\.0\.0\.1 port 80 of service web.*POST /register"):
        registry.upsert(spec("WEB"), START + 2, WALL)


def test_a_registration_that_is_refused_does_not_open_the_door() -> None:
    registry = a_registry(max_instances=2)
    crowd(registry, 2)
    registry.deregister(key(1), "asked", START)
    registry.register(spec(port=3), START, WALL)
    with pytest.raises(ServiceFull):
        registry.register(spec(port=1), START + 1, WALL)
    registry.deregister(key(3), "asked", START + 1)
    with pytest.raises(Deregistered):
        registry.upsert(spec(port=1), START + 2, WALL)


def test_a_whole_heartbeat_of_whom_nobody_knows_registers_it() -> None:
    registry = a_registry()
    assert registry.upsert(spec(id="mine"), START, WALL).instance.id == "mine"
    assert registry.accepted["upsert"] == 1


def test_one_buried_twice_is_buried_for_the_second_time() -> None:
    stones = Tombstones()
    stones.bury(KEY, 10.0, 0.0)
    stones.bury(KEY, 30.0, 9.0)
    assert (stones.left(KEY, 9.0), len(stones)) == (21.0, 1)
    stones.pop(KEY)
    stones.pop(KEY)
    assert (stones.left(KEY, 9.0), len(stones)) == (0.0, 0)


def test_those_whose_time_is_over_are_forgotten_as_others_come() -> None:
    stones = Tombstones()
    for second in range(1_000):
        stones.bury(key(second + 1), second + 60.0, float(second))
        assert len(stones) <= 62
    for port in range(1, 3_001):
        stones.bury(key(port), 1_060.0, 1_000.0)
    for second in range(2_000):
        stones.bury(Key("web", "10.0.0.2", second + 1), 1_200.0 + second, 1_100.0 + second)
    assert len(stones) < 1_000 + 200


def test_however_many_leave_at_once_only_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "MAX_TOMBSTONES", 100)
    stones = Tombstones()
    for port in range(1, 1001):
        stones.bury(key(port), 60.0, 0.0)
        assert len(stones) <= 100
    assert stones.left(key(900), 0.0) == 0.0
    assert stones.left(key(901), 0.0) == 60.0
