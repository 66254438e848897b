"""A budget of all clients: who gives up what he holds when it is spent, against a list of all that is held."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.system.budget import Budget

MOST = 80


@dataclass(eq=False)
class Client:
    prefix: str
    stays: bool = False
    gave_up: bool = False

    def give_up(self) -> None:
        self.gave_up = True


def budget_of(largest_first: bool = False) -> Budget[Client]:
    return Budget(MOST, Client.give_up, lambda client: not client.stays, largest_first, lambda: 0.0)


def hold(budget: Budget[Client], client: Client, held: int) -> None:
    budget.hold(client, client.prefix, held)


def test_the_oldest_of_the_prefix_that_holds_most_goes() -> None:
    budget, mallory, alice = budget_of(), [Client("mallory") for _ in range(8)], Client("alice")
    for each in mallory:
        hold(budget, each, 10)
    hold(budget, alice, 10)
    hold(budget, alice, 20)
    assert [each.gave_up for each in mallory] == [True, True] + [False] * 6
    assert (alice.gave_up, len(budget)) == (False, MOST)


def test_many_who_hold_little_lose_nothing_to_one_who_holds_much() -> None:
    budget, others, mallory = budget_of(), [Client(f"client {number}") for number in range(4)], Client("mallory")
    for each in others:
        hold(budget, each, 10)
    hold(budget, mallory, 50)
    assert mallory.gave_up, "who holds most is the one that came last"
    assert not any(each.gave_up for each in others)


def test_whoever_may_not_go_counts_and_the_next_prefix_gives_up() -> None:
    budget, stays, goes, last = budget_of(), Client("a", stays=True), Client("a"), Client("b")
    hold(budget, stays, 50)
    hold(budget, goes, 30)
    hold(budget, last, 10)
    assert [each.gave_up for each in (stays, goes, last)] == [False, True, False]
    hold(budget, last, 40)
    assert [each.gave_up for each in (stays, last)] == [False, True], "nobody else may"
    assert len(budget) == 50


@pytest.mark.parametrize("largest_first", [False, True])
@given(changes=st.lists(st.tuples(st.integers(0, 7), st.integers(0, MOST * 2)), max_size=60))
def test_never_more_than_there_is_and_what_is_counted_is_what_is_held(
    largest_first: bool, changes: list[tuple[int, int]]
) -> None:
    budget, clients = budget_of(largest_first), [Client("abc"[number % 3]) for number in range(8)]
    held = dict.fromkeys(clients, 0)
    for number, octets in changes:
        held[clients[number]] = octets
        hold(budget, clients[number], octets)
        for client in clients:
            if client.gave_up:
                held[client], client.gave_up = 0, False
        assert len(budget) == sum(held.values()) <= MOST
    for client in clients:
        hold(budget, client, 0)
    assert not any((budget._of_prefix, budget._sums))
