"""Maintenance windows: out of answers, alive all the while, for one instance or a whole service, until they end by themselves."""

from __future__ import annotations

import asyncio

import pytest

from discovery.core.event import Kind
from discovery.core.instance import Key
from discovery.core.kinds import WindowEvent
from discovery.core.maintenance import Scope, Window
from discovery.core.status import Status
from discovery.engines.local import LocalEngine
from discovery.store.errors import NoWindow, TooManyWindows, UnknownInstance, UnknownService
from discovery.store.reaper import Reaper
from discovery.store.snapshot import Snapshot
from discovery.store.values import MAX_WINDOWS, Windows
from tests.driven import APART, DrivenRegistry
from tests.store.making import ALL, START, TTL, WALL, Log, a_registry, crowd, ports, spec, words
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


def test_a_service_in_maintenance_has_no_answers_and_whoever_registers_later_is_part_of_it() -> None:
    registry, log = of_three()
    registry.maintain(SERVICE, a_window(), START, WALL)
    registry.register(spec(port=4), START + 1, WALL)
    registry.register(spec("api", port=4), START + 1, WALL)
    assert words(registry) == " ".join(["maintenance"] * 4)
    assert words(registry, "api") == "healthy"
    assert ports(registry, START + 1) == []
    assert log.kinds() == [Kind.MAINTENANCE] * 3 + [Kind.REGISTERED] * 2
    assert log.changes[3].instance.status is Status.MAINTENANCE


def test_it_stays_alive_by_its_heartbeats_and_is_unhealthy_without() -> None:
    registry = a_registry()
    crowd(registry, 2)
    registry.maintain(SERVICE, a_window(), START, WALL)
    registry.renew(Key("web", "10.0.0.1", 1), START + 8)
    registry.advance(START + TTL, ALL)
    assert words(registry) == "maintenance unhealthy"
    registry.renew(Key("web", "10.0.0.1", 2), START + 11)
    assert words(registry) == "maintenance maintenance"


def test_it_ends_by_itself_to_the_instant() -> None:
    registry, log = of_three()
    registry.maintain(one(2), a_window(60), START, WALL)
    assert registry.next_deadline() == START + 60
    registry.advance(START + 59.75, ALL)
    assert words(registry) == "healthy maintenance healthy"
    registry.advance(START + 60, ALL)
    assert words(registry) == "healthy healthy healthy"
    assert (log.kinds(), log.changes[-1].reason) == (
        [Kind.MAINTENANCE, Kind.HEALTHY], "the maintenance window is over",
    )  # fmt: skip
    assert dict(registry.windows) == {}
    assert registry.next_deadline() == START + 3600


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


def test_it_ends_when_it_is_ended() -> None:
    registry, log = of_three()
    registry.maintain(SERVICE, a_window(), START, WALL)
    registry.end_maintenance(SERVICE, "asked for by 10.9.9.9", START + 1)
    assert words(registry) == "healthy healthy healthy"
    assert log.kinds() == [Kind.MAINTENANCE] * 3 + [Kind.HEALTHY] * 3
    assert log.changes[-1].reason == "asked for by 10.9.9.9"
    registry.advance(START + 60, ALL)
    assert len(log.changes) == 6


def test_a_second_one_of_the_same_scope_takes_the_place_of_the_first() -> None:
    for first, second in ((60, 10), (10, 60)):
        registry, _ = of_three()
        registry.maintain(SERVICE, a_window(first, "first"), START, WALL)
        registry.maintain(SERVICE, a_window(second, "second"), START, WALL)
        assert dict(registry.windows) == {SERVICE: a_window(second, "second")}
        assert registry.next_deadline() == START + second
        registry.advance(START + second - 0.25, ALL)
        assert ports(registry, START) == []
        registry.advance(START + second, ALL)
        assert len(ports(registry, START + second)) == 3


def test_an_instance_with_two_windows_is_out_until_both_are_over() -> None:
    registry, log = of_three()
    registry.maintain(one(1), a_window(60, "its own"), START, WALL)
    registry.maintain(SERVICE, a_window(30, "all"), START, WALL)
    entry = registry.at(Key("web", "10.0.0.1", 1))
    assert registry.window(entry.instance) == a_window(60, "its own")
    log.take()
    registry.advance(START + 30, ALL)
    assert words(registry) == "maintenance healthy healthy"
    assert log.kinds() == [Kind.HEALTHY] * 2
    registry.advance(START + 60, ALL)
    assert words(registry) == "healthy healthy healthy"


def test_it_outlasts_deregistration_and_whoever_comes_back_is_in_it() -> None:
    registry, log = of_three()
    registry.maintain(one(2), a_window(), START, WALL)
    registry.maintain(SERVICE, a_window(30), START, WALL)
    registry.deregister_service("web", "asked", START + 1)
    assert registry.next_deadline() is not None
    log.take()
    registry.register(spec(port=2), START + 2, WALL)
    assert [(told.kind, told.instance.status) for told in log.changes] == [(Kind.REGISTERED, Status.MAINTENANCE)]
    registry.register(spec(port=2, metadata={"v": 2}), START + 3, WALL)
    assert words(registry) == "maintenance"


def test_it_ends_by_itself_when_nobody_is_left() -> None:
    registry = a_registry()
    crowd(registry, 1)
    registry.maintain(SERVICE, a_window(), START, WALL)
    registry.deregister_service("web", "asked", START + 1)
    registry.advance(START + 60, ALL)
    assert (dict(registry.windows), registry.next_deadline()) == ({}, None)


def test_one_from_before_the_start_waits_for_the_instances() -> None:
    registry = a_registry()
    before = crowd(a_registry(), 1, ttl=3600)[0].instance
    registry.load(Snapshot(0, (before,), values=(WindowEvent(SERVICE, None, a_window(60), ""),)), START, WALL + 20)
    assert registry.next_deadline() == START + 40
    assert words(registry) == "maintenance"
    registry.advance(START + 40, ALL)
    assert dict(registry.windows) == {}


def test_one_that_ended_while_the_process_was_away_is_over_at_once() -> None:
    registry = a_registry()
    registry.load(Snapshot(0, values=(WindowEvent(SERVICE, None, a_window(60), ""),)), START, WALL + 100)
    assert SERVICE in registry.windows
    registry.advance(START, ALL)
    assert dict(registry.windows) == {}


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


def test_case_makes_no_other_service() -> None:
    registry = a_registry()
    entry = registry.register(spec("WEB"), START, WALL)
    registry.maintain(SERVICE, a_window(), START, WALL)
    assert entry.status is Status.MAINTENANCE


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
