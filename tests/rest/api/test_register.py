"""POST /register: a new instance, the same one again, optional fields, the limit, names without case."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.rest.harness import USER, Api, assert_error, serving, time_of

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


async def test_the_same_address_again_keeps_id_and_time_and_takes_new_metadata(api: Api) -> None:
    first = await api.register(metadata={"version": "1"})
    api.forward(9)
    again = await api.register(metadata={"version": "2"})
    assert again["instance"] == first["instance"]
    assert again["index"] == first["index"] + 1
    api.forward(9.999)
    [instance] = (await api.get("/resolve/user-service")).body["instances"]
    assert instance["metadata"] == {"version": "2"}
    assert time_of(instance["lastHeartbeat"]) == api.time(9)


async def test_the_same_again_changes_nothing_visible(api: Api) -> None:
    first = await api.register()
    assert (await api.register())["index"] == first["index"]


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


async def test_an_own_ttl_is_the_lease(api: Api) -> None:
    await api.register(ttl=1)
    api.forward(0.999)
    assert (await api.get("/resolve/user-service")).status == 200
    api.forward(0.001)
    assert (await api.get("/resolve/user-service")).status == 404


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"port": "3001"}, {"port": 3001}),
        ({"port": 65535}, {"port": 65535}),
        ({"port": 1}, {"port": 1}),
        ({"name": "  user-service\t"}, {"name": "user-service"}),
        ({"name": "a" * 63}, {"name": "a" * 63}),
        ({"name": "User_2"}, {"name": "User_2"}),
        ({"name": "7"}, {"name": "7"}),
        ({"ip": "2001:DB8:0::1"}, {"ip": "2001:db8::1"}),
        ({"ip": "::1"}, {"ip": "::1"}),
        ({"metadata": None}, {}),
        ({"unheard": {"of": 1}}, {}),
    ],
    ids=str,
)
async def test_what_is_accepted(api: Api, sent: dict[str, Any], kept: dict[str, Any]) -> None:
    instance = (await api.register(**sent))["instance"]
    assert instance.items() >= (USER | kept).items()


async def test_metadata_comes_back_as_it_was_sent(api: Api) -> None:
    metadata = {"é": [1, 2.5, None, True, {"deep": '\n"quoted" \U0001f600'}], "": ""}
    await api.register(metadata=metadata)
    assert (await api.get("/resolve/user-service")).body["instances"][0]["metadata"] == metadata


@pytest.mark.parametrize(("size", "status"), [(16 * 1024, 201), (16 * 1024 + 1, 400)])
async def test_metadata_may_have_16_kib(api: Api, size: int, status: int) -> None:
    metadata = {"k": "x" * (size - len('{"k":""}'))}
    assert len(json.dumps(metadata, separators=(",", ":"))) == size
    assert (await api.post("/register", USER | {"metadata": metadata})).status == status


async def test_a_name_that_differs_in_case_is_the_same_service_and_instance(api: Api) -> None:
    first = await api.register(name="User-Service")
    again = await api.register(name="uSER-sERVICE")
    assert again["instance"]["id"] == first["instance"]["id"]
    assert len(api.registry) == len(api.registry.services) == 1


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


async def test_another_spelling_of_the_name_is_no_visible_change(api: Api) -> None:
    first = await api.register(name="User-Service")
    assert (await api.register(name="user-service"))["index"] == first["index"]


async def test_a_full_service_is_a_409_and_nothing_changes() -> None:
    async with serving(max_instances=2) as api:
        await api.register(port=1)
        await api.register(port=2)
        before = api.state()
        reply = await api.post("/register", USER | {"name": "USER-service", "port": 3})
        assert_error(reply, 409, "user-service", "2", "the most that MAX_INSTANCES_PER_SERVICE allows")
        assert api.state() == before
        assert (await api.post("/register", USER | {"port": 2})).status == 201, "one that is there may register again"
        assert (await api.post("/register", USER | {"name": "other"})).status == 201


async def test_at_the_limit_the_unhealthy_one_makes_way() -> None:
    async with serving(max_instances=2) as api:
        await api.register(port=1)
        api.forward(5)
        await api.register(port=2)
        api.forward(5)  # the first one's lease runs out now, and no reaper has been here
        await api.register(port=3)
        listed = (await api.get("/services")).body["services"]["user-service"]["instances"]
        assert [(one["port"], one["isHealthy"]) for one in listed] == [(2, True), (3, True)]


async def test_an_id_in_use_is_a_409_that_names_it(api: Api) -> None:
    await api.register(id="mine")
    before = api.state()
    assert_error(await api.post("/register", USER | {"port": 3002, "id": "mine"}), 409, "mine")
    assert api.state() == before


async def test_a_fixed_name_of_the_zone_is_a_409_that_names_it(api: Api) -> None:
    api.registry.reserved = {"user-service": "has fixed records in a zone file"}
    before = api.state()
    assert_error(await api.post("/register", USER | {"name": "User-Service"}), 409, "user-service")
    assert api.state() == before
