from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.caller import NOBODY
from discovery.core.event import Commit, InstanceEvent, Kind
from discovery.core.instance import Instance
from discovery.core.kinds import ZonesEvent
from discovery.store.log import Compacted, Log
from tests.store.making import WALL, spec


def commit(index: int, *services: str, octets: int = 0) -> Commit:
    events = [
        InstanceEvent(
            Kind.REGISTERED, name, None, Instance("id", WALL, spec(name, metadata={"v": "x" * octets})), "new"
        )
        for name in services
    ]
    return Commit(index, WALL, NOBODY, "register", tuple(events) or (ZonesEvent("read again"),))


def add(log: Log, commit: Commit) -> None:
    log.stage(commit)
    log.publish(commit.index)


def indexes(commits: list[Commit]) -> list[int]:
    return [commit.index for commit in commits]


# Indexes grow with gaps, as they do under etcd.
HISTORY = st.lists(st.tuples(st.integers(1, 3), st.sets(st.sampled_from(["web", "api", "db"]))), max_size=40)


@given(start=st.integers(0, 9), history=HISTORY, most=st.integers(1, 20), asked=st.integers(0, 100))
def test_whoever_asks_gets_all_that_came_after_or_is_told_that_some_of_it_is_gone(
    start: int, history: list[tuple[int, set[str]]], most: int, asked: int
) -> None:
    log, index, said = Log(start, max_events=most), start, []
    for gap, services in history:
        index += gap
        said.append(commit(index, *sorted(services)))
        add(log, said[-1])
    kept = [each for each in said if each.index > log.oldest]
    assert sum(len(each.events) for each in kept) <= most
    for service in (None, "web", "api", "db"):
        about = [
            each
            for each in said
            if service is None or any(getattr(event, "service", None) == service for event in each.events)
        ]
        if asked < log.oldest:
            with pytest.raises(Compacted) as gone:
                log.after(asked, service)
            assert gone.value.oldest == log.oldest
        else:
            assert log.after(asked, service) == [each for each in about if each.index > asked]
        if service is not None:
            assert log.index_of(service) == max([log.oldest, *indexes(about)])


def test_large_metadata_is_counted_in_octets() -> None:
    log = Log(max_octets=100_000)
    for index in range(1, 21):
        add(log, commit(index, "web", octets=15_000))
    assert 4 <= len(log.after(log.oldest)) <= 6


def test_what_was_forgotten_takes_no_place_in_the_index_by_service() -> None:
    log = Log(max_events=5)
    for index in range(1, 1001):
        add(log, commit(index, f"svc-{index}"))
    assert len(log._by_service) == 5


def test_who_reads_along_by_position_gets_so_many_at_a_time_as_he_wants() -> None:
    log = Log(max_events=10)
    for index in range(1, 31):
        add(log, commit(index, "web" if index % 2 else "api"))
    start = log.position_after(20)
    assert [each.index for _, each in log.read(start, limit=3)] == [21, 22, 23]
    web = log.read(start, "web", limit=3)
    assert [each.index for _, each in web] == [21, 23, 25]
    assert [each.index for _, each in log.read(web[-1][0], "web")] == [27, 29]
    assert log.read(log.position) == log.read(log.position, "web") == log.read(start, "db") == []
    assert log.written == 3 * log._octets
    with pytest.raises(Compacted):
        log.read(start - 1)


def test_commits_may_share_an_index_and_are_read_one_by_one_all_the_same() -> None:
    log = Log()
    for index in (1, 2, 2, 2, 3):
        add(log, commit(index, "web"))
    assert indexes(log.after(1)) == [2, 2, 2, 3]
    assert [each.index for _, each in log.read(2)] == [2, 2, 3]
    assert [position for position in range(6) if log.is_last_of_index(position)] == [0, 1, 4, 5]


def test_the_last_about_a_service_is_what_readers_see() -> None:
    log = Log()
    assert log.index_of("web") == 0
    for index, service in ((1, "web"), (2, "web"), (3, "db")):
        add(log, commit(index, service))
    log.stage(commit(4, "web"))
    assert log.index_of("web") == 2
