"""Maintenance windows: out of answers, alive all the while, for one instance or a whole service, until they end by themselves."""

from __future__ import annotations

import asyncio

import pytest

from discovery.core.event import Kind
from discovery.core.instance import Key
from discovery.core.maintenance import Scope, Window
from discovery.core.status import Status
from discovery.engines.local import LocalEngine
from discovery.store.errors import NoWindow, TooManyWindows, UnknownInstance, UnknownService
from discovery.store.reaper import Reaper
from discovery.store.values import MAX_WINDOWS, Windows
from tests.driven import APART, DrivenRegistry
from tests.store.making import START, WALL, Log, a_registry, crowd, ports, words
from tests.store.time_travel import travel

SERVICE = Scope("web")


def one(port: int) -> Scope:
    return Scope("web", "10.0.0.1", port)


def a_window(seconds: float = 60.0, reason: str = "upgrade") -> Window:
    return Window(reason, WALL + seconds)


def a_reaper(registry: DrivenRegistry) -> Reaper:
    """On a loop of `time_travel`."""
    clock = asyncio.get_running_loop().time
    return Reaper(registry, LocalEngine(registry, clock, lambda: clock() + APART), clock)


def of_three() -> tuple[DrivenRegistry, Log]:
    registry = a_registry()
    crowd(registry, 3, ttl=3600)
    return registry, Log.of(registry)


def test_an_instance_in_maintenance_is_in_no_answer_and_the_others_are() -> None:
    registry, log = of_three()
    registry.maintain(one(2), a_window(), START, WALL)
    assert words(registry) == "healthy maintenance healthy"
    assert ports(registry, START) == [1, 3]
    assert (log.kinds(), log.changes[0].reason) == ([Kind.MAINTENANCE], "maintenance: upgrade")
    assert registry.counts(START)[Status.MAINTENANCE] == 1


def test_the_reaper_is_there_when_it_ends() -> None:
    async def story() -> None:
        registry, log = of_three()
        reaper = a_reaper(registry)
        reaper.start()
        registry.maintain(one(2), a_window(60), START, WALL)
        await asyncio.sleep(59.9)
        assert log.kinds() == [Kind.MAINTENANCE]
        await asyncio.sleep(0.2)
        assert log.kinds() == [Kind.MAINTENANCE, Kind.HEALTHY]
        reaper.stop()

    travel(story())


def test_of_what_is_not_there_there_is_no_maintenance() -> None:
    registry, log = of_three()
    with pytest.raises(UnknownService, match="api"):
        registry.maintain(Scope("api"), a_window(), START, WALL)
    with pytest.raises(UnknownInstance, match=r"10\.0\.0\.1.*99.*web"):
        registry.maintain(one(99), a_window(), START, WALL)
    with pytest.raises(UnknownInstance):
        registry.maintain(Scope("api", "10.0.0.1", 1), a_window(), START, WALL)
    assert (dict(registry.windows), log.changes) == ({}, [])


def test_what_was_not_opened_cannot_be_ended() -> None:
    registry, _ = of_three()
    registry.maintain(SERVICE, a_window(), START, WALL)
    with pytest.raises(NoWindow, match=r"10\.0\.0\.1 port 1 of web.*GET /maintenance"):
        registry.end_maintenance(one(1), "asked", START)
    registry.end_maintenance(SERVICE, "asked", START)
    with pytest.raises(NoWindow, match="web"):
        registry.end_maintenance(SERVICE, "asked", START)


def test_there_are_only_so_many_and_one_that_ends_makes_room() -> None:
    registry = a_registry(max_instances=MAX_WINDOWS + 1)
    crowd(registry, MAX_WINDOWS + 1)
    for port in range(1, MAX_WINDOWS + 1):
        registry.maintain(one(port), a_window(60 + port), START, WALL)
    with pytest.raises(TooManyWindows, match=str(MAX_WINDOWS)):
        registry.maintain(SERVICE, a_window(), START, WALL)
    assert registry.at(Key("web", "10.0.0.1", MAX_WINDOWS + 1)).status is Status.HEALTHY
    registry.maintain(one(1), a_window(70, "longer"), START, WALL)
    registry.end_maintenance(one(1), "asked", START)
    registry.maintain(SERVICE, a_window(), START, WALL)
    assert len(registry.windows) == MAX_WINDOWS


def test_ends_that_come_together_are_told_as_many_at_a_time_as_asked() -> None:
    registry, _ = of_three()
    for port in (1, 2, 3):
        registry.maintain(one(port), a_window(60), START, WALL)
    for left in (3, 2, 1):
        assert len(registry.windows) == left
        registry.advance(START + 60, 1)
    registry.maintain(SERVICE, a_window(60), START, WALL)
    registry.advance(START + 60, 0)
    assert len(registry.windows) == 1


def test_a_reader_of_the_windows_keeps_what_it_has_read() -> None:
    windows = Windows()
    windows.set(SERVICE, a_window(), 10.0 - a_window().until)
    read = windows.all
    windows.set(one(1), a_window(), 5.0 - a_window().until)
    assert (list(read), windows.next) == ([SERVICE], 5.0)
    windows.set(one(1), None, 0.0)
    windows.set(one(1), None, 0.0)
    assert (windows.next, windows.over(9.75), windows.over(10.0)) == (10.0, None, SERVICE)


def test_the_reaper_is_there_when_a_shorter_one_ends_that_took_its_place() -> None:
    async def story() -> None:
        registry, log = of_three()
        reaper = a_reaper(registry)
        reaper.start()
        registry.maintain(one(2), a_window(1800), START, WALL)
        registry.maintain(one(2), a_window(60), START, WALL)
        await asyncio.sleep(61)
        assert log.kinds()[-1] is Kind.HEALTHY
        reaper.stop()

    travel(story())
