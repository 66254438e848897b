"""A drain outlives the instance that fell silent in it."""

from __future__ import annotations

import pytest

from discovery.core.kinds import DrainEvent
from discovery.core.status import Status
from discovery.store import state
from discovery.store.errors import UnknownInstance
from discovery.store.operations import Drain
from discovery.store.registration import Deregister
from discovery.store.rules import DRAIN_REMEMBERED
from tests.driven import APART, DrivenRegistry
from tests.store.making import INTERVAL, START, TTL, Log, a_registry, spec

GONE = START + TTL + 2 * INTERVAL


def a_registry_that_has_lost_one() -> DrivenRegistry:
    registry = a_registry()
    entry = registry.register(spec(), START)
    registry.drain(entry.instance.id, True, "asked", START)
    registry.advance(GONE)
    assert len(registry) == 0
    return registry


@pytest.mark.parametrize("away", [0.0, DRAIN_REMEMBERED - 2 * INTERVAL - TTL - 1.0])
def test_one_that_comes_back_drains_again_since_then(away: float) -> None:
    registry = a_registry_that_has_lost_one()
    entry = registry.register(spec(), GONE + away)
    assert entry.status is Status.DRAINING
    assert entry.instance.draining_since == START + APART
    assert len(registry.drains) == 0


def test_after_a_day_it_is_forgotten() -> None:
    registry = a_registry_that_has_lost_one()
    assert registry.register(spec(), GONE + DRAIN_REMEMBERED).status is Status.HEALTHY


def test_undraining_the_absent_one_ends_it() -> None:
    registry = a_registry_that_has_lost_one()
    instance = registry.do(Drain(spec().key, False, "asked"), GONE)
    assert not instance.draining
    assert registry.register(spec(), GONE).status is Status.HEALTHY


def test_deregistering_the_absent_one_ends_it() -> None:
    registry = a_registry_that_has_lost_one()
    assert registry.do(Deregister(spec().key, "asked"), GONE).spec == spec()
    with pytest.raises(UnknownInstance):
        registry.do(Deregister(spec().key, "asked"), GONE)
    assert registry.register(spec(), GONE).status is Status.HEALTHY


def test_one_that_made_way_at_the_limit_is_remembered_too() -> None:
    registry = a_registry(max_instances=1)
    registry.drain(registry.register(spec(port=1), START).instance.id, True, "asked", START)
    registry.register(spec(port=2), START + TTL)
    assert [key.port for key in registry.drains] == [1]


def test_one_that_was_deregistered_is_not() -> None:
    registry = a_registry()
    entry = registry.register(spec(), START)
    registry.drain(entry.instance.id, True, "asked", START)
    registry.deregister(entry.instance.id, "asked", START)
    assert len(registry.drains) == 0


def test_each_is_told_of_by_an_event_of_its_own() -> None:
    registry = a_registry()
    log = Log.of(registry)
    registry.drain(registry.register(spec(), START).instance.id, True, "asked", START)
    registry.advance(GONE)
    registry.register(spec(), GONE)
    told = [event for commit in log.commits for event in commit.events if isinstance(event, DrainEvent)]
    assert [(event.before is None, event.after is None) for event in told] == [(True, False), (False, True)]


def test_they_are_bounded_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MAX_DRAINS", 3)
    registry = a_registry()
    for port in range(1, 6):
        registry.drain(registry.register(spec(port=port), START).instance.id, True, "asked", START)
    registry.advance(GONE)
    assert [key.port for key in registry.drains] == [3, 4, 5]
