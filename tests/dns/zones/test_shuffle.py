"""The order of answers: anew for every reply, by priority, then by weight as RFC 2782 describes. Seeded, so never by luck."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from tests.dns.world import World, data

ROUNDS = 400


def orders(world: World, rtype: str) -> list[tuple[str, ...]]:
    """The instances' addresses in the order of each of ROUNDS replies."""
    asked = (world.ask("web.svc.local", rtype) for _ in range(ROUNDS))
    return [tuple(data(reply.additional if rtype == "SRV" else reply.answer)) for reply in asked]


def world_of(*instances: tuple[int, int]) -> World:
    """Instances 10.0.0.1, 10.0.0.2, … with these priorities and weights."""
    world = World(seed=2782)
    for number, (priority, weight) in enumerate(instances, 1):
        world.add("web", f"10.0.0.{number}", priority=priority, weight=weight)
    return world


@pytest.mark.parametrize(
    ("rtype", "weights"),
    [
        *(("SRV", weights) for weights in [(1, 1, 1), (10, 30, 60), (65535, 65535), (0, 0, 0)]),
        *(("A", weights) for weights in [(100, 100, 200), (1, 9)]),
    ],
    ids=str,
)
def test_rfc2782_the_first_is_drawn_in_proportion_to_the_weights(rtype: str, weights: tuple[int, ...]) -> None:
    first = Counter(order[0] for order in orders(world_of(*((1, weight) for weight in weights)), rtype))
    for number, weight in enumerate(weights, 1):
        share = weight / sum(weights) if any(weights) else 1 / len(weights)
        assert first[f"10.0.0.{number}"] / ROUNDS == pytest.approx(share, abs=0.09)


def test_rfc2782_the_next_is_drawn_in_proportion_among_those_that_remain() -> None:
    seen = Counter(order[:2] for order in orders(world_of((1, 10), (1, 30), (1, 60)), "SRV"))
    after_third = {number: seen["10.0.0.3", f"10.0.0.{number}"] for number in (1, 2)}
    assert after_third[2] / sum(after_third.values()) == pytest.approx(30 / 40, abs=0.09)


def test_rfc2782_weight_0_has_a_very_small_chance_beside_others() -> None:
    first = Counter(order[0] for order in orders(world_of((1, 0), (1, 10)), "SRV"))
    assert first["10.0.0.1"] / ROUNDS < 0.05


@pytest.mark.parametrize("rtype", ["A", "SRV"])
def test_rfc2782_a_lower_priority_always_comes_first(rtype: str) -> None:
    world = world_of((20, 60000), (10, 1), (30, 60000), (10, 1))
    for order in orders(world, rtype):
        assert set(order[:2]) == {"10.0.0.2", "10.0.0.4"}
        assert order[2:] == ("10.0.0.1", "10.0.0.3")


def test_equal_instances_come_in_every_order_equally_often() -> None:
    seen = Counter(orders(world_of(*[(10, 100)] * 3), "A"))
    assert len(seen) == 6
    for count in seen.values():
        assert count / ROUNDS == pytest.approx(1 / 6, abs=0.07)


def test_an_address_with_several_ports_is_there_once() -> None:
    world = world_of((10, 100), (10, 100))
    for port in range(4000, 4010):
        world.add("web", "10.0.0.1", port)
    for order in orders(world, "A"):
        assert sorted(order) == ["10.0.0.1", "10.0.0.2"]


def test_the_order_of_one_reply_tells_nothing_of_the_next() -> None:
    seen = orders(world_of(*[(10, 100)] * 2), "SRV")
    changes = sum(one != other for one, other in pairwise(seen))
    assert changes / ROUNDS == pytest.approx(0.5, abs=0.09)
