"""GET /resolve/NAME with a query: filters, limits, what is refused, and that searching holds nobody up and shows nothing stale."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from discovery.core.instance import Key, Registration
from tests.rest.harness import USER, Api, assert_error, serving


async def ports(api: Api, query: str) -> list[int]:
    reply = await api.get(f"/resolve/user-service?{query}")
    assert reply.status == 200, reply
    assert reply.body["instanceCount"] == len(reply.body["instances"])
    return [each["port"] for each in reply.body["instances"]]


async def test_only_what_matches_is_served_latest_heartbeat_first(api: Api) -> None:
    for port, tag, zone in ((3001, "blue", "eu"), (3002, "green", "eu"), (3003, "Blue", "us")):
        await api.register(port=port, tags=[tag, "all"], zone=zone, metadata={"port": port})
        api.forward(1)
    assert await ports(api, "tag=blue") == [3003, 3001]
    assert await ports(api, "tag=all&zone=EU") == [3002, 3001]
    assert await ports(api, "port=3002") == [3002]
    assert await ports(api, "meta.port=3003&tag=all") == [3003]
    assert await ports(api, "limit=2") == [3003, 3002]
    assert await ports(api, "tag=all&limit=1&_=1234") == [3003]
    assert await ports(api, "") == [3003, 3002, 3001]


async def test_nobody_who_matches_is_a_404_that_says_why(api: Api) -> None:
    await api.register(tags=["blue"])
    await api.register(port=3002)
    assert_error(await api.get("/resolve/user-service?tag=green"), 404, "none of its 2 instances matches")
    await api.put("/instances/id-1/drain")
    reply = await api.get("/resolve/user-service?tag=blue")
    assert_error(reply, 404, "none of the 1 of its 2 instances that match is healthy (1 draining)")
    assert reply.body["code"] == "NO_HEALTHY_INSTANCE"
    assert_error(await api.get("/resolve/nobody?tag=blue"), 404, "No service nobody")


@pytest.mark.parametrize("query", ["tag=-", "zone=a.b", "port=0", "limit=0", "limit=1001", "meta.a=1&meta.a=2"])
async def test_a_broken_parameter_is_a_400_that_names_it(api: Api, query: str) -> None:
    await api.register()
    reply = await api.get(f"/resolve/user-service?{query}")
    assert_error(reply, 400, query.partition("=")[0])
    assert reply.body["field"] == query.partition("=")[0]


async def test_an_unknown_parameter_is_a_400_with_the_nearest_whoever_answers(api: Api) -> None:
    await api.register()
    for method in ("GET", "HEAD"):
        assert (await api.request(method, "/resolve/user-service?tags=blue")).status == 400
    reply = await api.get("/resolve/%75ser-service?tags=blue")  # by way of aiohttp
    assert_error(reply, 400, "did you mean tag?")
    assert reply.body.items() >= {"code": "PARAMETER_UNKNOWN", "field": "tags", "suggestion": "tag"}.items()
    assert_error(await api.get("/services?limt=1"), 400, "did you mean limit?")


async def test_other_routes_ignore_what_they_do_not_know(api: Api) -> None:
    await api.register()
    for path in ("/health", "/ready", "/stats", "/maintenance", "/instances/id-1"):
        assert (await api.get(f"{path}?tags=blue&{'x' * 200}")).status == 200
    assert (await api.post("/heartbeat?tags=blue", USER)).status == 200


async def test_a_search_of_much_metadata_leaves_the_loop_free_and_misses_nothing() -> None:
    async with serving(max_instances=1000) as api:
        filler = "x" * 16_000
        for port in range(1, 301):
            spec = Registration.of("big", "10.0.0.1", port, metadata={"filler": filler, "half": str(port % 2)})
            api.registry.register(spec, api.clock.now, api.clock.wall())
        asked = asyncio.ensure_future(api.get("/resolve/big?meta.half=1"))
        turns = 0
        while not asked.done():
            await asyncio.sleep(0)
            turns += 1
            if turns == 20:  # in the middle of it
                api.registry.register(_half("big", 999), api.clock.now, api.clock.wall())
                api.registry.register(_half("big", 2), api.clock.now, api.clock.wall())
                api.registry.deregister(Key("big", "10.0.0.1", 1), "test", api.clock.now)
        found = {each["port"] for each in (await asked).body["instances"]}
        assert found == {*range(3, 301, 2), 999, 2}
        assert turns > 100


def _half(name: str, port: int) -> Registration:
    fields: dict[str, Any] = {"metadata": {"half": "1"}}
    return Registration.of(name, "10.0.0.1", port, **fields)
