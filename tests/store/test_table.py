"""Walking a whole table in parts, while it changes."""

from __future__ import annotations

import pytest

from discovery.core.instance import Key
from tests.store.making import START, WALL, a_registry, spec


@pytest.mark.parametrize("most", [1, 2, 3, 7, 100])
def test_everybody_is_in_one_part_and_no_part_is_larger_than_asked(most: int) -> None:
    registry = a_registry(max_instances=100)
    for name, count in (("b", 5), ("A", 1), ("c", 9), ("b1", 2)):
        for port in range(1, count + 1):
            registry.register(spec(name, port=port), START, WALL)
    parts = list(registry.in_parts(most))
    assert all(1 <= len(part) <= most for part in parts)
    assert [len(part) for part in parts[:-1]] == [most] * (len(parts) - 1)
    assert sorted(id(entry) for part in parts for entry in part) == sorted(map(id, registry))


def test_what_stays_is_in_it_whatever_comes_and_goes_between_two_parts() -> None:
    registry = a_registry(max_instances=100)
    for number in range(20):
        registry.register(spec(f"stays-{number:02}"), START, WALL)
        registry.register(spec(f"goes-{number:02}"), START, WALL)
    seen = []
    for turn, part in enumerate(registry.in_parts(3)):
        seen += [entry.instance.spec.name for entry in part]
        registry.register(spec(f"new-{turn}"), START, WALL)
        if turn < 20:
            registry.deregister(Key(f"goes-{turn:02}", "10.0.0.1", 80), "", START, WALL)
    assert [name for name in seen if name.startswith("stays")] == [f"stays-{number:02}" for number in range(20)]
    assert len(seen) == len(set(seen))


def test_an_empty_table_has_no_parts() -> None:
    assert list(a_registry().in_parts(3)) == []
