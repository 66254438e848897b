"""Streams of events: what they say, in which order, from where on, and what becomes of those who do not read."""

from __future__ import annotations

import asyncio
import gc
import weakref
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discovery.core.event import Commit
from discovery.core.instance import Key
from discovery.core.maintenance import Scope, Window
from discovery.rest.watch import streams
from discovery.store.log import Log
from tests.examples import examples
from tests.rest.watch.making import Told, Watched, messages, quiet
from tests.routes import asked
from tests.store.making import START, WALL
from tests.waiting import until

KEY = Key("web", "10.0.0.1", 80)


def ids(told: Told) -> list[int | None]:
    return [id for _, id, _ in told.messages()]


def indexes(told: Told) -> list[int]:
    return [data["index"] for event, _, data in told.messages() if event == "message"]


async def test_it_begins_with_a_comment_and_goes_on_with_what_happens_from_now_on() -> None:
    it = Watched()
    it.register()
    told = it.events()
    assert told.headers == {
        "Content-Type": "text/event-stream",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
        "X-Registry-Log-Start": "100",
    }
    await quiet()
    assert told.octets == b":\n\n"
    index = it.register(port=81, metadata={"line": "a\nb\r\u2028c"})
    await until(lambda: bool(told.messages()))
    [(event, id, data)] = told.messages()
    assert (event, id, data["index"], data["kind"], data["service"]) == ("message", index, index, "registered", "web")
    assert data["instance"]["metadata"] == {"line": "a\nb\r\u2028c"}
    assert b"\r" not in told.octets


async def test_heartbeats_and_unchanged_registrations_are_no_events() -> None:
    it = Watched()
    it.register()
    told = it.events()
    it.registry.renew(KEY, START + 1, WALL + 1)
    it.register()
    await quiet()
    assert not told.messages()


async def test_the_id_stands_on_the_last_message_of_a_commit_that_passes() -> None:
    """Else a client that was cut in the middle would go on behind what it has not seen."""
    it = Watched()
    for port in range(80, 85):
        it.register(port=port, tags=["blue"] if port < 83 else [])
    told, blue, kinds = it.events(), it.events("tag=blue"), it.events("kind=maintenance-begins")
    it.registry.maintain(Scope("web"), Window("new disks", WALL + 60), START, WALL)
    index = it.registry.index
    await until(lambda: len(told.messages()) == 6 and len(blue.messages()) == 3 and len(kinds.messages()) == 1)
    assert ids(told) == [None] * 5 + [index]
    assert ids(blue) == [None, None, index]
    [(_, id, data)] = kinds.messages()
    assert (id, data["maintenance"]["reason"]) == (index, "new disks")


async def test_commits_that_share_an_index_are_all_told_and_the_id_stands_on_the_last() -> None:
    """So it is under etcd: the decisions of one transaction."""
    it = Watched()
    told, web = it.events(), it.events("service=web")
    await quiet()
    made: list[Commit] = []
    it.registry.followers.append(made.append)
    for name in ("web", "api", "web"):
        it.registry.index = 100
        it.register(name, port=80 + len(made))
    await until(lambda: len(told.messages()) == 3 and len(web.messages()) == 2)
    assert ids(told) == [None, None, 101]
    assert ids(web) == [None, 101]
    it.registry.index = 100
    it.register("web", port=90)  # in a later turn
    await until(lambda: len(told.messages()) == 4 and len(web.messages()) == 3)
    assert (ids(told), ids(web)) == ([None, None, 101, 101], [None, 101, 101])


async def test_since_resumes_behind_that_index() -> None:
    it = Watched()
    made = [it.register(port=port) for port in range(80, 180)]
    told = it.events(since=made[41])
    await until(lambda: len(told.messages()) == 58)
    assert indexes(told) == ids(told) == made[42:]


@pytest.mark.parametrize("since", [-1, 0, 99, 102, 2**62])
async def test_a_gap_is_told_and_it_goes_on_from_now(since: int) -> None:
    it = Watched()
    it.register()
    told = it.events(since=since)
    it.register(port=81)
    await until(lambda: len(told.messages()) == 2)
    assert told.messages()[0] == ("reset", 101, {"index": 101, "oldest": 100})
    assert indexes(told) == [102]


@pytest.mark.parametrize("since", [100, 101])
async def test_where_nothing_is_missing_there_is_no_gap(since: int) -> None:
    it = Watched()
    it.register()
    told = it.events(since=since)
    await quiet()
    assert [event for event, _, _ in told.messages()] == ["message"] * (101 - since)


async def test_a_change_wakes_those_of_its_service_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Watched()
    web, api, everything = it.events("service=web,db"), it.events("service=api"), it.events()
    await quiet()
    read: list[str] = []
    inner = streams.Streams._read

    def noted(self: streams.Streams, stream: streams.Stream) -> bool:
        read.append(str(stream.asked.services))
        return inner(self, stream)

    monkeypatch.setattr(streams.Streams, "_read", noted)
    for port in range(80, 90):
        it.register("api", port=port)
        await until(lambda port=port: len(api.messages()) == len(everything.messages()) == port - 79)  # type: ignore[misc]
    assert (len(read), web.messages()) == (20, [])
    it.register("db")
    await until(lambda: bool(web.messages()))
    assert len(api.messages()) == 10


async def test_one_that_follows_two_services_hears_of_the_first_though_many_are_woken_before_it() -> None:
    it = Watched()
    both = it.events("service=api,web")
    await quiet()
    others = [it.events("service=api") for _ in range(100)]  # more than one step wakes
    await quiet()
    expected = [it.register("api"), it.register("web")]
    await quiet()
    assert indexes(both) == expected
    assert all(indexes(other) == expected[:1] for other in others)


async def test_one_of_quiet_services_is_not_lost_when_the_log_has_moved_on() -> None:
    it = Watched(log=Log(max_events=5))
    web = it.events("service=web")
    await quiet()
    for port in range(80, 100):
        it.register("api", port=port)
    index = it.register("web")
    await until(lambda: bool(web.messages()))
    assert (ids(web), it.watchers.cut) == ([index], 0)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("register"), st.sampled_from(["web", "api", "db"]), st.integers(80, 83)),
        st.tuples(st.just("drain"), st.sampled_from(["web", "api", "db"]), st.integers(80, 83)),
        st.tuples(st.just("window"), st.sampled_from(["web", "api", "db"]), st.just(0)),
        st.tuples(st.sampled_from(["pause", "read", "turn"]), st.integers(0, 3), st.just(0)),
    ),
    max_size=60,
)
QUERIES = ["", "service=web,db", "service=api&kind=registered,updated", "kind=maintenance,maintenance-begins"]


@settings(max_examples=examples(60))
@given(steps=STEPS, piece=st.sampled_from([1, 600, streams.PIECE]))
def test_whoever_reads_when_he_likes_gets_every_event_that_passes_once_and_in_order(
    steps: list[tuple[str, Any, int]], piece: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "PIECE", piece)
        asyncio.run(_everything_in_order(steps))


async def _everything_in_order(steps: list[tuple[str, Any, int]]) -> None:
    it = Watched()
    commits: list[Commit] = []
    it.registry.followers.append(commits.append)
    told = [it.events(query) for query in QUERIES]
    versions = iter(range(1000))
    for step, of, port in steps:
        if step == "register":
            it.register(of, port, metadata={"v": next(versions)})
        elif step == "drain" and it.registry.find(Key(of, "10.0.0.1", port)) is not None:
            entry = it.registry.at(Key(of, "10.0.0.1", port))
            it.registry.drain(Key(of, "10.0.0.1", port), not entry.instance.draining, "asked for", START, WALL)
        elif step == "window" and it.registry.service(of):
            it.registry.maintain(Scope(of), Window("disks", WALL + 60 + next(versions)), START, WALL)
        elif step == "pause":
            told[of].reads, told[of].paused = False, True
        elif step == "read":
            told[of].reads = True
            told[of].read()
        else:
            await asyncio.sleep(0)
    for each in told:
        each.reads = True
        each.read()
    await quiet()
    for query, each in zip(QUERIES, told, strict=True):
        stream = each.held
        assert isinstance(stream, streams.Stream)
        wanted = [
            (commit.index, number)
            for commit in commits
            for number, event in enumerate(commit.events)
            if stream.asked.passes(event)
        ]
        assert indexes(each) == [index for index, _ in wanted], query
        marked = [id for id in ids(each) if id is not None]
        assert marked == sorted({index for index, _ in wanted}), query
        last = [index for index, _ in wanted]
        assert ids(each) == [one if one != after else None for one, after in pairwise([*last, 0])]
        each.leave()
    assert not it.watchers


# -- those who do not read


async def test_one_who_does_not_read_costs_a_little_is_cut_when_far_behind_and_can_resume() -> None:
    it = Watched()
    slow, reads = it.events(reads=False), it.events()
    await quiet()
    large = {"x": "y" * 15_000}
    for port in range(100):
        it.register("web", 1000 + port, metadata=large)
        await until(lambda port=port: len(reads.messages()) == port + 1)  # type: ignore[misc]
    assert slow.is_over
    assert (it.watchers.cut, reads.is_over) == (1, False)
    assert len(slow.octets) < 64 * 1024
    got = messages(slow.octets)
    again = it.events(since=got[-1][1] if got else 100)
    await until(lambda: len(got) + len(again.messages()) == 100)
    assert [data["index"] for _, _, data in got] + indexes(again) == indexes(reads)


async def test_one_who_fell_out_of_the_log_is_cut() -> None:
    it = Watched(log=Log(max_events=5))
    slow = it.events(reads=False)
    await quiet()
    for port in range(80, 100):
        it.register(port=port)
        await quiet()
    assert not slow.is_over  # nobody asks, while he does not read
    slow.reads = True
    slow.read()
    await until(lambda: slow.is_over)
    assert it.watchers.cut == 1
    await quiet()
    assert not it.watchers


async def test_one_who_reads_again_in_time_has_missed_nothing() -> None:
    it = Watched()
    slow = it.events(reads=False)
    await quiet()
    for port in range(80, 120):
        it.register(port=port)
        await quiet()
    while len(slow.messages()) < 40:
        slow.read()
        await quiet()
    assert indexes(slow) == list(range(101, 141))
    assert it.watchers.cut == 0


async def test_what_is_written_at_once_is_bounded() -> None:
    it = Watched()
    for port in range(200):
        it.register("web", 1000 + port, metadata={"x": "y" * 15_000})
    told = it.events(since=100)
    await until(lambda: told.octets.count(b"\ndata: ") == 200)
    assert told.largest < streams.PIECE + 40 * 1024


# -- comments, and the end


async def test_comments_come_spread_and_not_to_those_who_do_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "COMMENT_SECONDS", 0.02)
    it = Watched()
    slow, *others = it.events(reads=False), *(it.events() for _ in range(20))
    firsts = {each.held.timer.when() for each in others}  # type: ignore[attr-defined]
    assert max(firsts) - min(firsts) > 0.005
    await until(lambda: all(each.octets.count(b":\n\n") >= 3 for each in others))
    assert slow.octets == b":\n\n"
    for each in (slow, *others):
        each.leave()


async def test_one_whose_token_has_ended_is_not_told_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "COMMENT_SECONDS", 0.02)
    it = Watched()
    stays, goes = it.events(), it.events()
    goes.welcome = False
    await until(lambda: goes.is_over)
    it.register()
    await until(lambda: bool(stays.messages()))
    assert (goes.messages(), it.watchers.cut) == ([], 0)


async def test_when_the_server_stops_it_ends_at_once_and_nothing_more_is_said() -> None:
    it = Watched()
    told = it.events()
    told.held.stop()
    assert told.is_over
    it.register()
    await quiet()
    assert (told.messages(), len(it.watchers)) == ([], 0)


async def test_nothing_of_a_stream_is_left_for_the_collector() -> None:
    it = Watched()
    gc.disable()
    try:
        told = [it.events(query) for query in QUERIES]
        left = [weakref.ref(each) for each in told]
        it.register()
        await until(lambda: bool(told[0].messages()))
        for each in told:
            each.leave()
        del each
        told.clear()
        await quiet()
        assert [ref() for ref in left] == [None] * len(QUERIES)
        assert not it.watch._streams._idle
    finally:
        gc.enable()


async def test_who_may_not_know_who_asked_does_not_hear_it() -> None:
    it = Watched()
    it.register()
    told = it.events(with_actor=False)
    it.registry.deregister(KEY, "asked for by deploy at 10.9.9.9", START, WALL)
    await until(lambda: bool(told.messages()))
    assert b"10.9.9.9" not in told.octets
    [(_, _, data)] = told.messages()
    assert (data["actor"], data["reason"], data["instance"]) == (None, "asked for", None)


async def test_what_changes_in_pieces_is_told_when_it_is_whole_to_streams_and_polls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    it = Watched(log=Log(max_events=8))
    seen = it.register()
    followers = [it.events(), it.events("service=web")]
    polls = [it.resolve(f"web?index={seen}"), it.services(seen)]
    await quiet()
    with monkeypatch.context() as pieces:
        pieces.setattr(it.registry, "publish", lambda index: None)
        for port in range(81, 84):
            it.register(port=port)
            late = it.events(since=seen)
            assert it.resolving.resolve(asked("GET", "/resolve/web")).index == seen  # type: ignore[union-attr]
            await quiet()
            assert not any(told.messages() for told in (*followers, late))
            assert not any(poll.answers or poll.handed_on for poll in polls)
        it.now += 60
    it.registry.publish(seen + 1)
    await until(lambda: all(len(told.messages()) == 3 for told in (*followers, late)))
    assert {index for told in followers for index in indexes(told)} == {seen + 1}
    assert [ids(told) for told in followers] == [[None, None, seen + 1]] * 2
    await until(lambda: bool(polls[0].answers) and polls[1].handed_on)
    assert polls[0].answers[0].index == seen + 1
    with monkeypatch.context() as pieces:
        pieces.setattr(it.registry, "publish", lambda index: None)
        for port in range(84, 94):
            it.register(port=port)
    it.registry.publish(seen + 2)
    await until(lambda: all(told.is_over for told in (*followers, late)))  # more than the log has room for
    [(event, _, data)] = (again := it.events(since=seen + 1)).messages()
    assert (event, data["index"]) == ("reset", seen + 2), again
