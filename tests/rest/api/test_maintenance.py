"""Maintenance: an instance or a whole service out of answers, for a reason and until a time, whatever registers meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.rest.harness import USER, Api, Reply, assert_error, time_of

SERVICE = "/services/user-service/maintenance"
BY_ADDRESS = "/services/user-service/instances/maintenance?ip=127.0.0.1&port=3001"
BY_ID = "/instances/id-1/maintenance"
RESOLVE = "/resolve/user-service"
WHY = {"reason": "new disks", "seconds": 60}
DAY = 86400

PATHS = {"service": SERVICE, "address": BY_ADDRESS, "id": BY_ID}
every_way = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)


async def windows(api: Api) -> Any:
    reply = await api.get("/maintenance")
    assert reply.status == 200
    assert reply.body.keys() == {"windows", "timestamp"}
    return reply.body["windows"]


async def status(api: Api, id: str = "id-1") -> str:
    return str((await api.get(f"/instances/{id}")).body["status"])


async def ends(api: Api, seconds: float) -> bool:
    """Whether a window ends then: healthy from that instant on, not before."""
    api.forward(seconds - 0.001)
    await api.post("/heartbeat", USER)
    api.settle()
    before = await status(api)
    api.forward(0.001)
    api.settle()
    return (before, await status(api)) == ("maintenance", "healthy")


@every_way
async def test_what_is_in_maintenance_is_in_no_answer_and_says_why_and_until_when(api: Api, path: str) -> None:
    await api.register()
    reply = await api.put(path, WHY)
    assert reply.status == 200
    instance = {} if path == SERVICE else {"ip": "127.0.0.1", "port": 3001}
    until = {"reason": "new disks", "until": "2026-01-31T12:01:00.000Z"}
    assert isinstance(reply.body.pop("message"), str)
    assert time_of(reply.body.pop("timestamp")) == api.time()
    assert reply.body == {"serviceName": "user-service"} | instance | until
    assert await windows(api) == [reply.body]
    assert_error(await api.get(RESOLVE), 404, "1 maintenance")
    shown = (await api.get("/instances/id-1")).body
    assert (shown["status"], shown["isHealthy"], shown["maintenance"]) == ("maintenance", False, until)
    [listed] = (await api.get("/services")).body["services"]["user-service"]["instances"]
    assert (listed["status"], listed["maintenance"]) == ("maintenance", until)


@every_way
async def test_an_ended_maintenance_brings_it_back_at_once(api: Api, path: str) -> None:
    await api.register()
    await api.put(path, WHY)
    reply = await api.delete(path)
    assert reply.status == 200
    assert reply.body.items() >= {"serviceName": "user-service"}.items()
    assert await windows(api) == []
    shown = (await api.get("/instances/id-1")).body
    assert shown["status"] == "healthy"
    assert "maintenance" not in shown
    assert (await api.get(RESOLVE)).status == 200


@every_way
async def test_it_ends_by_itself_to_the_millisecond(api: Api, path: str) -> None:
    await api.register()
    reply = await api.put(path, {"reason": "new disks", "until": "2026-01-31T13:00:08.500+01:00"})
    assert time_of(reply.body["until"]) == api.time(8.5)
    assert await ends(api, 8.5)
    assert await windows(api) == []


async def test_until_is_wall_time_when_it_is_said_and_a_step_of_the_wall_clock_changes_nothing(api: Api) -> None:
    await api.register()
    await api.put(BY_ID, {"reason": "new disks", "until": "2026-01-31T12:00:09Z"})
    api.clock.ahead += DAY
    assert await ends(api, 9)


async def test_a_window_ends_on_request_when_nothing_of_it_is_registered_any_more(api: Api) -> None:
    await api.register()
    for path in (SERVICE, BY_ADDRESS):
        await api.put(path, WHY)
    await api.delete("/services/user-service")
    for path in (SERVICE, BY_ADDRESS):
        assert (await api.delete(path)).status == 200
    assert await windows(api) == []


def code(reply: Reply, status: int) -> str:
    assert_error(reply, status)
    return str(reply.body["code"])


async def test_an_unknown_service_or_instance_is_a_404(api: Api) -> None:
    await api.register()
    before = api.state()
    assert code(await api.put(SERVICE.replace("user", "other"), WHY), 404) == "SERVICE_UNKNOWN"
    assert code(await api.put(BY_ADDRESS.replace("user", "other"), WHY), 404) == "INSTANCE_UNKNOWN"
    assert code(await api.put(BY_ADDRESS.replace("3001", "3002"), WHY), 404) == "INSTANCE_UNKNOWN"
    assert code(await api.put(BY_ID.replace("id-1", "id-2"), WHY), 404) == "INSTANCE_UNKNOWN"
    assert code(await api.delete(BY_ID.replace("id-1", "id-2")), 404) == "INSTANCE_UNKNOWN"
    assert api.state() == before


@every_way
async def test_to_end_what_never_began_is_a_404_that_says_where_to_look(api: Api, path: str) -> None:
    await api.register()
    other = SERVICE if path != SERVICE else BY_ADDRESS
    await api.put(other, WHY)
    before = api.state()
    reply = await api.delete(path)
    assert_error(reply, 404, "user-service", "GET /maintenance")
    assert reply.body["code"] == "NO_MAINTENANCE"
    assert api.state() == before


async def test_the_list_is_whole_json_and_names_each_window_once(api: Api) -> None:
    await api.register(ip="2001:DB8:0::1")
    await api.put("/services/user-service/instances/maintenance?ip=2001:db8::1&port=3001", WHY)
    await api.put("/instances/id-1/maintenance", {"reason": 'a "quoted"\n reason \U0001f600', "seconds": 5})
    [window] = await windows(api)
    assert (window["ip"], window["port"]) == ("2001:db8::1", 3001)
    assert window["reason"] == json.loads('"a \\"quoted\\"\\n reason \\ud83d\\ude00"')
