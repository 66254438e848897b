"""Drain: out of answers at once, alive as before, until it is undone; and what active checks say, which works alike."""

from __future__ import annotations

import pytest

from discovery.core.event import Kind
from discovery.core.maintenance import Scope, Window
from discovery.core.status import Status
from discovery.store.errors import UnknownInstance
from tests.driven import DrivenRegistry
from tests.store.making import ALL, START, TTL, WALL, Log, a_registry, crowd, ports, spec, status_of, words

KEY = spec(port=2).key


def of_three() -> tuple[DrivenRegistry, Log]:
    registry = a_registry()
    crowd(registry, 3)
    return registry, Log.of(registry)


@pytest.mark.parametrize("by_id", [False, True])
def test_one_that_drains_is_in_no_answer_from_that_moment_on(by_id: bool) -> None:
    registry, log = of_three()
    entry = registry.drain(registry.at(KEY).instance.id if by_id else KEY, True, "asked for by 10.9.9.9", START)
    assert (entry.status, entry.instance.draining) == (Status.DRAINING, True)
    assert ports(registry, START) == [1, 3]
    assert [(change.kind, change.reason) for change in log.changes] == [(Kind.DRAINING, "asked for by 10.9.9.9")]
    assert log.changes[0].instance.draining


def test_it_goes_on_beating_and_is_not_removed() -> None:
    registry, log = of_three()
    registry.drain(KEY, True, "asked", START)
    for second in range(60):
        registry.advance(START + second, ALL)
        registry.renew(KEY, START + second)
    assert status_of(registry.at(KEY)) is Status.DRAINING
    assert [change.instance.spec.port for change in log.changes if change.kind is Kind.EXPIRED] == [1, 3]


def test_without_heartbeats_it_is_unhealthy_and_removed_as_any_other() -> None:
    registry, log = of_three()
    registry.drain(KEY, True, "asked", START)
    registry.advance(START + TTL, ALL)
    assert words(registry) == "unhealthy unhealthy unhealthy"
    registry.advance(START + 100, ALL)
    assert (len(registry), log.kinds().count(Kind.EXPIRED)) == (0, 3)


def test_undone_it_is_back_at_once() -> None:
    registry, log = of_three()
    registry.drain(KEY, True, "asked", START)
    registry.drain(KEY, False, "asked", START + 1)
    assert ports(registry, START + 1) == [1, 2, 3]
    assert log.kinds() == [Kind.DRAINING, Kind.HEALTHY]
    assert not log.changes[-1].instance.draining


def test_twice_is_once() -> None:
    registry, log = of_three()
    registry.drain(KEY, False, "asked", START)
    registry.drain(KEY, True, "asked", START)
    registry.drain(KEY, True, "asked", START)
    registry.drain(KEY, True, "asked", START + 7)
    assert log.kinds() == [Kind.DRAINING]
    assert registry.at(KEY).instance.draining_since == WALL


@pytest.mark.parametrize("version", [1, 2])
def test_it_outlasts_another_registration(version: int) -> None:
    registry, log = of_three()
    registry.drain(KEY, True, "asked", START)
    registry.register(spec(port=2, metadata={"v": version}), START + 1, WALL)
    registry.register(spec(port=2, metadata={"v": 1}), START + 2, WALL)
    assert (registry.at(KEY).status, registry.at(KEY).instance.draining) == (Status.DRAINING, True)
    assert Kind.HEALTHY not in log.kinds()


def test_it_outlasts_a_restart_and_not_a_deregistration() -> None:
    registry, _ = of_three()
    drained = registry.drain(KEY, True, "asked", START).instance
    later = a_registry(index=77)
    log = Log.of(later)
    (entry,) = later.restore(drained, now=START)
    assert (entry.status, later.service("web") is not None) == (Status.DRAINING, True)
    assert log.kinds() == [Kind.RESTORED]
    assert log.changes[0].instance.status is Status.DRAINING
    later.deregister(KEY, "asked", START)
    assert later.register(spec(port=2), START, WALL).status is Status.HEALTHY


def test_one_that_is_unhealthy_can_be_drained_and_is_told_to_be_when_it_beats() -> None:
    registry, log = of_three()
    registry.advance(START + TTL, ALL)
    log.take()
    registry.drain(KEY, True, "asked", START + TTL)
    assert (log.kinds(), registry.at(KEY).status) == ([Kind.UPDATED], Status.UNHEALTHY)
    registry.renew(KEY, START + 11)
    assert status_of(registry.at(KEY)) is Status.DRAINING
    assert ports(registry, START + 11) == []


def test_a_lapse_that_nobody_was_told_of_comes_before_the_drain() -> None:
    registry, log = of_three()
    registry.drain(KEY, True, "asked", START + TTL)
    assert log.kinds() == [Kind.UNHEALTHY, Kind.UPDATED]


def test_whoever_is_not_there_cannot_be_drained() -> None:
    registry, log = of_three()
    for which in (spec(port=9).key, "nobody"):
        with pytest.raises(UnknownInstance):
            registry.drain(which, True, "asked", START)
    with pytest.raises(UnknownInstance):
        registry.checked("nobody", None, START)
    assert log.changes == []


def test_one_whose_checks_fail_is_out_until_they_pass() -> None:
    registry, log = of_three()
    id = registry.at(KEY).instance.id
    registry.checked(id, "HTTP 503", START)
    assert ports(registry, START) == [1, 3]
    assert (registry.at(KEY).status, registry.at(KEY).instance.failing) == (Status.FAILING, "HTTP 503")
    registry.renew(KEY, START + 1)
    registry.register(registry.at(KEY).instance.spec, START + 2, WALL)
    assert status_of(registry.at(KEY)) is Status.FAILING
    registry.checked(id, None, START + 3)
    assert ports(registry, START + 3) == [1, 2, 3]
    assert [(change.kind, change.reason) for change in log.changes] == [
        (Kind.FAILING, "HTTP 503"),
        (Kind.HEALTHY, "its checks pass again"),
    ]


def test_another_check_begins_with_a_clean_slate() -> None:
    registry, _ = of_three()
    registry.checked(registry.at(KEY).instance.id, "HTTP 503", START)
    registry.register(spec(port=2, checks={"http": "/"}), START + 1, WALL)
    assert (registry.at(KEY).status, registry.at(KEY).instance.failing) == (Status.HEALTHY, None)


def test_maintenance_is_told_before_drain_and_drain_before_failing_checks() -> None:
    registry, _ = of_three()
    entry = registry.at(KEY)
    registry.checked(entry.instance.id, "HTTP 503", START)
    registry.drain(KEY, True, "asked", START)
    assert status_of(entry) is Status.DRAINING
    registry.maintain(Scope("web"), Window("upgrade", WALL + 60), START, WALL)
    assert status_of(entry) is Status.MAINTENANCE
    registry.end_maintenance(Scope("web"), "asked", START)
    registry.drain(KEY, False, "asked", START)
    assert status_of(entry) is Status.FAILING
