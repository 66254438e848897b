"""The registry's numbers: what silence comes to, ages of leases, the ring; and that a scrape holds nobody up at 100,000 instances."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

import pytest

from discovery.core.health import Finding, Health
from discovery.core.instance import Instance, Registration
from discovery.core.metric import Metric
from discovery.plugins.metrics.page import page
from discovery.plugins.metrics.table import MAX_SERVICES, Expirations, metrics_of_registry, metrics_per_service
from discovery.rest.http.traffic import Traffic
from discovery.store.registration import Report
from discovery.store.values import Snapshot
from tests.routes import asked
from tests.store.making import ALL, START, TTL, WALL, a_registry, braked, crowd, spec

# Seconds of processor time for one turn of the event loop.
TURN = 0.025


async def read(metrics: list[Metric], name: str) -> Any:
    readings = next(metric.read for metric in metrics if metric.name == name)()
    return await readings if isinstance(readings, Awaitable) else readings


async def test_expirations_have_a_reason() -> None:
    registry, expirations = a_registry(max_instances=2), Expirations()
    registry.followers.append(expirations.follow_commit)
    crowd(registry, 2)
    registry.advance(START + TTL, ALL)
    registry.register(spec("web", port=3), START + TTL, WALL)
    registry.advance(START + 5 * TTL, ALL)
    found = await read([expirations.metric], "discovery_expirations")
    assert found == {("lapsed",): 3, ("displaced",): 1, ("removed",): 2, ("suspect",): 0}


async def test_those_that_warn_have_lapsed_or_have_no_lease_are_counted_apart_and_the_lapsed_nowhere_else() -> None:
    registry = a_registry()
    metrics = metrics_of_registry(registry, lambda: START + TTL, lambda: WALL, Traffic())
    metrics += metrics_per_service(registry, lambda: START + TTL)
    registry.register(spec(port=1, keep=3600), START, WALL)
    registry.register(spec(port=2, lease="none"), START, WALL)
    warns = registry.register(spec(port=3, ttl=3600), START, WALL)
    registry.carry_out(Report(warns.instance.id, Finding(Health.WARNING, "full")), START, WALL)
    registry.advance(START + TTL, ALL)
    for kind in ("warning", "lapsed", "permanent"):
        assert await read(metrics, f"discovery_instances_{kind}") == {(): 1}, kind
    assert sum((await read(metrics, "discovery_instances")).values()) == 2
    assert await read(metrics, "discovery_service_instances") == {("web",): 2}


async def test_suspects_are_counted_apart_and_the_brake_is_engaged() -> None:
    registry, expirations = braked(), Expirations()
    registry.followers.append(expirations.follow_commit)
    metrics = metrics_of_registry(registry, lambda: START, lambda: WALL, Traffic())
    crowd(registry, 10)
    assert await read(metrics, "discovery_brake_engaged") == {(): 0}
    registry.advance(START + TTL, ALL)
    assert await read(metrics, "discovery_brake_engaged") == {(): 1}
    assert (await read([expirations.metric], "discovery_expirations"))["suspect",] > 3


@pytest.mark.parametrize("line", ["POST /heartbeat", "POST /heartbeats", "PUT /instances"])
async def test_a_refused_heartbeat_is_counted_whatever_carries_it(line: str) -> None:
    traffic = Traffic()
    metrics = metrics_of_registry(a_registry(), lambda: START, lambda: WALL, traffic)
    for status in (200, 400, 401, 404, 503, 0):
        traffic.note(asked(*line.split(), status=status), "10.0.0.1", 0.001)
    for other in ("POST /register", "GET /resolve/a"):
        traffic.note(asked(*other.split(), status=401), "10.0.0.1", 0.001)
    assert await read(metrics, "discovery_heartbeats") == {("renewed",): 0, ("unknown",): 0, ("refused",): 3}


async def test_ages_are_those_of_the_last_heartbeats() -> None:
    registry = a_registry(max_instances=1000)
    metrics = metrics_of_registry(registry, lambda: START + 100, lambda: WALL, Traffic())
    assert set((await read(metrics, "discovery_lease_age_seconds")).values()) == {0.0}
    for number in range(100):
        registry.register(spec("web", port=number + 1, ttl=3600), START + number, WALL)
    assert await read(metrics, "discovery_lease_age_seconds") == {
        ("50",): 51.0,
        ("90",): 91.0,
        ("99",): 100.0,
        ("100",): 100.0,
    }


async def test_the_ring_is_as_old_as_its_first_commit() -> None:
    registry = a_registry()
    metrics = metrics_of_registry(registry, lambda: START, lambda: WALL + 60, Traffic())
    assert await read(metrics, "discovery_ring_age_seconds") == {(): 0}
    crowd(registry, 1)
    assert await read(metrics, "discovery_ring_age_seconds") == {(): 60}


async def test_a_scrape_at_100_000_instances_leaves_the_event_loop_free() -> None:
    registry = a_registry(max_instances=100)
    instances = (
        Instance(
            f"id-{number}", WALL, Registration.of(f"service-{number // 50}", f"10.0.{number % 50}.1", 1 + number // 50)
        )
        for number in range(100_000)
    )
    registry.load(Snapshot(1, tuple(instances)), START, WALL)
    now = START + TTL  # all leases are over, and nobody was told
    metrics = [
        *metrics_of_registry(registry, lambda: now, lambda: WALL, Traffic()),
        *metrics_per_service(registry, lambda: now),
    ]
    turns = list[float]()

    async def others() -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            turns.append(time.thread_time() - last)
            last = time.thread_time()

    beside = asyncio.create_task(others())
    await asyncio.sleep(0)
    text, _ = await page(metrics, "application/openmetrics-text; version=1.0.0")
    beside.cancel()
    assert b'discovery_instances{status="unhealthy"} 100000' in text
    assert text.count(b"discovery_service_instances{") == MAX_SERVICES
    assert max(turns) < TURN
