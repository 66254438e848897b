"""GET /services?gone=1: who has gone lately, when, why and by whom."""

from __future__ import annotations

from typing import Any

from discovery.core.instance import Key
from discovery.rest.api.services import gone
from discovery.store.log import Log
from tests.rest.harness import USER, Api, serving, time_of


async def told(api: Api, query: str = "") -> list[Any]:
    reply = await api.get(f"/services?gone=1{query}")
    assert reply.status == 200
    found: list[Any] = reply.body["gone"]
    return found


async def test_those_that_went_are_told_with_when_and_why_the_newest_first(api: Api) -> None:
    await api.register()
    await api.register(name="billing", port=3002)
    assert await told(api) == []
    api.forward(3)
    await api.delete("/services/billing/instances?ip=127.0.0.1&port=3002")
    for _ in range(3):
        api.forward(10)
        api.settle()
    expired, deregistered = await told(api)
    assert {key: deregistered[key] for key in ("name", "ip", "port")} == USER | {"name": "billing", "port": 3002}
    assert (deregistered["kind"], deregistered["reason"], deregistered["actor"]) == (
        "deregistered",
        "asked for by 127.0.0.1",
        {"name": "", "address": "127.0.0.1"},
    )
    assert time_of(deregistered["timestamp"]) == api.time(3)
    assert (expired["kind"], expired["port"]) == ("expired", 3001)
    assert "no heartbeat" in expired["reason"]
    assert expired["index"] > deregistered["index"]
    assert "gone" not in (await api.get("/services")).body
    assert [each["port"] for each in (await api.get("/services?gone=1&limit=1")).body["gone"]] == [3001, 3002]


async def test_who_is_back_is_not_gone_and_who_went_twice_is_told_once(api: Api) -> None:
    for _ in range(2):
        await api.register()
        await api.delete("/services/user-service/instances?ip=127.0.0.1&port=3001")
    assert len(await told(api)) == 1
    await api.register()
    assert await told(api) == []
    await api.register(port=3002, id="mine")
    await api.register(port=3003, id="mine", replace=True)
    assert await told(api) == [], "it is there, at another port"


async def test_filters_mean_those_that_went_too(api: Api) -> None:
    await api.register(tags=["blue"])
    await api.register(port=3002, tags=["green"])
    await api.delete("/services/user-service")
    assert [each["port"] for each in await told(api, "&tag=green")] == [3002]
    assert [each["port"] for each in await told(api, "&port=3001")] == [3001]


async def test_who_did_it_is_not_told_to_those_who_may_not_know() -> None:
    async with serving(sees_actors=False) as api:
        await api.register()
        await api.delete("/services/user-service")
        [one] = await told(api)
        assert (one["reason"], one["actor"]) == ("asked for", None)


async def test_there_are_never_more_than_so_many_and_the_log_bounds_how_far_back(api: Api) -> None:
    registry = api.registry
    api.fill(30, 10)
    for entry in list(registry):
        registry.deregister(entry.instance.spec.key, "a test", api.clock.now)
    found = await told(api)
    assert len(found) == gone.MOST
    indexes = [each["index"] for each in found]
    assert indexes == sorted(indexes, reverse=True)
    assert indexes[0] == registry.index
    registry.log = Log(registry.index)
    assert await told(api) == []


async def test_a_tag_of_one_that_knows_who_did_it_is_another(api: Api) -> None:
    await api.register()
    await api.delete("/services/user-service")
    reply = await api.get("/services?gone=1")
    assert (await api.get("/services?gone=1", **{"If-None-Match": reply.headers["ETag"]})).status == 304
    assert (await api.get("/services", **{"If-None-Match": reply.headers["ETag"]})).status == 200
    assert api.registry.find(Key("user-service", "127.0.0.1", 3001)) is None
