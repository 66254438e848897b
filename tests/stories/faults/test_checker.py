"""The checker finds what it is there for: in made-up histories, and on real nodes one of which is broken on purpose."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.stories.cluster.nodes import TTL
from tests.stories.faults.checker import Answer, History, Interval, Life, Promise, wrong, wrong_at_the_end
from tests.stories.faults.world import World, survives

LEASE = 4.0


def history(life: Life, *answers: tuple[float, bool], cut: tuple[float, float] | None = None) -> History:
    """`answers` of the node b: when it was asked, and whether it gave the instance."""
    found = History(Promise(LEASE, visible=1, slack=0.5), lives=[life])
    for asked, is_served in answers:
        served = frozenset([life.ip] if is_served else [])
        found.answers.append(Answer("b", asked, asked + 0.01, "web", served, False, "dns"))
    if cut is not None:
        found.cut.append(Interval("b", *cut))
    return found


def life(beats: float = 100.0, **more: object) -> Life:
    return Life("web", "10.0.0.1", known=0.0, beats=beats, at="a", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (history(life(), (50, True)), None),
        (history(life(), (50, False)), "missing, though healthy: web 10.0.0.1 at b over dns"),
        (history(life(), (0.5, False)), None),  # acknowledged just now
        (history(life(), (100.5, False)), None),  # nobody knows whether it lives still
        (history(life(silent=True), (104, True)), None),
        (history(life(silent=True), (104.6, True)), "served 4.6 s after its last heartbeat"),
        (history(life(silent=True), (120, True), cut=(90, 130)), None),  # it says that it is old
        (history(life(), (50, False), cut=(40, 60)), "missing, though healthy"),  # it was known before
        (history(life(goodbye=50.0), (50.5, True)), None),
        (history(life(goodbye=50.0), (51.5, True)), "served after its goodbye"),
        (history(life(goodbye=50.0), (49.0, False)), None),
    ],
)
def test_what_is_wrong_in_a_history_is_found_and_nothing_else(what: History, said: str | None) -> None:
    found = wrong(what)
    assert (not found) if said is None else (len(found) == 1 and found[0].startswith(said))


def test_one_that_came_while_the_node_was_cut_off_may_be_missing_there() -> None:
    late = Life("web", "10.0.0.1", known=50.0, beats=100.0, at="a")
    assert not wrong(history(late, (60, False), cut=(40, 70)))
    assert wrong(history(late, (72, False), cut=(40, 70)))


def test_one_that_came_since_a_node_said_nothing_old_last_may_be_missing_where_it_says_that_it_is_old() -> None:
    late = Life("web", "10.0.0.1", known=50.0, beats=100.0, at="a")
    found = history(late, (49, False), (60, False))
    assert wrong(found)
    found.answers[1] = found.answers[1]._replace(stale=True)
    assert not wrong(found)
    found.answers.insert(1, found.answers[0]._replace(asked=52.0, answered=52.01, served=frozenset({late.ip})))
    assert wrong(found), "it was known there"


def test_a_silent_node_s_instances_have_their_lease_from_the_end_of_its_silence() -> None:
    what = history(life(silent=True), (130, True))
    what.ended.append(Interval("a", 99, 128))
    assert not wrong(what)
    what.ended[0] = Interval("a", 99, 120)
    assert wrong(what)


def test_what_was_acknowledged_and_what_differs_is_found_at_the_end() -> None:
    lives = [life(), Life("web", "10.0.0.2", 0, 100, "a", goodbye=50.0)]
    good = frozenset({"10.0.0.1"})
    assert not wrong_at_the_end(lives, {"a": good, "b": good}, {"a": 7, "b": 7}, [7, 7])
    assert len(wrong_at_the_end(lives, {"a": good, "b": frozenset()}, {"a": 7, "b": 7}, [7, 7])) == 2
    assert wrong_at_the_end(lives, {"a": good | {"10.0.0.2"}}, {"a": 7}, [7]) == [
        "deregistered and there again: web 10.0.0.2 at a"
    ]
    assert wrong_at_the_end(lives, {"a": good, "b": good}, {"a": 7, "b": 8}, [7, 8])


async def test_a_node_that_misses_a_commit_is_found(tmp_path: Path) -> None:
    async def fault(world: World) -> None:
        world.nodes.proxies["b"][0].lose(b"reg/commit")
        await world.join("web", "a")
        await asyncio.sleep(TTL)

    with pytest.raises(
        AssertionError, match=r"missing, though healthy: web 10\.0\.0\.17 at b|nodes differ in \['10\.0\.0\.17'\]"
    ):
        await survives(tmp_path, fault)


async def test_a_commit_that_comes_twice_harms_nobody_and_one_that_comes_again_later_is_found(tmp_path: Path) -> None:
    async def twice(world: World) -> None:
        world.nodes.proxies["b"][0].repeat(b"reg/commit")
        await world.goodbye(world.beating[0])
        await asyncio.sleep(TTL)

    async def later(world: World) -> None:
        """The registration of somebody who has gone, told again as if it were new."""
        proxy = world.nodes.proxies["b"][0]
        proxy.repeat(b"reg/commit", later=True)
        await world.goodbye(await world.join("web", "a"))
        await asyncio.sleep(TTL)

    await survives(tmp_path / "1", twice)
    with pytest.raises(
        AssertionError, match=r"(served after its goodbye|deregistered and there again): web 10\.0\.0\.17 at b"
    ):
        await survives(tmp_path / "2", later)
