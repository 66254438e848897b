"""What is known of who is not there any more, and of who took whom out before the start."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from discovery.core.caller import SERVER, Caller
from discovery.core.event import InstanceEvent, Kind
from discovery.core.instance import Key
from discovery.core.status import Status
from discovery.store.absent import absent, remember
from discovery.store.refused import Why
from discovery.store.registration import Deregister
from tests.driven import APART, DrivenRegistry
from tests.store.making import ALL, START, WALL, a_registry, spec

OPS = Caller("10.0.0.9", "ops")


def wall(now: float) -> float:
    return now + APART


@pytest.mark.parametrize(
    ("leave", "everybody", "owner"),
    [
        (lambda registry: registry.advance(START + 20, ALL), "it fell silent", "it fell silent"),
        (
            lambda registry: registry.carry_out(Deregister("auto-0", "asked for"), START + 20, wall(START + 20), OPS),
            "it was deregistered",
            "it was deregistered by ops at 10.0.0.9",
        ),
    ],
)
def test_of_what_is_not_there_it_says_until_when_it_was_and_what_became_of_it(
    leave: Callable[[DrivenRegistry], object], everybody: str, owner: str
) -> None:
    registry = a_registry()
    registry.walls = lambda: wall
    assert absent(registry, "web", START) == ""
    registry.register(spec("Web"), START)
    leave(registry)
    clause = "one of this name was until 22:13:40Z: {} (history)"
    assert absent(registry, "WEB", START + 30) == clause.format(everybody)
    assert absent(registry, "web", START + 30, sees_names=True) == clause.format(owner)
    day = 86400.0
    assert "until 2023-11-14T22:13:40Z" in absent(registry, "web", START + day)


def test_heartbeats_for_what_is_not_registered_say_that_a_registration_is_missing() -> None:
    registry, why = a_registry(), Why("no instance is registered", "it is not registered")
    registry.walls = lambda: wall
    registry.refused.note(Key("web", "10.0.0.1", 80), None, Caller("10.0.0.1"), why, START, wall(START))
    refused = "heartbeats{} are refused since 22:13:20Z, once: "
    assert absent(registry, "web", START + 1) == refused.format("") + "it is not registered"
    assert absent(registry, "web", START + 1, sees_names=True) == (
        refused.format(" of 10.0.0.1 port 80") + "no instance is registered"
    )


def test_what_the_history_remembers_of_before_the_start_is_told_until_something_newer_happens() -> None:
    registry = a_registry()
    kept = registry.register(spec(), START)
    registry.drain(kept.instance.id, True, "a test", START)
    again = a_registry()
    again.load(registry.snapshot(START, WALL), START, WALL)
    [drained] = [each.instance for each in again]

    def gone(kind: Kind, wall: float, by: Caller, service: str = "shop") -> tuple[InstanceEvent, float, Caller]:
        return InstanceEvent(kind, service, drained, None, "…"), wall, by

    def told(service: str) -> str:
        return absent(again, service, START, sees_names=True)

    takes_out = InstanceEvent(
        Kind.DRAINING, "web", drained._replace(draining_since=None, status=Status.HEALTHY), drained, "…"
    )
    remember(
        again,
        [
            (takes_out, WALL, OPS), gone(Kind.DEREGISTERED, WALL, OPS), gone(Kind.EXPIRED, WALL - 9, OPS),
            (takes_out, WALL - 10, Caller("10.0.0.1", "nobody")), gone(Kind.EXPIRED, WALL, OPS, "mail"),
        ],
    )  # fmt: skip
    again.walls = lambda: lambda now: now + APART
    assert "it was deregistered by ops" in told("shop")
    assert "it fell silent" in told("mail")
    assert again.at(drained.id).asker == OPS
    assert again.at(drained.id).since == WALL, "it drains since then, not since the start"
    entry = again.register(spec("mail", id="m"), START)
    again.deregister(entry.instance.id, "asked", START)
    assert "it was deregistered" in told("mail")
    again.drain(drained.id, False, "a test", START)
    again.drain(drained.id, True, "a test", START)
    assert again.at(drained.id).asker is None, "who did it last is not known, and nobody else is named"


def test_who_took_it_out_once_is_not_remembered_as_who_did_so_last() -> None:
    registry = a_registry()
    kept = registry.register(spec(), START).instance
    registry.drain(kept.id, True, "a test", START)
    again = a_registry()
    again.load(registry.snapshot(START, WALL), START, WALL)
    [drained] = [each.instance for each in again]
    takes_out = InstanceEvent(Kind.DRAINING, "web", kept, drained, "…")
    brings_back = InstanceEvent(Kind.HEALTHY, "web", drained, kept, "…")
    remember(again, [(takes_out, WALL, SERVER), (brings_back, WALL - 1, OPS), (takes_out, WALL - 2, OPS)])
    assert again.at(drained.id).asker is None
