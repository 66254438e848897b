"""The instant from which an instance is in no answer is the end of its lease, whenever an event tells of it, and that event says so."""

from __future__ import annotations

from discovery.core.event import Commit, InstanceEvent, Kind, instant_of
from discovery.core.instance import Key
from discovery.core.kinds import WindowEvent
from discovery.core.maintenance import Scope, Window
from tests.driven import DrivenRegistry
from tests.store.making import ALL, START, TTL, WALL, a_registry, braked, crowd, spec

END = WALL + TTL
KEY = Key("web", "10.0.0.1", 3001)


class Told:
    """The events about instances, each with its commit's wall."""

    def __init__(self, registry: DrivenRegistry) -> None:
        self.events: list[tuple[InstanceEvent, float]] = []
        registry.followers.append(self.follow)

    def follow(self, commit: Commit) -> None:
        self.events += [(event, commit.wall) for event in commit.events if isinstance(event, InstanceEvent)]

    def shown(self) -> list[tuple[str, float | None]]:
        return [(event.kind.value, event.lapsed_at) for event, _ in self.events]


def started() -> tuple[DrivenRegistry, Told]:
    registry = a_registry()
    registry.register(spec("web", KEY.ip, KEY.port), START, WALL)
    return registry, Told(registry)


def test_a_lapse_that_the_reaper_finds_late_is_told_with_the_end_of_the_lease() -> None:
    registry, told = started()
    registry.advance(START + TTL + 3, ALL, WALL + TTL + 3)
    assert told.shown()[0] == ("unhealthy", END)
    event, wall = told.events[0]
    assert (wall, instant_of(event, wall)) == (WALL + TTL + 3, END)


def test_the_removal_that_follows_is_told_with_its_own_time() -> None:
    registry, told = started()
    registry.advance(START + TTL, ALL, END)
    registry.advance(START + TTL + 20, ALL, END + 20)
    assert told.shown() == [("unhealthy", END), ("expired", None)]
    event, wall = told.events[1]
    assert instant_of(event, wall) == END + 20


def test_a_heartbeat_after_the_end_tells_of_the_lapse_first() -> None:
    registry, told = started()
    registry.renew(KEY, START + TTL + 2, WALL + TTL + 2)
    assert told.shown() == [("unhealthy", END), ("healthy", None)]


def test_a_deregistration_after_the_end_tells_when_it_left_the_answers() -> None:
    registry, told = started()
    registry.deregister(KEY, "asked for", START + TTL + 2, WALL + TTL + 2)
    assert told.shown() == [("deregistered", END)]
    event, wall = told.events[0]
    assert instant_of(event, wall) == WALL + TTL + 2


def test_while_the_lease_runs_no_event_has_it() -> None:
    registry, told = started()
    registry.drain(KEY, True, "asked for", START + 5, WALL + 5)
    registry.deregister(KEY, "asked for", START + 6, WALL + 6)
    assert told.shown() == [("draining", None), ("deregistered", None)]


def test_suspects_whose_lease_was_over_were_out_of_answers_until_the_brake_took_them() -> None:
    registry = braked()
    crowd(registry, 10)
    told = Told(registry)
    registry.advance(START + TTL + 1, ALL, WALL + TTL + 1)
    assert told.shown() == [("suspect", END)] * 10
    assert all(instant_of(event, wall) == WALL + TTL + 1 for event, wall in told.events)


def test_suspects_that_are_let_go_were_in_answers_until_then() -> None:
    registry = braked()
    crowd(registry, 10)
    registry.advance(START + TTL, ALL, END)
    told = Told(registry)
    for seconds in range(1, 120):
        registry.advance(START + TTL + seconds, ALL, END + seconds)
    let_go = [event for event, _ in told.events if event.kind is Kind.UNHEALTHY]
    assert len(let_go) == 10
    assert {event.lapsed_at for event in let_go} == {None}


def test_a_window_has_no_lease() -> None:
    event = WindowEvent(Scope("web"), None, Window("upgrade", WALL + 60), "maintenance")
    assert instant_of(event, WALL) == WALL
