"""PUT and DELETE of a drain, by address and by id: out of new answers at once, still alive, and safe to stop at a time that is told."""

from __future__ import annotations

import pytest

from tests.rest.harness import DNS_TTL, USER, Api, Reply, assert_error, time_of

BY_ADDRESS = "/services/user-service/instances/drain?ip=127.0.0.1&port=3001"
BY_ID = "/instances/id-1/drain"
RESOLVE = "/resolve/user-service"

both_ways = pytest.mark.parametrize("path", [BY_ADDRESS, BY_ID, BY_ADDRESS.replace("user", "USER")])


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
    """However little is left of the lease: an answer of a moment before may have had a longer TTL. A cache counts whole seconds."""
    for age in (0, 3, 5.5, 9, 10, 12):
        await api.register()
        api.forward(age)
        reply = await api.put(BY_ADDRESS)
        assert safe_after(api, reply) == DNS_TTL + 1, f"{age} s after the heartbeat"
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
    assert time_of(reply.body["safeAfter"]) == api.time(3600 + DNS_TTL + 1)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_an_unknown_instance_is_a_404(api: Api, method: str) -> None:
    await api.register()
    before = api.state()
    for path in (
        BY_ID.replace("id-1", "id-2"),
        BY_ADDRESS.replace("user", "other"),
        BY_ADDRESS.replace("3001", "3002"),
    ):
        reply = await api.request(method, path)
        assert_error(reply, 404)
        assert reply.body["code"] == "INSTANCE_UNKNOWN"
    assert api.state() == before


@pytest.mark.parametrize("line", ["PUT /drain", "DELETE /drain", "PUT /maintenance", "DELETE /maintenance", "DELETE "])
async def test_a_missing_parameter_is_a_400_with_an_example(api: Api, line: str) -> None:
    method, _, what = line.partition(" ")
    await api.register()
    before = api.state()
    for query, field in (("", "ip"), ("?ip=127.0.0.1", "port"), ("?port=3001", "ip"), ("?ip=&port=3001", "ip")):
        body = {"reason": "new disks", "seconds": 60} if what == "/maintenance" else None
        reply = await api.request(method, f"/services/user-service/instances{what}{query}", body)
        assert_error(reply, 400, field)
        assert (reply.body["code"], reply.body["field"]) == ("PARAMETER_MISSING", field)
        assert f"/instances{what}?ip=" in reply.body["example"]
    assert api.state() == before
