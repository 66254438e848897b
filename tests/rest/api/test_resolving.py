"""GET /resolve/NAME with a query: filters, limits, what is refused, and that searching holds nobody up and shows nothing stale."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from discovery.core.instance import Key, Registration
from discovery.system import turns
from tests.rest.harness import USER, Api, assert_error, serving, time_of


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


@pytest.mark.parametrize("query", ["tag=", "zone=a.b", "port=0", "limit=0", "limit=1001", "meta.a=1&meta.a=2"])
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


async def test_strategies_order_what_is_served(api: Api) -> None:
    for port in (3001, 3002, 3003):
        await api.register(port=port, priority=port - 3000)
        api.forward(1)
    assert await ports(api, "strategy=latest") == [3003, 3002, 3001]
    assert await ports(api, "strategy=weighted&limit=2") == [3001, 3002]
    assert sorted(await ports(api, "strategy=random")) == [3001, 3002, 3003]
    turns = [await ports(api, "strategy=round_robin&limit=1") for _ in range(3)]
    assert sorted(turns) == [[3001], [3002], [3003]]


# -- why


async def explained(api: Api, query: str = "") -> dict[int, Any]:
    """By port."""
    reply = await api.get(f"/resolve/user-service?explain=1{query}")
    assert reply.status == 200, reply
    served = [each["id"] for each in reply.body["explained"] if each["served"]]
    assert sorted(served) == sorted(each["id"] for each in reply.body["instances"])
    return {each["port"]: each for each in reply.body["explained"]}


async def test_explain_says_of_each_why_it_is_in_or_out_since_when_and_until_when(api: Api) -> None:
    for port in (3001, 3002, 3003):
        await api.register(port=port)
    api.forward(2)
    await api.put("/instances/id-2/drain")
    await api.put("/instances/id-3/maintenance", {"reason": "a new disk", "seconds": 600})
    api.forward(1)
    found = await explained(api)
    assert found[3001].items() >= {"id": "id-1", "ip": "127.0.0.1", "status": "healthy", "served": True}.items()
    assert (found[3001]["why"], found[3002]["why"][:14]) == ("its lease runs", "it is draining")
    assert found[3003]["why"] == "it is in maintenance, 127.0.0.1 asked for it: a new disk"
    assert [found[port]["served"] for port in (3001, 3002, 3003)] == [True, False, False]
    assert [time_of(found[port]["since"]) for port in (3001, 3002, 3003)] == [api.time(0), api.time(2), api.time(2)]
    assert [found[3001]["until"], found[3002]["until"]] == ["2026-01-31T12:00:10.000Z", None]
    assert time_of(found[3003]["until"]) == api.time(602)


async def test_explain_is_a_200_where_the_service_is_known_and_nobody_is_healthy(api: Api) -> None:
    await api.register()
    api.forward(10)
    found = await explained(api)
    assert found[3001]["why"] == "its lease ran out: no heartbeat for 10 s"
    assert time_of(found[3001]["since"]) == api.time(10)
    assert time_of(found[3001]["lastHeartbeat"]) == api.time(0)
    assert (await api.get("/resolve/user-service")).status == 404
    assert_error(await api.get("/resolve/nobody?explain=1"), 404, "No service nobody")


async def test_explain_says_whom_the_query_leaves_out(api: Api) -> None:
    for port, tag in ((3001, "blue"), (3002, "blue"), (3003, "green")):
        await api.register(port=port, tags=[tag])
        api.forward(1)
    found = await explained(api, "&tag=blue&limit=1")
    assert (found[3002]["served"], found[3002]["why"]) == (True, "its lease runs")
    assert found[3001]["why"] == "its lease runs; there is no room for it within the limit"
    assert found[3003]["why"] == "the query does not mean it"


@pytest.mark.parametrize("sees", [True, False])
async def test_explain_says_who_asked_for_it_to_those_who_may_know(sees: bool) -> None:
    async with serving(sees_actors=sees) as api:
        await api.register()
        await api.put("/instances/id-1/drain")
        why = (await explained(api))[3001]["why"]
        who = "127.0.0.1" if sees else "somebody"
        assert why == f"it is draining, {who} asked for it"


# -- cost


async def test_a_search_of_much_metadata_leaves_the_loop_free_and_misses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "TURN", -1.0)
    async with serving(max_instances=1000) as api:
        filler = "x" * 16_000
        for port in range(1, 301):
            spec = Registration.of("big", "10.0.0.1", port, metadata={"filler": filler, "half": str(port % 2)})
            api.registry.register(spec, api.clock.now, api.clock.wall())
        asked = asyncio.ensure_future(api.get("/resolve/big?meta.half=1"))
        count = 0
        while not asked.done():
            await asyncio.sleep(0)
            count += 1
            if count == 20:  # in the middle of it
                api.registry.register(_half("big", 999), api.clock.now, api.clock.wall())
                api.registry.register(_half("big", 2), api.clock.now, api.clock.wall())
                api.registry.deregister(Key("big", "10.0.0.1", 1), "test", api.clock.now)
        found = {each["port"] for each in (await asked).body["instances"]}
        assert found == {*range(3, 301, 2), 999, 2}
        assert count > 100


def _half(name: str, port: int) -> Registration:
    fields: dict[str, Any] = {"metadata": {"half": "1"}}
    return Registration.of(name, "10.0.0.1", port, **fields)
