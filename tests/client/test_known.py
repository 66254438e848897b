"""The lists that a Resolver keeps, and what events and silence make of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from discovery.client.event_stream import Event
from discovery.client.instance import Instance, InstanceContent
from discovery.client.known import GRACE, Known


def shown(port: int, status: str = "healthy", id: str = "x") -> InstanceContent:
    return {"id": id, "ip": "10.0.0.1", "port": port, "status": status}


def changed(index: int, before: InstanceContent | None, instance: InstanceContent | None) -> Event:
    told: Any = {}
    return Event(index, "…", "api", instance, before, "", told)


def of(*contents: InstanceContent) -> list[Instance]:
    return [Instance.of("api", each) for each in contents]


def ports(known: Known) -> list[int | None]:
    return [each.port for each in known.served]


def test_events_change_the_list_that_was_read() -> None:
    known = Known("api")
    known.read(of(shown(2), shown(1)), 10, 0.0, True)
    known.apply(changed(11, None, shown(3)))
    assert ports(known) == [3, 2, 1], "heard of last first"
    known.apply(changed(12, shown(2), shown(2, "draining")))
    known.apply(changed(13, shown(1), None))
    assert ports(known) == [3]


def test_what_the_list_has_seen_is_not_applied_again() -> None:
    known = Known("api")
    known.read(of(shown(1)), 10, 0.0, True)
    known.apply(changed(9, shown(1), None))
    known.apply(changed(10, shown(1), None))
    assert ports(known) == [1]


def test_a_list_from_before_an_event_that_was_heard_is_not_taken() -> None:
    known = Known("api")
    known.read(of(shown(1)), 10, 0.0, True)
    known.apply(changed(12, None, shown(2)))
    assert not known.read(of(shown(1)), 11, 1.0, True)
    assert ports(known) == [2, 1]
    assert known.read(of(shown(1), shown(2)), 12, 1.0, True)


def test_an_instance_that_came_back_under_another_id_is_not_there_twice() -> None:
    known = Known("api")
    known.read(of(shown(1, id="old")), 10, 0.0, True)
    known.apply(changed(11, None, shown(1, id="new")))
    assert [each.id for each in known.served] == ["new"]


def test_suspects_stand_behind_the_healthy_and_those_that_flap_only_where_there_is_nobody_else() -> None:
    known = Known("api")
    known.read(of(shown(1), shown(2, "suspect")), 10, 0.0, True)
    known.apply(changed(11, None, shown(3, "flapping")))
    assert ports(known) == [1, 2]
    known.apply(changed(12, shown(1), None))
    assert ports(known) == [2]
    assert known.apply(changed(13, shown(2), None))
    assert ports(known) == [3]


def test_when_nobody_is_left_the_registry_is_asked() -> None:
    known = Known("api")
    known.read(of(shown(1)), 10, 0.0, True)
    assert not known.apply(changed(11, shown(1), shown(1, "unhealthy")))
    assert ports(known) == []


def test_after_a_gap_an_empty_list_is_believed_only_after_a_while() -> None:
    known = Known("api")
    known.read(of(shown(1)), 10, 0.0, True)
    known.restart()
    known.read([], 5, 100.0, False)
    assert (ports(known), known.unconfirmed) == ([1], True)
    known.read([], 5, 99.9 + GRACE, False)
    assert ports(known) == [1]
    known.read([], 5, 100.0 + GRACE, False)
    assert (ports(known), known.unconfirmed) == ([], False)


def test_who_is_there_again_ends_the_doubt() -> None:
    known = Known("api")
    known.read(of(shown(1)), 10, 0.0, True)
    known.read([], 11, 100.0, False)
    known.read(of(shown(2)), 12, 101.0, False)
    assert (ports(known), known.unconfirmed) == ([2], False)
    known.read([], 13, 200.0, False)
    assert ports(known) == [2], "and the while begins anew"


def test_an_empty_list_of_which_nothing_was_missed_is_the_truth() -> None:
    known = Known("api")
    known.read(of(shown(1)), 10, 0.0, True)
    known.read([], 11, 1.0, True)
    assert ports(known) == []


STATUSES = ("healthy", "suspect", "flapping", "draining", "unhealthy", None)


@given(
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from(STATUSES)), max_size=30),
    st.integers(0, 30),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6),
)
def test_whatever_order_lists_and_events_come_in_it_ends_as_the_registry_has_it(
    changes: list[tuple[int, str | None]], first: int, reads: list[tuple[int, int]]
) -> None:
    """`first`: index of the list that was read first. `reads`: a list of that index that comes only after so many events."""
    truth: list[dict[int, InstanceContent]] = [{}]
    events: list[Event] = []
    for port, status in changes:
        state = dict(truth[-1])
        before, instance = state.pop(port, None), None if status is None else shown(port, status)
        if instance is not None:
            state[port] = instance
        truth.append(state)
        events.append(changed(len(events) + 1, before, instance))
    last = len(events)

    def answer(index: int) -> list[Instance]:
        found = of(*truth[min(index, last)].values())
        best = [each for each in found if each.status in ("healthy", "suspect")]
        return best or [each for each in found if each.status == "flapping"]

    known = Known("api")
    known.read(answer(first), min(first, last), 0.0, True)
    for event in events:
        if not known.apply(event):
            known.read(answer(event.index), event.index, 0.0, True)
        for index, after in reads:
            if after == event.index and index <= after and not known.read(answer(index), index, 0.0, True):
                known.read(answer(after), after, 0.0, True)
    assert {each.port for each in known.served} == {each.port for each in answer(last)}


def test_where_some_are_nearer_a_change_is_applied_and_the_list_is_asked_for_again() -> None:
    known = Known("api")
    known.has_zone = True
    known.read([*of(shown(1), shown(2)), replace(of(shown(3))[0], behind=True)], 10, 0.0, True)
    assert not known.apply(changed(11, None, shown(4)))
    assert not known.apply(changed(12, shown(3), shown(3)))
    assert not known.apply(changed(13, shown(1), shown(1)))
    assert [(each.port, each.behind) for each in known.served] == [(1, False), (2, False), (3, True), (4, True)]
    assert known.apply(changed(13, None, shown(5))) is False
    known.has_zone = False
    assert known.apply(changed(14, shown(1), None))
