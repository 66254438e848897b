"""The lane against the simplest thing that could be right: a list and a number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from discovery.plugins.check.rounds import Lane

STEPS = st.lists(st.tuples(st.sampled_from(["enter", "next", "leave", "drop"]), st.integers(0, 5)))


@given(STEPS, st.integers(1, 4))
def test_the_first_come_are_the_first_served_and_never_more_than_the_most(
    steps: list[tuple[str, int]], most: int
) -> None:
    lane: Lane[int] = Lane(most)
    waiting: list[int] = []
    in_hand: list[int] = []
    for what, item in steps:
        if what == "enter":
            lane.enter(item)
            if item not in waiting:
                waiting.append(item)
        elif what == "drop":
            lane.drop(item)
            if item in waiting:
                waiting.remove(item)
        elif what == "leave" and in_hand:
            lane.leave()
            in_hand.pop()
        elif what == "next":
            expected = waiting.pop(0) if waiting and len(in_hand) < most else None
            if expected is not None:
                in_hand.append(expected)
            assert lane.next() == expected
