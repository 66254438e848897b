"""GET /services/NAME: every instance of one service, with its status and why it is in the answers or not."""

from __future__ import annotations

import asyncio

import pytest

from tests.rest.harness import USER, Api, assert_error, serving


async def test_all_instances_are_there_with_status_and_reason(api: Api) -> None:
    for port in range(3001, 3005):
        await api.register(port=port, id=f"user-{port}", metadata={"at": port})
    await api.put("/instances/user-3002/drain")
    await api.put("/instances/user-3003/maintenance", {"reason": "a new disk", "seconds": 600})
    api.registry.checked("user-3004", "connection refused", api.clock.now)
    reply = await api.get("/services/USER-service")
    assert reply.status == 200
    assert {name: reply.body[name] for name in ("serviceName", "instanceCount", "healthyCount")} == {
        "serviceName": "user-service", "instanceCount": 4, "healthyCount": 1,
    }  # fmt: skip
    found = {each["port"]: each for each in reply.body["instances"]}
    assert [(found[port]["status"], found[port]["served"]) for port in sorted(found)] == [
        ("healthy", True), ("draining", False), ("maintenance", False), ("failing", False),
    ]  # fmt: skip
    assert "a new disk" in found[3003]["why"]
    assert "connection refused" in found[3004]["why"]
    assert found[3001]["metadata"] == {"at": 3001}
    assert found[3003]["until"] == found[3003]["maintenance"]["until"]
    assert reply.headers["X-Registry-Index"] == str(api.registry.index_of("user-service"))


async def test_it_is_the_same_as_in_the_list(api: Api) -> None:
    await api.register()
    listed = (await api.get("/services")).body["services"]["user-service"]["instances"][0]
    (one,) = (await api.get("/services/user-service")).body["instances"]
    assert one.items() >= listed.items()


@pytest.mark.parametrize("sees_actors", [True, False])
async def test_who_did_it_is_for_those_who_may_know(sees_actors: bool) -> None:
    async with serving(sees_actors=sees_actors) as api:
        await api.register()
        await api.put("/instances/id-1/drain")
        (one,) = (await api.get("/services/user-service")).body["instances"]
        assert ("127.0.0.1 asked" in one["why"]) is sees_actors


async def test_a_lease_that_has_ended_is_seen_though_nobody_was_told(api: Api) -> None:
    await api.register()
    api.forward(10)
    (one,) = (await api.get("/services/user-service")).body["instances"]
    assert (one["status"], one["served"], one["isHealthy"]) == ("unhealthy", False, False)


async def test_a_name_that_is_not_there_has_its_nearest_told(api: Api) -> None:
    await api.register()
    reply = await api.get("/services/usr-service")
    assert_error(reply, 404, "did you mean user-service?", "GET /services", "GET /history?service=usr-service")
    assert (reply.body["code"], reply.body["suggestion"]) == ("SERVICE_UNKNOWN", "user-service")
    reply = await api.get("/services/another-thing")
    assert_error(reply, 404)
    assert "suggestion" not in reply.body


async def test_it_waits_until_something_about_the_service_has_changed(api: Api) -> None:
    await api.register()
    await api.post("/register", USER | {"name": "other"})
    index = int((await api.get("/services/user-service")).headers["X-Registry-Index"])
    resolving = asyncio.ensure_future(api.get(f"/resolve/user-service?index={index}"))
    waiting = asyncio.ensure_future(api.get(f"/services/user-service?index={index}&wait=60"))
    await api.post("/register", USER | {"name": "other", "port": 4})
    await asyncio.sleep(0.02)  # what is shown is that nothing happens
    assert not waiting.done()
    await api.put("/instances/id-1/drain")
    assert [each["status"] for each in (await waiting).body["instances"]] == ["draining"]
    assert (await resolving).status == 404, "each has the answer to its own question"


async def test_whoever_has_it_already_is_told_so(api: Api) -> None:
    await api.register()
    tag = (await api.get("/services/user-service")).headers["ETag"]
    await api.post("/heartbeat", USER)
    assert (await api.get("/services/user-service", **{"If-None-Match": tag})).status == 304
    api.forward(10)
    assert (await api.get("/services/user-service", **{"If-None-Match": tag})).status == 200
    assert (await api.get("/services/user-service?limit=1")).body["code"] == "PARAMETER_UNKNOWN"


async def test_a_thousand_instances_are_told_whole() -> None:
    async with serving(max_instances=1000) as api:
        api.fill(1, 1000)
        ports = {each["port"] for each in (await api.get("/services/service-0")).body["instances"]}
        assert len(ports) == 1000
