"""Long polls: whom a change wakes, who is answered at once, and that everybody is forgotten in the end."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref

import pytest

from discovery.core.instance import Key
from discovery.core.maintenance import Scope, Window
from discovery.rest.api.answers import Answer
from discovery.rest.api.errors import HttpError
from discovery.rest.api.query import Values
from discovery.rest.watch import polls
from discovery.rest.watch.polls import Polls
from discovery.store.log import Log
from discovery.system.turns import turns
from tests.rest.watch.making import Watched, quiet
from tests.store.making import ALL, START, TTL, WALL
from tests.waiting import until

KEY = Key("web", "10.0.0.1", 80)


def waiting(it: Watched) -> int:
    return len(it.watchers)


async def test_a_change_of_the_service_wakes_with_what_it_is_now() -> None:
    it = Watched()
    index = it.register()
    told = it.resolve(f"web?index={index}")
    await quiet()
    assert not told.answers
    index = it.register(port=81)
    await until(lambda: told.is_over)
    assert told.body["instanceCount"] == 2
    assert told.answers[0].index == index


async def test_changes_of_others_heartbeats_and_unchanged_registrations_do_not() -> None:
    it = Watched()
    index = it.register(metadata={"v": 1})
    told = it.resolve(f"WEB?index={index}")
    it.register("api")
    it.registry.reload_zones(START)
    it.registry.renew(KEY, START + 1, WALL + 1)
    it.register(metadata={"v": 1})
    await quiet()
    assert (told.is_over, waiting(it)) == (False, 1)
    it.register(metadata={"v": 2})
    await until(lambda: told.is_over)


@pytest.mark.parametrize("change", ["drain", "maintenance", "lapse", "deregister"])
async def test_whatever_is_visible_wakes(change: str) -> None:
    it = Watched()
    told = it.resolve(f"web?index={it.register()}")
    if change == "drain":
        it.registry.drain(KEY, True, "asked for", START, WALL)
    elif change == "deregister":
        it.registry.deregister(KEY, "asked for", START, WALL)
    elif change == "lapse":
        it.registry.advance(START + TTL, ALL)
    else:
        it.registry.maintain(Scope("web"), Window("new disks", WALL + 60), START, WALL)
    await until(lambda: told.is_over)
    index = None if change == "deregister" else it.registry.index  # of a service that is gone: the registry's
    assert (told.answers[0].status, told.answers[0].index) == (404, index)


@pytest.mark.parametrize("seen", [0, 1, 99, 101, 10**18])
async def test_what_was_never_said_here_is_answered_at_once(seen: int) -> None:
    """Nothing at all, before the log, before the service's last change, and ahead of the registry."""
    it = Watched()
    it.register()
    it.register(port=81)
    told = it.resolve(f"web?index={seen}&wait=600")
    await until(lambda: told.is_over)
    assert (told.answers[0].status, it.watchers.refused) == (200, 0)


async def test_an_index_of_elsewhere_waits_for_another_and_for_one_that_does_not_exist_yet() -> None:
    it = Watched()
    it.register()
    index = it.register("api")
    web, new = it.resolve(f"web?index={index}"), it.resolve(f"new?index={index}")
    it.register("api", port=81)
    await quiet()
    assert not web.is_over
    assert not new.is_over
    it.register("new")
    await until(lambda: new.is_over)
    assert new.body["serviceName"] == "new"
    assert not web.is_over


async def test_one_who_missed_the_end_of_a_service_is_told_at_once() -> None:
    it = Watched()
    index = it.register()
    it.registry.deregister(KEY, "asked for", START, WALL)
    told = it.resolve(f"web?index={index}")
    await until(lambda: told.is_over)
    assert told.answers[0].status == 404


async def test_a_quiet_service_waits_though_its_last_change_has_left_the_log() -> None:
    it = Watched(log=Log(max_events=3))
    index = it.register()
    for port in range(10):
        it.register("api", port=1000 + port)
    assert it.registry.log.oldest > index + 1
    told = it.resolve(f"web?index={index}")
    elsewhere = it.resolve(f"web?index={index + 1}")  # of a change that nobody knows any more
    unknown = it.resolve(f"new?index={index}")
    await until(lambda: elsewhere.is_over and unknown.is_over)
    await quiet()
    assert not told.is_over


async def test_after_the_wait_things_are_told_as_they_are() -> None:
    it = Watched()
    index = it.register()
    told, nobody = it.resolve(f"web?index={index}&wait=10ms"), it.resolve(f"new?index={index}&wait=0")
    await until(lambda: told.is_over and nobody.is_over)
    assert (told.answers[0].status, told.answers[0].index) == (200, index)
    await quiet()
    assert (nobody.answers[0].status, waiting(it)) == (404, 0)


async def test_waits_are_jittered_and_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Watched()
    index = it.register()
    left = []
    for wait in ("", "&wait=30s", "&wait=24h"):
        told = it.resolve(f"web?index={index}{wait}")
        timer = told.held.timer  # type: ignore[attr-defined]
        left.append(timer.when() - asyncio.get_running_loop().time())
    for seconds, asked in zip(left, (60, 30, 600), strict=True):
        assert asked - 1 < seconds <= asked * 17 / 16
    assert left[0] != 2 * left[1]


async def test_those_who_ask_the_same_share_an_answer_and_a_filter_is_kept_to() -> None:
    it = Watched()
    index = it.register(tags=["blue"])
    made: list[int] = []
    inner = it.resolving._asked

    async def noted(name: str, values: Values) -> Answer:
        made.append(1)
        return await inner(name, values)

    it.resolving._asked = noted  # type: ignore[method-assign]
    alike = [it.resolve(f"web?index={index}&wait={30 + number}") for number in range(100)]
    blue = it.resolve(f"web?tag=blue&index={index}")
    it.register(port=81)
    await until(lambda: all(told.is_over for told in (*alike, blue)))
    assert {told.body["instanceCount"] for told in alike} == {2}
    assert blue.body["instanceCount"] == 1
    assert len(made) == 1 + -(-100 // polls._PER_STEP)


async def test_an_order_that_is_drawn_is_drawn_for_each() -> None:
    it = Watched()
    for port in range(80, 90):
        index = it.register(port=port)
    told = [it.resolve(f"web?strategy=random&index={index}") for _ in range(20)]
    it.register(port=90)
    await until(lambda: all(each.is_over for each in told))
    assert len({each.body["instances"][0]["port"] for each in told}) > 3


async def test_an_answer_is_made_when_it_is_given_not_when_the_change_came() -> None:
    """Between two steps another change comes: those who are answered later hear of it."""
    it = Watched()
    index = it.register()
    told = [it.resolve(f"web?index={index}") for _ in range(3 * polls._PER_STEP)]
    it.register(port=81)
    while not any(each.is_over for each in told):  # noqa: ASYNC110 - `until` may sleep over the second step
        await asyncio.sleep(0)
    it.register(port=82)
    await until(lambda: all(each.is_over for each in told))
    assert {each.body["instanceCount"] for each in told} == {2, 3}


async def test_one_who_leaves_is_forgotten_at_once() -> None:
    it = Watched()
    index = it.register()
    leaves, stays = it.resolve(f"web?index={index}"), it.resolve(f"web?index={index}")
    other = it.resolve(f"new?index={index}")
    leaves.leave()
    other.leave()
    assert (waiting(it), set(it.watch.polls._waiting)) == (1, {"web"})
    it.register(port=81)
    await until(lambda: stays.is_over)
    assert not leaves.answers
    await quiet()
    assert (waiting(it), it.watch.polls._waiting) == (0, {})


async def test_nothing_of_a_poll_is_left_for_the_collector() -> None:
    it = Watched()
    index = it.register()
    gc.disable()
    try:
        told = [it.resolve(f"web?index={index}") for _ in range(2)]
        left = [weakref.ref(each) for each in told]
        told.pop().leave()
        it.register(port=81)
        await until(lambda: told[0].is_over)
        await quiet()
        told.clear()
        assert [ref() for ref in left] == [None, None]
    finally:
        gc.enable()


async def test_when_the_server_stops_all_are_answered() -> None:
    it = Watched()
    index = it.register()
    told, everything = it.resolve(f"web?index={index}"), it.services(index)
    for each in (told, everything):
        each.held.stop()
    await until(lambda: told.is_over and everything.is_over)
    assert (told.answers[0].status, everything.handed_on) == (200, True)


async def test_a_bug_in_the_answer_is_a_500_and_wakes_everybody_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Watched()
    index = it.register()
    monkeypatch.setattr(it.resolving, "_resolved", lambda *args: 1 / 0)
    told = [it.resolve(f"web?index={index}") for _ in range(30)]
    it.register(port=81)
    await until(lambda: all(each.is_over for each in told))
    assert {each.answers[0].status for each in told} == {500}


# -- for anything at all


async def test_any_change_wakes_those_who_wait_for_all_and_nothing_else_does() -> None:
    it = Watched()
    index = it.register()
    told = it.services(index)
    it.registry.renew(KEY, START + 1, WALL + 1)
    await quiet()
    assert not told.is_over
    it.register("api")
    await until(lambda: told.is_over)
    assert told.handed_on


async def test_they_are_told_once_a_second_at_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polls, "EVERY", 0.5)
    it = Watched()
    index = it.register()
    first = it.services(index)
    it.register("api")
    await until(lambda: first.is_over)
    index = it.registry.index
    again = it.services(index)
    it.register("api", port=81)
    behind = it.services(index)  # it has come, but everybody was told just now
    long_ago = it.services(100)
    await until(lambda: long_ago.is_over)
    await quiet()
    assert not again.is_over
    assert not behind.is_over
    await until(lambda: again.is_over and behind.is_over)
    assert it.watch.polls._timer is None


async def test_one_who_comes_back_when_the_second_is_over_is_told_at_once() -> None:
    it = Watched()
    first = it.services(it.register())
    index = it.register("api")
    await until(lambda: first.is_over)
    it.register("api", port=81)
    it.now += polls.EVERY
    told = it.services(index)
    await until(lambda: told.is_over)
    assert not it.watchers


@pytest.mark.parametrize("seen", [0, 99, 102])
async def test_of_all_too_what_was_never_said_is_answered_at_once(seen: int) -> None:
    it = Watched()
    it.register()
    told = it.services(seen)
    await until(lambda: told.is_over)


# -- how many


async def test_there_are_only_so_many_in_all_and_of_one_prefix() -> None:
    it = Watched(most=3, most_of_prefix=2)
    index = it.register()
    first = it.resolve(f"web?index={index}")
    it.services(index)
    third, other = it.events(), it.events(prefix="10.0.0.8")
    late = it.events(prefix="10.0.0.7")
    for refused in (third, late):
        [error] = refused.errors
        assert isinstance(error, HttpError)
        assert (error.status, error.code, error.facts) == (503, "TOO_MANY_WATCHERS", {"retryAfter": 5})
    assert (len(it.watchers), it.watchers.refused) == (3, 2)
    first.leave()
    other.leave()
    await quiet()
    assert not it.events(prefix="10.0.0.7").errors
    answered = it.resolve(f"web?index={index - 1}")  # it does not wait, so it does not count
    await until(lambda: answered.is_over)
    assert answered.answers


async def test_a_thousand_are_woken_in_the_time_of_one_by_a_write() -> None:
    """What a write pays for those who wait does not grow with them."""
    it = Watched()
    index = it.register()
    assert isinstance(it.watch.polls, Polls)
    told = [it.resolve(f"web?index={index}") for _ in range(1000)]
    it.register(port=81)
    assert len(turns()._steps) == 1
    await until(lambda: all(each.is_over for each in told))
    await quiet()
    assert not it.watchers


async def test_where_there_are_other_nodes_an_index_of_theirs_is_waited_for_first() -> None:
    it = Watched(has_other_nodes=True)
    index = it.register()
    known, newer = it.resolve(f"web?index={index + 1}"), it.resolve(f"web?index={index + 2}")
    await quiet()
    assert not known.is_over
    assert waiting(it) == 2
    it.register("api")  # reached, and about another service: it waits on, as today
    await quiet()
    assert not known.is_over
    assert it.register(port=81) == index + 2
    await until(lambda: known.is_over)
    await quiet()
    assert not newer.is_over, "what it has seen is what there is"
    it.register(port=82)
    await until(lambda: newer.is_over)
    assert newer.body["instanceCount"] == 3
    await until(lambda: not waiting(it))


async def test_an_index_that_does_not_come_is_waited_for_no_longer_than_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(polls, "AHEAD_SECONDS", 0.05)
    it = Watched(has_other_nodes=True)
    index = it.register()
    started = time.monotonic()
    one, all = it.resolve(f"web?index={index + 9}"), it.services(index + 9)
    await until(lambda: one.is_over and all.handed_on)
    assert time.monotonic() - started >= 0.05
    await until(lambda: not waiting(it))
    gone = it.resolve(f"web?index={index + 9}")
    gone.held.ended()
    assert (waiting(it), it.watch.polls._ahead) == (0, {})
    stopped = it.resolve(f"web?index={index + 9}")
    stopped.held.stop()
    await until(lambda: stopped.is_over)


async def test_a_single_node_answers_an_index_that_it_cannot_have_said_at_once() -> None:
    it = Watched()
    told = it.resolve(f"web?index={it.register() + 1}")
    await until(lambda: told.is_over)
