"""Strategies, and the rest of an instance that failed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from discovery.client.choosing import MAX_REMEMBERED, REST_SECONDS, Choice, Resting
from discovery.client.instance import Instance


def at(port: int, weight: int = 100, priority: int = 10, status: str = "healthy") -> Instance:
    return Instance("api", "10.0.0.1", port, status, weight=weight, priority=priority)


def picked(strategy: str, *instances: Instance, times: int = 1000) -> Counter[int | None]:
    choice = Choice(Random(1))
    return Counter(choice.pick(instances, strategy).port for _ in range(times))


def test_near_ones_are_taken_before_others_whatever_their_priority() -> None:
    far, near, better = replace(at(1, priority=1), behind=True), at(2), at(3, priority=9)
    assert picked("weighted", far, near, better) == {3: 1000}
    assert picked("weighted", far, at(4, status="suspect")) == {1: 1000}


def test_one_without_a_port_has_its_turn_too() -> None:
    assert picked("round_robin", at(1), replace(at(1), port=None)) == {1: 500, None: 500}


def test_by_chance_all_are_alike() -> None:
    assert all(200 < count < 300 for count in picked("random", *map(at, range(4))).values())


@pytest.mark.parametrize(
    ("said", "weight"), [({}, 50), ({"warning": True}, 1), ({"warning": True, "warningWeight": 7}, 7)]
)
def test_one_that_warns_of_itself_has_the_weight_that_it_chose_for_that(said: Any, weight: int) -> None:
    content: Any = {"ip": "10.0.0.1", "port": 1, "status": "healthy", "weight": 50, "output": "80 % full", **said}
    found = Instance.of("api", content)
    assert (found.weight, found.health, found.output) == (weight, "passing", "80 % full")


def test_by_weight_each_has_its_share_and_none_of_weight_zero_is_taken_unless_all_have_it() -> None:
    counts = picked("weighted", at(1, 300), at(2, 100), at(3, 0))
    assert 700 < counts[1] < 800
    assert counts[3] == 0
    assert len(picked("weighted", at(1, 0), at(2, 0))) == 2


def test_in_turn_each_gets_the_same_whatever_the_order_of_the_list() -> None:
    choice, instances = Choice(), [at(1), at(2), at(3)]
    counts = Counter(choice.pick(instances[i % 3 :] + instances[: i % 3], "round_robin").port for i in range(30))
    assert counts == {1: 10, 2: 10, 3: 10}


def test_the_latest_is_the_first() -> None:
    assert picked("latest", at(7), at(1)) == {7: 1000}


@pytest.mark.parametrize("strategy", ["random", "weighted", "round_robin", "latest"])
def test_the_healthy_go_before_suspects_and_the_lower_priority_before_the_higher(strategy: str) -> None:
    better = at(2, priority=1)
    assert set(picked(strategy, at(1), better, at(3, priority=0, status="suspect"))) == {2}
    assert set(picked(strategy, at(3, status="suspect"))) == {3}, "better than nobody"


def test_an_unknown_strategy_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="round_robin"):
        Choice().pick([at(1)], "fastest")


def test_two_failures_in_thirty_seconds_make_it_rest_for_thirty() -> None:
    resting = Resting()
    resting.failed("a", 100.0)
    assert not resting.rests("a", 100.0)
    resting.failed("a", 100.0 + REST_SECONDS)
    assert resting.rests("a", 100.0 + REST_SECONDS)
    assert resting.rests("a", 99.9 + 2 * REST_SECONDS)
    assert not resting.rests("a", 100.0 + 2 * REST_SECONDS)


def test_failures_that_lie_further_apart_do_not_count_together() -> None:
    resting = Resting()
    resting.failed("a", 100.0)
    resting.failed("a", 130.1)
    assert not resting.rests("a", 130.1)


def test_who_rests_is_passed_over_unless_all_rest() -> None:
    resting, one, other = Resting(), at(1), at(2)
    for _ in range(2):
        resting.failed(one.address, 100.0)
    assert resting.awake([one, other], 101.0) == [other]
    for _ in range(2):
        resting.failed(other.address, 100.0)
    assert resting.awake([one, other], 101.0) == [one, other]


def test_what_is_remembered_of_failures_is_bounded() -> None:
    resting = Resting()
    for number in range(2 * MAX_REMEMBERED):
        resting.failed(str(number), 100.0)
        resting.failed(str(number), 100.0)
    assert len(resting._until) + len(resting._failed_at) <= 2 * MAX_REMEMBERED
