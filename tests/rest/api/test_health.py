"""The life of a lease as HTTP shows it, and POST /heartbeat: healthy, unhealthy from the instant it runs out, removed, revived."""

from __future__ import annotations

from tests.rest.harness import USER, Api, assert_error, time_of
from tests.store.making import Log


async def test_a_heartbeat_is_a_200_with_the_instance(api: Api) -> None:
    first = await api.register()
    api.forward(4)
    reply = await api.post("/heartbeat", USER)
    assert reply.status == 200
    assert reply.body.keys() == {"message", "instance", "timestamp", "heartbeatIntervalMs", "index"}
    instance = reply.body["instance"]
    assert instance.keys() == {"id", "name", "ip", "port", "status", "lastHeartbeat"}
    assert instance["id"] == first["instance"]["id"]
    assert {key: instance[key] for key in ("name", "ip", "port", "status")} == USER | {"status": "healthy"}
    assert time_of(instance["lastHeartbeat"]) == time_of(reply.body["timestamp"]) == api.time(4)
    assert 2500 <= reply.body["heartbeatIntervalMs"] <= 4000
    assert reply.body["index"] == first["index"], "a heartbeat is no change"


async def test_a_heartbeat_takes_the_port_as_a_string_and_the_name_in_any_case(api: Api) -> None:
    await api.register()
    assert (await api.post("/heartbeat", {"name": "USER-service ", "ip": " 127.0.0.1", "port": "3001"})).status == 200


async def test_a_heartbeat_of_a_stranger_is_a_404_that_says_what_to_do(api: Api) -> None:
    await api.register()
    before = api.state()
    for other in ({"name": "other"}, {"ip": "127.0.0.2"}, {"port": 3002}):
        reply = await api.post("/heartbeat", USER | other)
        assert_error(reply, 404)
        assert reply.body["code"] == "INSTANCE_UNKNOWN"
        assert "/register" in reply.body["suggestion"]
    assert api.state() == before


async def test_it_is_healthy_until_the_instant_its_lease_runs_out(api: Api) -> None:
    id = (await api.register())["instance"]["id"]
    api.forward(9.999)
    assert (await api.get("/resolve/user-service")).status == 200
    assert (await api.get(f"/instances/{id}")).body["status"] == "healthy"
    api.forward(0.001)  # nobody has swept
    reply = await api.get("/resolve/user-service")
    assert_error(reply, 404, "user-service")
    assert reply.body["serviceName"] == "user-service"
    instance = (await api.get(f"/instances/{id}")).body
    assert (instance["status"], instance["isHealthy"], instance["timeSinceHeartbeat"]) == ("unhealthy", False, "10s")
    assert (await api.get("/services")).body["totalHealthyInstances"] == 0


async def test_an_unhealthy_one_is_listed_for_an_interval_and_then_gone(api: Api) -> None:
    await api.register()
    api.forward(10)
    api.settle()
    api.forward(4.999)
    api.settle()
    assert (await api.get("/services")).body["totalInstances"] == 1
    api.forward(5.001)  # by now a cleanup must have come by, whenever cleanups run
    api.settle()
    assert (await api.get("/services")).body["totalInstances"] == 0
    assert (await api.get("/stats")).body["totalCleanups"] == 1
    reply = await api.post("/heartbeat", USER)
    assert_error(reply, 404)
    assert reply.body["code"] == "INSTANCE_UNKNOWN"
    assert reply.body["suggestion"]


async def test_a_heartbeat_before_the_cleanup_revives_it(api: Api) -> None:
    first = await api.register()
    api.forward(12)
    api.settle()
    assert (await api.post("/heartbeat", USER)).body["instance"]["status"] == "healthy"
    [instance] = (await api.get("/resolve/user-service")).body["instances"]
    assert instance["id"] == first["instance"]["id"]
    assert time_of(instance["registeredAt"]) == api.time(0)
    api.forward(9.999)
    assert (await api.get("/resolve/user-service")).status == 200


async def test_every_moment_is_a_change_even_when_nobody_swept(api: Api) -> None:
    changes = Log.of(api.registry).changes
    await api.register()
    api.forward(11)
    await api.post("/heartbeat", USER)
    api.forward(10)
    api.settle()
    api.forward(10)
    api.settle()
    assert [change.kind.value for change in changes] == ["registered", "unhealthy", "healthy", "unhealthy", "expired"]
    assert [change.index for change in changes] == [1, 2, 2, 3, 4], "the heartbeat decided two of them"


async def test_registering_again_revives_it_with_its_old_id(api: Api) -> None:
    first = await api.register()
    api.forward(11)
    again = await api.register()
    assert again["instance"] == first["instance"]
    assert (await api.get("/resolve/user-service")).status == 200


async def test_the_wall_clock_does_not_touch_leases(api: Api) -> None:
    await api.register()
    api.clock.ahead += 86_400
    assert (await api.get("/resolve/user-service")).status == 200
    api.clock.ahead -= 10 * 86_400
    api.forward(10)
    assert (await api.get("/resolve/user-service")).status == 404
