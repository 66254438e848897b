"""GET /resolve, /instances, /services, /stats, /health, /ready: the exact fields, the order, the totals."""

from __future__ import annotations

import json
from functools import partial

import pytest

import discovery
from discovery.core.status import Status
from tests.rest.harness import USER, Api, assert_error, serving, time_of

RESOLVED = {"id", "ip", "port", "status", "lastHeartbeat", "registeredAt", "metadata"}
LISTED = RESOLVED | {"name", "isHealthy", "timeSinceHeartbeat"}


async def test_resolve_shows_the_healthy_ones_latest_heartbeat_first(api: Api) -> None:
    for port in (3001, 3002, 3003, 3004):
        await api.register(port=port)
        api.forward(1)
    await api.post("/heartbeat", USER | {"port": 3002})
    api.forward(8)  # 3001 and 3003 have run out: at 10 and at 12
    reply = await api.get("/resolve/user-service")
    assert reply.status == 200
    assert reply.body.keys() == {"serviceName", "instanceCount", "instances", "timestamp"}
    assert (reply.body["serviceName"], reply.body["instanceCount"]) == ("user-service", 2)
    assert time_of(reply.body["timestamp"]) == api.time(12)
    first, second = reply.body["instances"]
    assert (first["port"], second["port"]) == (3002, 3004)
    assert first.keys() == second.keys() == RESOLVED
    assert (first["ip"], first["status"], first["metadata"]) == ("127.0.0.1", "healthy", {})
    assert (time_of(first["registeredAt"]), time_of(first["lastHeartbeat"])) == (api.time(1), api.time(4))


@pytest.mark.parametrize("name", ["user-service", "USER-Service", "%20user-service%20", "user%2Dservice"])
async def test_resolve_takes_a_name_however_it_is_spelt(api: Api, name: str) -> None:
    await api.register()
    assert (await api.get(f"/resolve/{name}")).body["serviceName"] == "user-service"


async def test_resolve_of_nobody_is_a_404_with_the_name(api: Api) -> None:
    reply = await api.get("/resolve/nobody")
    assert_error(reply, 404, "nobody")
    assert reply.body["serviceName"] == "nobody"


async def test_an_instance_is_shown_by_its_id(api: Api) -> None:
    id = (await api.register(metadata={"a": 1}))["instance"]["id"]
    api.forward(3)
    reply = await api.get(f"/instances/{id}")
    assert reply.status == 200
    account = {"served", "why", "since", "until", "by", "next", "heartbeats"}
    assert reply.body.keys() - {"timestamp"} == LISTED | account
    assert reply.body.items() >= (USER | {"id": id, "metadata": {"a": 1}, "isHealthy": True}).items()
    assert reply.body["timeSinceHeartbeat"] == "3s"


@pytest.mark.parametrize("id", ["nobody", "%00", "%FF", "%ED%A0%80", "x" * 4000, "%22%5C%0A"])
async def test_an_unknown_id_is_a_404(api: Api, id: str) -> None:
    assert_error(await api.get(f"/instances/{id}"), 404)


async def test_services_lists_the_unhealthy_too_and_counts_both(api: Api) -> None:
    await api.register()
    api.forward(7)
    await api.register(port=3002)
    await api.register(name="task-service", metadata={"a": [1]})
    api.forward(3)
    reply = await api.get("/services")
    assert reply.status == 200
    assert reply.body.keys() == {
        "totalServices", "totalInstances", "totalHealthyInstances", "services", "timestamp",
    }  # fmt: skip
    totals = [reply.body[key] for key in ("totalServices", "totalInstances", "totalHealthyInstances")]
    assert totals == [2, 3, 2]
    assert time_of(reply.body["timestamp"]) == api.time(10)
    user, task = reply.body["services"]["user-service"], reply.body["services"]["task-service"]
    assert user.keys() == task.keys() == {"instanceCount", "healthyCount", "changedAt", "instances"}
    assert (user["instanceCount"], user["healthyCount"]) == (2, 1)
    old, new = user["instances"]
    assert old.keys() == LISTED
    assert (old["status"], old["isHealthy"], old["timeSinceHeartbeat"]) == ("unhealthy", False, "10s")
    assert (new["status"], new["isHealthy"], new["timeSinceHeartbeat"]) == ("healthy", True, "3s")
    assert time_of(task["changedAt"]) == api.time(7)
    assert task["instances"][0]["metadata"] == {"a": [1]}


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 100, 2000])
async def test_services_is_whole_json_at_any_size(api: Api, count: int) -> None:
    api.fill(count, 2)
    body = (await api.get("/services")).body
    assert (body["totalServices"], body["totalInstances"], body["totalHealthyInstances"]) == (
        count, 2 * count, 2 * count,
    )  # fmt: skip
    assert list(body["services"]) == [f"service-{number}" for number in range(count)]
    assert all(service["instanceCount"] == len(service["instances"]) == 2 for service in body["services"].values())


async def test_services_stays_whole_when_the_table_changes_while_it_is_read(api: Api) -> None:
    api.fill(2000)
    async with api.session.get(api.url + "/services") as response:
        start = await response.content.readany()
        cleared = await api.post("/admin/clear")
        body = json.loads(start + await response.content.read())
    assert cleared.status == 200
    assert body["totalServices"] == len(body["services"])
    assert body["totalInstances"] == sum(service["instanceCount"] for service in body["services"].values())


@pytest.mark.parametrize("path", ["/services", "/health", "/resolve/nobody"])
async def test_an_answer_to_head_has_no_body(api: Api, path: str) -> None:
    """RFC 9110 §9.3.2; what follows on the connection would be read as the next answer."""
    api.fill(100)
    answer = await api.octets(f"HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 ")
    assert body == b""


async def test_stats_counts_what_happened(api: Api) -> None:
    await api.register()
    await api.register()
    await api.register(name="task-service")
    await api.post("/heartbeat", USER)
    await api.post("/heartbeat", USER | {"port": 9})  # unknown: not counted
    api.forward(61.7)
    reply = await api.get("/stats")
    assert reply.status == 200
    assert time_of(reply.body.pop("timestamp")) == api.time(61.7)
    nobody = {"instances": 0, "serviceCount": 0, "services": [], "removed": {}, "since": None, "until": None}
    assert reply.body == {
        "totalRegistrations": 3,
        "totalHeartbeats": 1,
        "totalCleanups": 0,
        "activeServices": 2,
        "activeInstances": 2,
        "services": ["user-service", "task-service"],
        "instancesByStatus": dict.fromkeys(Status, 0) | {Status.UNHEALTHY: 2},
        "goneLastHour": {"lost": nobody, "ended": nobody},  # the reaper has not come by
        "servicesHeldByTheBrake": [],
        "brakeHolds": [],
        "uptime": 61,
        "heartbeatTimeout": "10s",
        "cleanupInterval": "5s",
    }


async def test_stats_counts_by_name_those_that_went_of_services_that_have_others(api: Api) -> None:
    """Which are in no list any more, however many services went as a whole."""
    for number in range(110):
        for port in (1, 2):
            await api.register(name=f"whole-{number}", port=port)
    await api.register(name="part", port=1)
    await api.register(name="part", port=2)
    for _ in range(6):
        api.forward(3)
        api.settle()
        await api.post("/heartbeat", USER | {"name": "part", "port": 2})
    lost = (await api.get("/stats")).body["goneLastHour"]["lost"]
    assert (lost["serviceCount"], lost["removed"]) == (111, {"part": 1})


async def test_health_says_that_it_is_alive(api: Api) -> None:
    api.forward(3600)
    reply = await api.get("/health")
    assert reply.status == 200
    assert time_of(reply.body.pop("timestamp")) == api.time(3600)
    assert reply.body == {
        "status": "healthy",
        "service": "service-registry",
        "version": discovery.__version__,
        "uptime": 3600,
    }


async def test_ready_is_a_503_that_says_what_is_not_ready() -> None:
    state: dict[str, str | None] = {"registry": "still loading 7 of 9", "disk": None, "peer": "unreachable"}
    async with serving(checks={name: partial(state.get, name) for name in state}) as api:
        reply = await api.get("/ready")
        assert reply.status == 503
        said = json.dumps(reply.body)
        assert all(text in said for text in ("registry", "still loading 7 of 9", "peer", "unreachable"))
        assert "disk" not in said
        time_of(reply.body["timestamp"])
        state.update(registry=None, peer=None)
        assert (await api.get("/ready")).status == 200
        assert (await api.get("/health")).status == 200
