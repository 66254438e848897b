"""PUT and DELETE of a drain, by address and by id: out of new answers at once, still alive, and safe to stop at a time that is told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rest.harness import DNS_TTL, USER, Api, Reply, assert_error, time_of
from tests.store.making import Log, Told

BY_ADDRESS = "/services/user-service/instances/drain?ip=127.0.0.1&port=3001"
BY_ID = "/instances/id-1/drain"
RESOLVE = "/resolve/user-service"

both_ways = pytest.mark.parametrize("path", [BY_ADDRESS, BY_ID, BY_ADDRESS.replace("user", "USER")])


def watched(api: Api) -> list[Told]:
    return Log.of(api.registry).changes


def safe_after(api: Api, reply: Reply) -> float:
    """Seconds from now on."""
    return (time_of(reply.body["safeAfter"]) - time_of(reply.body["timestamp"])).total_seconds()


@both_ways
async def test_a_drained_instance_is_in_no_answer_and_still_listed(api: Api, path: str) -> None:
    await api.register()
    await api.register(port=3002)
    reply = await api.put(path)
    assert reply.status == 200
    assert reply.body.keys() == {"message", "instance", "safeAfter", "timestamp"}
    assert reply.body["instance"].items() >= (USER | {"id": "id-1", "status": "draining", "isHealthy": False}).items()
    assert time_of(reply.body["timestamp"]) == api.time()
    assert [one["port"] for one in (await api.get(RESOLVE)).body["instances"]] == [3002]
    shown = (await api.get("/instances/id-1")).body
    assert (shown["status"], shown["draining"], shown["isHealthy"]) == ("draining", True, False)
    listed = (await api.get("/services")).body
    assert [one["status"] for one in listed["services"]["user-service"]["instances"]] == ["draining", "healthy"]
    assert listed["services"]["user-service"]["healthyCount"] == listed["totalHealthyInstances"] == 1


@both_ways
async def test_an_undone_drain_brings_it_back_at_once(api: Api, path: str) -> None:
    await api.register()
    await api.put(path)
    assert_error(await api.get(RESOLVE), 404, "user-service", "1 draining")
    reply = await api.delete(path)
    assert reply.status == 200
    assert reply.body.keys() == {"message", "instance", "timestamp"}
    assert (reply.body["instance"]["status"], reply.body["instance"]["isHealthy"]) == ("healthy", True)
    assert "draining" not in reply.body["instance"]
    assert (await api.get(RESOLVE)).status == 200


async def test_it_is_safe_to_stop_when_the_longest_ttl_has_run_out(api: Api) -> None:
    """However little is left of the lease: an answer of a moment before may have had a longer TTL."""
    for age in (0, 3, 5.5, 9, 10, 12):
        await api.register()
        api.forward(age)
        reply = await api.put(BY_ADDRESS)
        assert safe_after(api, reply) == DNS_TTL, f"{age} s after the heartbeat"
        await api.delete(BY_ADDRESS)


async def test_a_second_drain_changes_nothing(api: Api) -> None:
    await api.register()
    first = await api.put(BY_ADDRESS)
    api.forward(3)
    assert (await api.put(BY_ADDRESS)).body["safeAfter"] == first.body["safeAfter"]


async def test_safe_after_follows_the_wall_clock_of_the_answer(api: Api) -> None:
    await api.register()
    api.clock.ahead += 3600
    reply = await api.put(BY_ADDRESS)
    assert time_of(reply.body["safeAfter"]) == api.time(3600 + DNS_TTL)


@both_ways
async def test_drained_twice_is_drained_once(api: Api, path: str) -> None:
    await api.register()
    changes = watched(api)
    first = await api.put(path)
    before = api.state()
    again = await api.put(path)
    assert (again.status, again.body) == (200, first.body)
    assert api.state() == before
    assert [change.kind.value for change in changes] == ["draining"]
    assert "127.0.0.1" in changes[0].reason, "who asked"


@both_ways
async def test_what_is_not_drained_may_be_undrained(api: Api, path: str) -> None:
    await api.register()
    before = api.state()
    assert (await api.delete(path)).status == 200
    assert api.state() == before


async def test_a_heartbeat_keeps_a_drained_instance_alive_and_says_what_it_is(api: Api) -> None:
    await api.register()
    await api.put(BY_ID)
    for _ in range(5):
        api.forward(9)
        api.settle()
        reply = await api.post("/heartbeat", USER)
        assert (reply.status, reply.body["instance"]["status"]) == (200, "draining")
    batch = await api.post("/heartbeats", {"instances": [USER]})
    assert (batch.body["updated"], batch.body["unknown"]) == (1, [])
    assert (await api.get(RESOLVE)).status == 404


@pytest.mark.parametrize("fields", [{}, {"metadata": {"version": "2"}}, {"ttl": 20}])
@pytest.mark.parametrize(("method", "path"), [("POST", "/register"), ("PUT", "/instances"), ("POST", "/heartbeat")])
async def test_a_registration_does_not_undo_a_drain(api: Api, method: str, path: str, fields: dict[str, Any]) -> None:
    await api.register()
    await api.put(BY_ID)
    reply = await api.request(method, path, USER | fields | ({"register": True} if path == "/heartbeat" else {}))
    assert reply.status in (200, 201)
    assert reply.body["instance"]["status"] == "draining"
    assert (await api.get(RESOLVE)).status == 404
    assert (await api.get("/instances/id-1")).body.items() >= ({"draining": True} | fields).items()


async def test_a_drained_instance_that_falls_silent_is_unhealthy_and_drained_again_when_it_beats(api: Api) -> None:
    await api.register()
    await api.put(BY_ID)
    api.forward(10)
    shown = (await api.get("/instances/id-1")).body
    assert (shown["status"], shown["draining"]) == ("unhealthy", True)
    api.settle()
    assert (await api.post("/heartbeat", USER)).body["instance"]["status"] == "draining"


async def test_an_unhealthy_instance_can_be_drained(api: Api) -> None:
    await api.register()
    api.forward(11)
    reply = await api.put(BY_ID)
    assert (reply.status, reply.body["instance"]["status"]) == (200, "unhealthy")
    assert (await api.post("/heartbeat", USER)).body["instance"]["status"] == "draining"


async def test_a_new_registration_after_a_deregistration_is_not_drained(api: Api) -> None:
    await api.register()
    await api.put(BY_ID)
    await api.delete("/instances/id-1")
    assert (await api.register())["instance"]["status"] == "healthy"


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        BY_ID.replace("id-1", "id-2"),
        BY_ADDRESS.replace("user", "other"),
        BY_ADDRESS.replace("127.0.0.1", "127.0.0.2"),
        BY_ADDRESS.replace("3001", "3002"),
    ],
)
async def test_an_unknown_instance_is_a_404(api: Api, method: str, path: str) -> None:
    await api.register()
    before = api.state()
    reply = await api.request(method, path)
    assert_error(reply, 404)
    assert reply.body["code"] == "INSTANCE_UNKNOWN"
    assert api.state() == before


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize(
    ("query", "field"), [("", "ip"), ("?ip=127.0.0.1", "port"), ("?port=3001", "ip"), ("?ip=&port=3001", "ip")]
)
async def test_a_missing_parameter_is_a_400_with_an_example(api: Api, method: str, query: str, field: str) -> None:
    await api.register()
    before = api.state()
    reply = await api.request(method, f"/services/user-service/instances/drain{query}")
    assert_error(reply, 400, field)
    assert (reply.body["code"], reply.body["field"]) == ("PARAMETER_MISSING", field)
    assert "/instances/drain?ip=" in reply.body["example"]
    assert api.state() == before


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (BY_ADDRESS.replace("127.0.0.1", "localhost"), "ip"),
        (BY_ADDRESS.replace("3001", "0"), "port"),
        (BY_ADDRESS.replace("user-service", "a%0Ab"), "name"),
    ],
)
async def test_a_bad_parameter_is_named(api: Api, path: str, field: str) -> None:
    reply = await api.put(path)
    assert_error(reply, 400, field)
    assert reply.body["field"] == field
