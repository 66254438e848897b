"""The index of one service: of the last commit about it, whatever the log still has and whatever happens to others."""

from __future__ import annotations

import pytest

from discovery.core.event import Commit, Kind
from discovery.core.instance import Key
from discovery.core.maintenance import Scope, Window
from discovery.store.log import Log as CommitLog
from tests.driven import DrivenRegistry
from tests.store.making import ALL, START, TTL, WALL, Log, a_registry, spec

KEY = Key("web", "10.0.0.1", 80)


def followed(registry: DrivenRegistry) -> dict[str, int]:
    """By service: the index of the last commit that had an event about it."""
    seen: dict[str, int] = {}

    def follow(commit: Commit) -> None:
        seen.update({event.service: commit.index for event in commit.events if event.service})

    registry.followers.append(follow)
    return seen


def test_every_change_of_a_service_moves_its_index_and_no_others() -> None:
    registry = a_registry(index=41)
    seen = followed(registry)
    registry.register(spec("web"), START, WALL)
    registry.register(spec("api"), START, WALL)
    registry.register(spec("web", tags=["blue"]), START + 1, WALL)
    registry.drain(KEY, True, "asked for", START + 2, WALL)
    registry.drain(KEY, False, "asked for", START + 2, WALL)
    registry.maintain(Scope("web"), Window("new disks", WALL + 60), START + 3, WALL + 3)
    registry.end_maintenance(Scope("web"), "done", START + 4, WALL + 4)
    assert registry.index_of("api") == seen["api"] == 43
    assert registry.index_of("WEB") == seen["web"] == registry.index
    registry.advance(START + TTL + 4, ALL)
    assert seen == {name: registry.index_of(name) for name in ("web", "api")}
    registry.advance(START + 10 * TTL, ALL)
    assert not registry.services
    assert seen == {name: registry.index_of(name) for name in ("web", "api")}


def test_heartbeats_and_unchanged_registrations_do_not_move_it() -> None:
    registry = a_registry(index=41)
    registry.register(spec(tags=["blue"], metadata={"v": 1}), START, WALL)
    registry.renew(KEY, START + 1, WALL + 1)
    registry.register(spec(tags=["blue"], metadata={"v": 1}), START + 2, WALL + 2)
    registry.upsert(spec(tags=["blue"], metadata={"v": 1}), START + 3, WALL + 3)
    assert registry.index_of("web") == registry.index == 42


def test_it_outlives_the_log() -> None:
    registry = a_registry(index=41, log=CommitLog(max_events=2))
    registry.register(spec("web"), START, WALL)
    for port in range(5):
        registry.register(spec("api", port=1000 + port), START, WALL)
    assert registry.log.oldest > 42
    assert registry.index_of("web") == 42


def test_a_service_that_is_gone_has_the_index_at_which_it_went() -> None:
    registry = a_registry(index=41)
    registry.register(spec("web"), START, WALL)
    registry.deregister(KEY, "asked for", START + 1, WALL + 1)
    registry.register(spec("api"), START, WALL)
    assert registry.index_of("web") == 43


def test_a_name_that_nobody_had_lately_has_that_of_the_log() -> None:
    registry = a_registry(index=41, log=CommitLog(max_events=2))
    assert registry.index_of("web") == 41
    for port in range(5):
        registry.register(spec("api", port=1000 + port), START, WALL)
    assert registry.index_of("web") == registry.log.oldest == 44


def test_one_that_is_restored_has_the_index_of_the_start() -> None:
    before = a_registry(index=41)
    stored = before.register(spec("web"), START, WALL).instance
    registry = a_registry(index=41)
    log = Log.of(registry)
    registry.restore(stored, now=START)
    assert log.kinds() == [Kind.RESTORED]
    assert registry.index_of("web") == registry.index == registry.log.oldest == 42


@pytest.mark.parametrize("name", ["web", "api"])
def test_other_zone_files_are_no_change_of_a_service(name: str) -> None:
    registry = a_registry(index=41)
    registry.register(spec("web"), START, WALL)
    before = registry.index_of(name)
    registry.reload_zones(START)
    assert registry.index_of(name) == before
