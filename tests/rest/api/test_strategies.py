"""The orders in which /resolve gives what is served."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.status import Status
from discovery.rest.api.resolving.strategies import MAX_TURNS, STRATEGIES, Strategies
from discovery.store.service import Entry
from tests.store.making import START, an_entry, spec

ROUNDS = 2000


def entries(count: int, suspects: int = 0) -> list[Entry]:
    """Ports 1 to `count`, and as many suspects behind them; the later registered beat later."""
    found = [an_entry(port) for port in range(1, count + suspects + 1)]
    for place, entry in enumerate(found):
        entry.lease.renewed_at += place
        if place >= count:
            entry.instance = entry.instance.with_status(Status.SUSPECT)
    return found


def ports(found: list[Entry]) -> list[int]:
    return [entry.instance.spec.port for entry in found]


def asked(
    strategies: Strategies, strategy: str, found: list[Entry], limit: int | None = None, question: str = "q"
) -> list[int]:
    return ports(strategies.order(strategy, found, question, limit, START))


@given(
    st.sampled_from(STRATEGIES),
    st.integers(0, 6),
    st.integers(0, 4),
    st.none() | st.integers(1, 12),
    st.integers(0, 99),
)
def test_every_order_has_each_once_suspects_last_and_no_more_than_the_limit(
    strategy: str, count: int, suspects: int, limit: int | None, seed: int
) -> None:
    found = entries(count, suspects)
    strategies = Strategies(Random(seed))
    for _ in range(3):
        ordered = strategies.order(strategy, list(found), "q", limit, START)
        assert len(ordered) == len(found[:limit]) == len(set(ports(ordered)))
        flags = [entry.suspect(START) for entry in ordered]
        assert flags == sorted(flags)
        assert sum(flags) == max(0, len(ordered) - count)


def test_latest_is_by_heartbeat() -> None:
    assert asked(Strategies(Random(1)), "latest", entries(3, 2)) == [3, 2, 1, 5, 4]


def test_random_puts_each_first_as_often() -> None:
    strategies = Strategies(Random(1))
    first = Counter(asked(strategies, "random", entries(4), 1)[0] for _ in range(ROUNDS))
    assert all(count / ROUNDS == pytest.approx(0.25, abs=0.04) for count in first.values())


def test_weighted_is_by_priority_and_weight() -> None:
    strategies, found = Strategies(Random(1)), entries(3)
    for entry, (priority, weight) in zip(found, [(10, 10), (10, 90), (20, 65535)], strict=True):
        changed = spec(port=entry.instance.spec.port, priority=priority, weight=weight)
        entry.instance = entry.instance._replace(spec=changed)
    orders = [asked(strategies, "weighted", list(found)) for _ in range(ROUNDS)]
    assert all(order[2] == 3 for order in orders)
    assert sum(order[0] == 2 for order in orders) / ROUNDS == pytest.approx(0.9, abs=0.03)


def test_round_robin_begins_behind_those_that_were_given_last() -> None:
    strategies, found = Strategies(Random(1)), entries(3)
    [first] = asked(strategies, "round_robin", found, 1)
    assert [asked(strategies, "round_robin", found, 1)[0] for _ in range(5)] == [
        (first + step) % 3 + 1 for step in range(5)
    ]
    pairs = [asked(strategies, "round_robin", found, 2) for _ in range(3)]
    assert Counter(port for pair in pairs for port in pair) == {1: 2, 2: 2, 3: 2}
    whole = [asked(strategies, "round_robin", found) for _ in range(3)]
    assert {tuple(order) for order in whole} == {(1, 2, 3), (2, 3, 1), (3, 1, 2)}


def test_each_question_has_a_turn_of_its_own() -> None:
    """Else two that are asked in turn would each get every second instance only."""
    strategies, found = Strategies(Random(1)), entries(2)
    mine, others = set(), set()
    for _ in range(2):
        mine.add(asked(strategies, "round_robin", found, 1, "mine")[0])
        others.add(asked(strategies, "round_robin", found, 1, "another's")[0])
    assert mine == others == {1, 2}


def test_a_turn_survives_that_instances_come_and_go() -> None:
    strategies = Strategies(Random(1))
    for count in (5, 1, 3, 2, 4):
        assert len(asked(strategies, "round_robin", entries(count))) == count


def test_the_turns_that_are_kept_are_bounded() -> None:
    strategies, found = Strategies(Random(1)), entries(2)
    for number in range(MAX_TURNS + 100):
        asked(strategies, "round_robin", found, 1, f"question {number}")
    assert len(strategies._turns) == MAX_TURNS
