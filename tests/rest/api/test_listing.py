"""GET /services with filters: what is listed, what is counted, and pages of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from discovery.core.instance import Registration
from discovery.system import turns
from tests.rest.harness import Api, assert_error, serving


async def listed(api: Api, query: str) -> dict[str, list[int]]:
    """Ports by service; the counts are right."""
    body = await whole(api, query)
    for each in body["services"].values():
        assert each["instanceCount"] == len(each["instances"])
        assert each["healthyCount"] == sum(one["isHealthy"] for one in each["instances"])
    return {name: [one["port"] for one in each["instances"]] for name, each in body["services"].items()}


async def whole(api: Api, query: str) -> Any:
    reply = await api.get(f"/services?{query}")
    assert reply.status == 200, reply
    return reply.body


@pytest.fixture
async def shop(api: Api) -> Api:
    await api.register(name="user", port=3001, tags=["blue"], zone="eu", metadata={"version": 2})
    await api.register(name="user", port=3002, tags=["green"], zone="us", metadata={"version": 3})
    await api.register(name="billing", port=3001, tags=["blue"], ttl=5)
    await api.register(name="mail", port=25)
    return api


async def test_only_services_with_an_instance_that_matches_are_listed(shop: Api) -> None:
    assert await listed(shop, "") == {"user": [3001, 3002], "billing": [3001], "mail": [25]}
    assert await listed(shop, "tag=BLUE") == {"user": [3001], "billing": [3001]}
    assert await listed(shop, "zone=us&tag=green") == {"user": [3002]}
    assert await listed(shop, "port=25") == {"mail": [25]}
    assert await listed(shop, "meta.version=3") == {"user": [3002]}
    assert await listed(shop, "tag=nowhere") == {}


async def test_a_status_is_what_a_reader_sees_now(shop: Api) -> None:
    await shop.put("/instances/id-4/drain")
    shop.forward(5)  # billing's lease has run out, and nobody was told
    assert await listed(shop, "status=unhealthy") == {"billing": [3001]}
    assert await listed(shop, "status=draining,unhealthy") == {"billing": [3001], "mail": [25]}
    assert await listed(shop, "status=healthy&tag=blue") == {"user": [3001]}
    assert_error(await shop.get("/services?status=alive"), 400, "status", "must be one of healthy, unhealthy")


async def test_totals_are_of_what_is_listed_and_on_a_page_the_whole_registrys(shop: Api) -> None:
    body = await whole(shop, "tag=blue")
    assert (body["totalServices"], body["totalInstances"], body["totalHealthyInstances"]) == (2, 2, 2)
    body = await whole(shop, "tag=blue&limit=1")
    assert (body["totalServices"], body["totalInstances"], body["totalHealthyInstances"]) == (3, 4, 4)


async def test_pages_hold_services_that_match_and_the_last_one_knows_that_it_is(shop: Api) -> None:
    assert await listed(shop, "tag=blue&limit=1") == {"billing": [3001]}
    assert (await whole(shop, "tag=blue&limit=1"))["next"] == "billing"
    assert await listed(shop, "tag=blue&limit=1&after=billing") == {"user": [3001]}
    assert (await whole(shop, "tag=blue&limit=1&after=billing"))["next"] is None
    assert (await whole(shop, "limit=2"))["next"] == "mail"
    assert await listed(shop, "tag=nowhere&limit=1") == {}
    assert (await whole(shop, "tag=nowhere&limit=1"))["next"] is None


async def test_a_filter_that_means_nothing_of_much_leaves_the_loop_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN", -1.0)
    async with serving(max_instances=1000) as api:
        for service in range(50):
            for port in range(1, 101):
                spec = Registration.of(f"service-{service}", "10.0.0.1", port, metadata={"a": "b" * 1000})
                api.registry.register(spec, api.clock.now, api.clock.wall())
        asked = asyncio.ensure_future(api.get("/services?meta.a=c&limit=10"))
        count = 0
        while not asked.done():
            await asyncio.sleep(0)
            count += 1
        assert (await asked).body["services"] == {}
        assert count > 5000
