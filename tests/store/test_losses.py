"""Who has gone lately: a service that lost half of its instances, all of them, or that flaps; and what went within the last hour."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from discovery.core.caller import NOBODY
from discovery.core.event import Commit, InstanceEvent, Kind
from discovery.core.instance import Instance, Key
from discovery.core.maintenance import Scope, Window
from discovery.core.status import Status
from discovery.store.damping import Damping
from discovery.store.losses import KEPT, MAX_GONE, WINDOW, Losses
from tests.driven import APART, DrivenRegistry
from tests.store.making import START, TTL, WALL, a_brake, a_registry, crowd, spec

END = START + TTL


def told(gone: Mapping[Key, float]) -> tuple[int, tuple[str, ...], float, float]:
    """How many, of which services, since when and until when."""
    return len(gone), tuple(dict.fromkeys(key.service for key in gone)), min(gone.values()), max(gone.values())


def a_house(**settings: object) -> DrivenRegistry:
    return a_registry(max_instances=10_000, **settings)


def codes(registry: DrivenRegistry, now: float) -> dict[str, list[str]]:
    """By code, what the warnings are about."""
    found = {each.code: list(each.check()) for each in registry.losses.concerns(lambda: now + APART)}
    return {code: about for code, about in found.items() if about}


def texts(registry: DrivenRegistry, now: float) -> list[str]:
    return [text for each in registry.losses.concerns(lambda: now + APART) for text in each.check().values()]


def silent(registry: DrivenRegistry, ports: range, now: float = END) -> None:
    """Those fall silent at `now`; all others beat."""
    for entry in list(registry):
        if entry.instance.spec.port not in ports and entry.instance.status is Status.HEALTHY:
            registry.renew(entry.instance.id, now - 1)
    registry.advance(now)


def failing(registry: DrivenRegistry, ports: range) -> None:
    for port in ports:
        registry.checked(ids(registry)[port - 1], "connection refused", START + 1)


def deregistered(registry: DrivenRegistry, ports: range) -> None:
    for port in ports:
        registry.deregister(spec(port=port).key, "asked", START + 1)


def drained_and_silent(registry: DrivenRegistry, ports: range) -> None:
    for port in ports:
        registry.drain(spec(port=port).key, True, "asked", START + 1)
    silent(registry, ports)


def in_maintenance_and_silent(registry: DrivenRegistry, ports: range) -> None:
    registry.maintain(Scope("web"), Window("upgrade", WALL + 1000), START + 1)
    silent(registry, ports)


def expired(port: int) -> InstanceEvent:
    dead = Instance(f"id-{port}", WALL, spec(port=port), status=Status.UNHEALTHY)
    return InstanceEvent(Kind.EXPIRED, "web", dead, None, "no heartbeat")


def ids(registry: DrivenRegistry) -> list[str]:
    return [entry.instance.id for entry in registry]


Ends = Callable[[DrivenRegistry, range], None]


@pytest.mark.parametrize(
    ("ends", "instances", "of", "warned"),
    [
        (silent, 5, 10, {"service_halved": ["web"]}),
        (silent, 4, 10, {}),
        (silent, 10, 10, {"service_emptied": ["web"]}),
        (silent, 1, 1, {"service_emptied": ["web"]}),
        (failing, 5, 10, {"service_halved": ["web"]}),
        (failing, 10, 10, {"service_emptied": ["web"]}),
        (deregistered, 10, 10, {}),
        (drained_and_silent, 10, 10, {}),
        (in_maintenance_and_silent, 10, 10, {}),
    ],
)
def test_half_of_a_service_is_lost_by_silence_or_checks_and_not_by_an_orderly_end(
    ends: Ends, instances: int, of: int, warned: dict[str, list[str]]
) -> None:
    registry = a_house()
    crowd(registry, of)
    ends(registry, range(1, instances + 1))
    assert codes(registry, END) == warned


def test_the_text_says_how_many_are_left_since_when_and_what_to_ask() -> None:
    registry = a_house()
    crowd(registry, 20)
    silent(registry, range(1, 15))
    halved = {each.code: each.check() for each in registry.losses.concerns(lambda: END + APART)}["service_halved"]
    assert halved["web"] == (
        "web has 6 of 20 instances left since 2023-11-14T22:13:30Z: 14 fell silent or failed their checks; `discovery explain web` and "
        "`discovery history web --since 2023-11-14T22:13:30Z` say of each why"
    )


def test_what_is_to_be_typed_is_one_word_for_a_shell_whatever_the_name() -> None:
    registry = a_house()
    crowd(registry, 1, "web; rm -rf x")
    silent(registry, range(1, 2))
    [text] = texts(registry, END)
    assert "`discovery explain 'web; rm -rf x'` and `discovery history 'web; rm -rf x' --since" in text


def test_a_loss_holds_until_more_than_half_are_back_and_for_an_hour_at_most() -> None:
    registry = a_house()
    crowd(registry, 4)
    silent(registry, range(1, 4))
    assert codes(registry, END + KEPT) == {"service_halved": ["web"]}
    registry.renew(spec(port=1).key, END + 1)
    assert codes(registry, END + 1) == {"service_halved": ["web"]}
    registry.register(spec(port=99), END + 1)  # what comes in the place of one that died
    assert codes(registry, END + 1) == {}
    silent(registry, range(1, 100), END + 1 + TTL)
    assert codes(registry, END + 1 + TTL) == {"service_emptied": ["web"]}
    assert codes(registry, END + 2 + TTL + KEPT) == {}


def test_who_removes_the_dead_in_order_has_seen_them() -> None:
    registry = a_house()
    crowd(registry, 2)
    silent(registry, range(1, 3))
    registry.advance(END + 1000)
    assert codes(registry, END + 1000) == {"service_emptied": ["web"]}, "removed by the cleanup, and gone all the same"
    crowd(registry, 2, now=END + 1001)
    assert codes(registry, END + 1001) == {}
    silent(registry, range(1, 3), END + 1001 + TTL)
    registry.deregister_service("web", "asked", END + 1001 + TTL)
    assert codes(registry, END + 1001 + TTL) == {}


def test_a_slow_bleed_is_no_loss_of_half() -> None:
    registry = a_house()
    crowd(registry, 10, ttl=3600)
    for port in range(1, 8):
        registry.checked(ids(registry)[port - 1], "no", START + port * WINDOW / 2)
        assert codes(registry, START + port * WINDOW / 2) == {}


def test_an_instance_that_flaps_is_named_with_its_service_until_it_holds_still() -> None:
    registry = a_house(damping=Damping(2, 60))
    [entry] = crowd(registry, 1, ttl=3600)
    for turn in range(4):
        registry.checked(entry.instance.id, "no" if turn % 2 == 0 else None, START + turn)
    assert entry.status is Status.FLAPPING
    assert codes(registry, START + 4) == {"service_flapping": ["web"]}
    registry.advance(START + 100)
    assert codes(registry, START + 100) == {}


def test_what_the_brake_holds_is_no_loss_yet() -> None:
    registry = a_house(brake=a_brake())
    crowd(registry, 10)
    silent(registry, range(1, 10))
    assert codes(registry, END) == {"brake_holds": ["web"]}
    for later in range(1, 60):
        registry.renew(spec(port=10).key, END + later)
        registry.advance(END + later)
    assert codes(registry, END + 60) == {"service_halved": ["web"]}


def test_gone_within_the_last_hour_are_who_went_and_is_not_back_and_orderly_ends_are_told_apart() -> None:
    registry = a_house()
    crowd(registry, 4)
    crowd(registry, 2, name="api")
    deregistered(registry, range(4, 5))
    silent(registry, range(1, 3))
    lost, ended = map(told, registry.losses.gone(END + APART).values())
    assert lost == (4, ("web", "api"), END + APART, END + APART)
    assert ended == (1, ("web",), START + 1 + APART, START + 1 + APART)
    registry.advance(END + 8)
    assert len(registry) == 1
    assert told(registry.losses.gone(END + APART)["lost"]) == lost, (
        "as of the moment at which they went, not of the cleanup"
    )
    registry.register(spec(port=1), END + 1001)
    assert len(registry.losses.gone(END + APART)["lost"]) == 3
    assert registry.losses.gone(END + APART + KEPT + 1001) == {"lost": {}, "ended": {}}


def test_what_went_before_the_start_is_recalled_and_who_is_restored_is_not_gone() -> None:
    registry, went = a_house(), WALL - 100
    registry.restore(Instance("id-1", WALL, spec(port=1)), now=START)
    registry.losses.recall([(expired(port), went) for port in (1, 2)], lambda key: registry.find(key) is not None)
    assert told(registry.losses.gone(WALL)["lost"]) == (1, ("web",), went, went)
    assert codes(registry, START) == {}


def test_a_service_that_was_emptied_before_a_start_is_still_and_since_then() -> None:
    registry, again = a_house(), a_house()
    crowd(registry, 3)
    failing(registry, range(1, 4))
    assert codes(registry, START + 2) == {"service_emptied": ["web"]}
    again.load(registry.snapshot(START + 2, START + 2 + APART), START + 9, START + 9 + APART)
    assert texts(again, START + 9) == texts(registry, START + 9)
    again.checked(ids(again)[0], None, START + 10)
    again.checked(ids(again)[1], None, START + 10)
    assert codes(again, START + 11) == {}


def test_of_very_many_the_last_are_remembered() -> None:
    losses = Losses()
    losses.follow_commit(Commit(1, WALL, NOBODY, "", tuple(map(expired, range(1, MAX_GONE + 6)))))
    losses.recall([(expired(MAX_GONE + 6), WALL - 1)], lambda key: False)
    assert told(losses.gone(WALL)["lost"]) == (MAX_GONE, ("web",), WALL, WALL)
