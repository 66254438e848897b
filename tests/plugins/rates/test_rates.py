"""GET /stats/history of a server that is really started: it tells what was asked, and reading it costs next to nothing."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from discovery.core.instance import Key
from discovery.dns.message.reason import Reason
from discovery.dns.message.values import Question
from discovery.plugins import Seams
from discovery.plugins.rates import REPLY, Rates
from discovery.rest.api.requests import Request
from tests.plugins.started import Running, running, settings
from tests.routes import ROUTES
from tests.shapes import fits
from tests.store.making import START, TTL, WALL, a_registry, crowd


@pytest.fixture
async def it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.chdir(tmp_path)
    async with running(settings(tmp_path)) as running_one:
        yield running_one


async def history(it: Running) -> Any:
    async with it.session.get(it.http + "/stats/history") as response:
        assert response.status == 200
        content = await response.json()
    assert fits(REPLY, content)
    return content


async def test_it_tells_what_was_asked_and_what_changed(it: Running) -> None:
    (rates,) = [plugin for plugin in it.server._plugins if isinstance(plugin, Rates)]
    await it.register()
    for name in ("user-service.svc.local", "user-service.svc.local", "nobody.svc.local"):
        await it.ask(name)
    now = int(time.time()) + 1
    rates.sample(now)
    shown = rates._series.seconds(now)
    total = {
        name: sum(each or 0 for each in shown[name]) for name in ("dnsQueriesPerSecond", "registrations", "changes")
    }
    assert total == {"dnsQueriesPerSecond": 3, "registrations": 1, "changes": 1}
    assert any(shown["httpP50Ms"])
    assert any(shown["dnsP99Ms"])
    assert shown["instances"][-1] == 1
    found = await history(it)
    assert len(found["seconds"]["changes"]) == len(found["minutes"]["changes"]) == 60


async def test_a_lease_that_ran_out_is_counted_once() -> None:
    registry = a_registry()
    rates = Rates(registry, lambda: WALL)
    seams = Seams(followers=registry.followers)
    rates.install(seams)
    rates._series.begin(rates._read())
    crowd(registry, 3)
    registry.renew(Key.of("web", "10.0.0.1", 1), START + TTL - 1, WALL)
    for seconds in range(0, 60, 5):
        registry.advance(START + TTL + seconds)
    rates.sample(WALL)
    shown = rates._series.seconds(WALL)
    assert (shown["registrations"][-1], shown["expiries"][-1], shown["instances"][-1]) == (3, 3, 0)


async def test_a_sample_is_cheap() -> None:
    """0.05 ms of CPU with a hundred outcomes and a hundred histograms; the bound is for machines that do something else meanwhile."""
    registry = a_registry()
    rates = Rates(registry, lambda: WALL)
    seams = Seams(followers=registry.followers)
    rates.install(seams)
    for reason in Reason:
        for rtype in (1, 28, 33, 16):
            seams.dns_traffic.of(Question((b"web",), rtype), 0, reason).sent[0] += 1
    for route in ROUTES * 2:
        request = Request(route.method)
        request.route = route
        seams.http_traffic.note(request, "127.0.0.1", 0.001)
    rates._series.begin(rates._read())
    took = []
    for second in range(50):
        began = time.thread_time()
        rates.sample(WALL + second)
        took.append(time.thread_time() - began)
    assert min(took) < 0.001
