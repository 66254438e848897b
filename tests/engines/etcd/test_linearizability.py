"""What clients were told while everything failed is explained by one order of their calls; and the checker finds what is not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.engines.etcd import histories
from tests.engines.etcd.linearizability import Call, State, Step, is_linearizable, service_of
from tests.examples import examples

ONE = service_of(1)


def call(start: float, end: float, action: str, key: str, outcome: str | None) -> Call:
    return Call(start, end if outcome is not None else math.inf, action, key, outcome)


WRONG = {
    "two in a place for one": [call(0, 1, "register", "a", "ok"), call(2, 3, "register", "b", "ok")],
    "two at once in a place for one": [call(0, 3, "register", "a", "ok"), call(1, 2, "register", "b", "ok")],
    "full, though empty": [call(0, 1, "register", "a", "full")],
    "full before the other came": [call(0, 1, "register", "a", "full"), call(2, 3, "register", "b", "ok")],
    "removed twice": [
        call(0, 1, "register", "a", "ok"), call(2, 3, "deregister", "a", "ok"), call(4, 5, "deregister", "a", "ok"),
    ],
    "an acknowledged one is lost": [call(0, 1, "register", "a", "ok"), call(2, 3, "deregister", "a", "unknown")],
    "read without it": [call(0, 1, "register", "a", "ok"), call(2, 3, "read", "", "")],
    "nobody knows, and yet it was before": [call(0, 1, "deregister", "a", "ok"), call(2, 3, "register", "a", None)],
    "it went by itself": [
        call(0, 1, "register", "a", "ok"), call(2, 5, "deregister", "a", "unknown"), call(6, 7, "read", "", ""),
    ],
}  # fmt: skip
RIGHT = {
    "nothing": [],
    "one made way for the other": [
        call(0, 1, "register", "a", "ok"), call(2, 9, "deregister", "a", "ok"), call(3, 4, "register", "b", "ok"),
    ],
    "again": [call(0, 1, "register", "a", "ok"), call(2, 3, "register", "a", "ok")],
    "nobody knows, and it was": [call(0, 1, "register", "a", None), call(2, 3, "register", "b", "full")],
    "nobody knows, and it was not": [call(0, 1, "register", "a", None), call(2, 3, "register", "b", "ok")],
    "nobody knows, and it was much later": [
        call(0, 1, "register", "a", None), call(2, 3, "read", "", ""), call(4, 5, "read", "", "a"),
    ],
    "at the same time": [call(0, 3, "register", "a", "full"), call(0, 3, "register", "b", "ok")],
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_have_been_is_found(what: str) -> None:
    assert not is_linearizable(WRONG[what], ONE)


@pytest.mark.parametrize("what", RIGHT)
def test_what_can_have_been_is_believed(what: str) -> None:
    assert is_linearizable(RIGHT[what], ONE)


def by_all_orders(history: Sequence[Call], step: Step) -> bool:
    """Tries every order of every choice of those that nobody knows of."""
    known = [each for each in history if each.outcome is not None]
    doubtful = [each for each in history if each.outcome is None]
    for chosen in range(1 << len(doubtful)):
        some = [*known, *(each for number, each in enumerate(doubtful) if chosen >> number & 1)]
        for order in permutations(some):
            ends_before_start = any(
                later.end < earlier.start for place, earlier in enumerate(order) for later in order[place + 1 :]
            )
            if not ends_before_start and _explained(order, step):
                return True
    return False


def _explained(order: Sequence[Call], step: Step) -> bool:
    state: State = frozenset()
    for each in order:
        after = step(state, each)
        if after is None:
            return False
        state = after
    return True


OUTCOMES: list[tuple[str, str | None]] = [
    *(("register", outcome) for outcome in ("ok", "full", None)),
    *(("deregister", outcome) for outcome in ("ok", "unknown", None)),
    *(("read", outcome) for outcome in ("", "a", "b", "a,b")),
]
CALLS = st.builds(
    lambda start, length, what, key: call(start, start + length, what[0], key, what[1]),
    st.integers(0, 8), st.integers(1, 6), st.sampled_from(OUTCOMES), st.sampled_from("ab"),
)  # fmt: skip


@settings(max_examples=examples(300))
@given(st.lists(CALLS, max_size=5), st.integers(1, 2))
@example([*WRONG["it went by itself"], *RIGHT["again"]], 1)
def test_the_checker_says_what_trying_all_orders_says(history: list[Call], limit: int) -> None:
    step = service_of(limit)
    assert is_linearizable(history, step) == by_all_orders(history, step)


async def test_the_history_of_clients_under_faults_is_linearizable(tmp_path: Path) -> None:
    recorded = await histories.record(tmp_path, 10, seed=0)
    assert recorded.done["register ok"] > 50
    assert recorded.not_linearizable() == []
