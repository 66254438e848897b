"""POST /register: a new instance, the same one again, optional fields, the limit, names without case."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rest.harness import USER, Api, time_of

OPTIONS = {
    "tags": ["v2", "canary"],
    "ports": {"grpc": 9000, "admin": 9001},
    "protocol": "udp",
    "weight": 7,
    "priority": 3,
    "zone": "eu-west",
    "ttl": 30,
    "id": "node-1:user@host.example",
}


async def test_a_registration_is_a_201_with_the_instance(api: Api) -> None:
    reply = await api.post("/register", USER | {"metadata": {"version": "1.0.0"}})
    assert reply.status == 201
    assert reply.body.keys() == {"message", "instance", "timestamp", "heartbeatIntervalMs", "index"}
    instance = reply.body["instance"]
    assert instance.keys() == {"id", "name", "ip", "port", "status", "registeredAt"}
    assert {key: instance[key] for key in ("name", "ip", "port", "status")} == USER | {"status": "healthy"}
    assert isinstance(instance["id"], str)
    assert time_of(instance["registeredAt"]) == api.time()
    assert time_of(reply.body["timestamp"]) == api.time()
    assert isinstance(reply.body["message"], str)
    assert reply.body["index"] == api.registry.index == 1


async def test_location_leads_to_the_instance(api: Api) -> None:
    reply = await api.post("/register", USER)
    found = await api.get(reply.headers["Location"])
    assert (found.status, found.body["id"]) == (200, reply.body["instance"]["id"])


@pytest.mark.parametrize("way", ["POST /register", "PUT /instances", "POST /registrations"])
@pytest.mark.parametrize(
    ("sent", "shown"), [(["tcp", "udp"], ["tcp", "udp"]), (["udp"], "udp"), ("udp", "udp"), (["tcp"], None)]
)
async def test_one_port_may_serve_two_protocols_and_one_is_shown_as_text(
    api: Api, way: str, sent: Any, shown: Any
) -> None:
    body = USER | {"protocol": sent}
    method, _, path = way.partition(" ")
    reply = await api.request(method, path, {"instances": [body]} if path == "/registrations" else body)
    assert reply.status in (200, 201), reply
    [instance] = (await api.get(f"/resolve/{USER['name']}")).body["instances"]
    assert instance.get("protocol") == shown
    [event] = (await api.get(f"/changes?since=0&service={USER['name']}")).body["changes"]
    assert event["instance"].get("protocol") == shown


async def test_the_heartbeat_interval_is_about_a_third_of_the_timeout(api: Api) -> None:
    default = [(await api.register())["heartbeatIntervalMs"] for _ in range(50)]
    assert all(isinstance(value, int) and 2500 <= value <= 4000 for value in default)
    assert len(set(default)) > 1, "it is jittered"
    assert 25_000 <= (await api.register(ttl=90))["heartbeatIntervalMs"] <= 36_000


async def test_every_optional_field_comes_back(api: Api) -> None:
    body = await api.register(**OPTIONS)
    assert body["instance"]["id"] == OPTIONS["id"]
    instance = (await api.get(f"/instances/{OPTIONS['id']}")).body
    assert OPTIONS.items() <= instance.items()


async def test_metadata_comes_back_as_it_was_sent(api: Api) -> None:
    metadata = {"é": [1, 2.5, None, True, {"deep": '\n"quoted" \U0001f600'}], "": ""}
    await api.register(metadata=metadata)
    assert (await api.get("/resolve/user-service")).body["instances"][0]["metadata"] == metadata


async def test_a_service_is_shown_as_first_registered_everywhere(api: Api) -> None:
    await api.register(name="User-Service")
    second = await api.register(name="user-service", port=3002)
    again = await api.register(name="USER-SERVICE")
    beat = (await api.post("/heartbeat", USER)).body
    listed = (await api.get("/services")).body["services"]
    assert list(listed) == ["User-Service"]
    assert (await api.get("/stats")).body["services"] == ["User-Service"]
    assert (await api.get("/resolve/USER-service")).body["serviceName"] == "User-Service"
    names = [body["instance"]["name"] for body in (second, again, beat)]
    names += [instance["name"] for instance in listed["User-Service"]["instances"]]
    assert set(names) == {"User-Service"}
