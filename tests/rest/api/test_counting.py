"""Instances by status: exactly, whether or not anybody was told of a lapse, and in several turns of the event loop while there are many."""

from __future__ import annotations

import asyncio

import pytest

from discovery.core.status import Status
from discovery.rest.api.server.server import count_by_status
from discovery.store.registry import Registry
from discovery.system import turns
from tests.store.making import ALL, START, TTL, a_registry, crowd

LAPSED = START + TTL


async def test_those_are_counted_as_unhealthy_of_whose_lapse_nobody_was_told() -> None:
    registry = a_registry(max_instances=100)
    crowd(registry, 30)
    crowd(registry, 12, "late", START + 1)
    for _ in range(2):
        counts = await count_by_status(registry, lambda: LAPSED)
        assert counts == dict.fromkeys(Status, 0) | {Status.UNHEALTHY: 30, Status.HEALTHY: 12}
        registry.advance(LAPSED, ALL)


async def test_many_are_counted_in_several_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN", -1.0)
    monkeypatch.setattr(Registry.in_parts, "__defaults__", (10,))
    registry = a_registry(max_instances=100)
    crowd(registry, 35)
    count = 0

    async def others() -> None:
        nonlocal count
        while True:
            count += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    assert (await count_by_status(registry, lambda: LAPSED))[Status.UNHEALTHY] == 35
    beside.cancel()
    assert count >= 4


async def test_without_a_lapse_it_is_known_at_once() -> None:
    registry = a_registry()
    crowd(registry, 3)
    counts = count_by_status(registry, lambda: LAPSED - 1)
    with pytest.raises(StopIteration) as answer:
        counts.send(None)
    assert answer.value.value[Status.HEALTHY] == 3
