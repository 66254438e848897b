"""A heartbeat that carries the whole registration (PUT /instances, POST /heartbeat with `register`), and what it may not undo:
a deregistration.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests.rest.harness import USER, Api, Reply, assert_error, serving, time_of
from tests.store.making import Log, Told

PUT, BEAT = ("PUT", "/instances"), ("POST", "/heartbeat")
RESOLVE = "/resolve/user-service"
BY_ADDRESS = "/services/user-service/instances?ip=127.0.0.1&port=3001"
OPTIONS: dict[str, Any] = {
    "metadata": {"version": "2", "nested": {"a": [1, None]}},
    "tags": ["v2"],
    "ports": {"grpc": 9000},
    "protocol": "udp",
    "weight": 7,
    "priority": 3,
    "warningWeight": 2,
    "zone": "eu-west",
    "ttl": 30,
    "maxAnswers": 2,
    "check": {"http": "/health", "interval": 5, "timeout": 1, "failures": 2, "successes": 2},
}


class Way(NamedTuple):
    """Of saying it."""

    method: str
    path: str

    async def __call__(self, api: Api, **fields: Any) -> Reply:
        more = {"register": True} if self.path == "/heartbeat" else {}
        return await api.request(self.method, self.path, USER | more | fields)


every_way = pytest.mark.parametrize("say", [Way(*PUT), Way(*BEAT)], ids=["put", "heartbeat"])


def watched(api: Api) -> list[Told]:
    return Log.of(api.registry).changes


@every_way
async def test_a_new_instance_is_a_201_with_its_place(api: Api, say: Way) -> None:
    reply = await say(api, **OPTIONS)
    assert reply.status == 201
    assert reply.headers["Location"] == f"/instances/{reply.body['instance']['id']}"
    assert reply.body.keys() == {"message", "instance", "heartbeatIntervalMs", "index", "timestamp"}
    instance = reply.body["instance"]
    assert instance.items() >= (USER | {"status": "healthy"}).items()
    assert time_of(instance["registeredAt"]) == time_of(instance["lastHeartbeat"]) == api.time()
    assert 8_000 <= reply.body["heartbeatIntervalMs"] <= 12_000, "a third of the ttl it asked for"
    assert (await api.get(reply.headers["Location"])).body.items() >= OPTIONS.items()


@every_way
async def test_one_that_says_nothing_new_is_a_heartbeat_and_nothing_else(api: Api, say: Way) -> None:
    first = await say(api, **OPTIONS)
    changes, registrations, renewals = watched(api), api.registry.accepted["register"], api.registry.renewals
    for _ in range(3):
        api.forward(29)
        reply = await say(api, **OPTIONS)
        assert reply.status == 200
        assert "Location" not in reply.headers
        assert reply.body["instance"] == first.body["instance"] | {"lastHeartbeat": reply.body["timestamp"]}
        assert reply.body["index"] == first.body["index"]
    assert not changes
    assert (api.registry.accepted["register"], api.registry.renewals) == (registrations, renewals + 3)


@every_way
async def test_another_spelling_says_nothing_new(api: Api, say: Way) -> None:
    await api.register()
    changes = watched(api)
    spellings = {"name": "USER-Service", "port": "3001", "ip": "::ffff:127.0.0.1", "id": "mine"}
    for field, value in [*spellings.items(), ("name", " user-service ")]:
        reply = await say(api, **{field: value})
        instance = reply.body["instance"]
        assert (reply.status, instance["id"], instance["name"]) == (200, "id-1", "user-service"), value
    assert not changes


@every_way
async def test_other_contents_are_taken_over_and_what_is_not_said_any_more_is_the_default_again(
    api: Api, say: Way
) -> None:
    index = (await api.register())["index"]
    changes = watched(api)
    api.forward(3)
    for number, (field, value) in enumerate(OPTIONS.items()):
        reply = await say(api, **{field: value})
        assert (reply.status, reply.body["index"]) == (200, index + 2 * number + 1), field
        shown = (await api.get("/instances/id-1")).body
        assert shown[field] == value
        assert (time_of(shown["registeredAt"]), time_of(shown["lastHeartbeat"])) == (api.time(), api.time(3))
        assert (await say(api)).body["index"] == index + 2 * number + 2
        assert (await api.get("/instances/id-1")).body.get(field) != value
    assert {change.kind.value for change in changes} == {"updated"}


@every_way
@pytest.mark.parametrize(
    "path", [BY_ADDRESS, "/instances/id-1", "/services/user-service"], ids=["address", "id", "service"]
)
async def test_no_heartbeat_brings_a_deregistered_one_back_until_its_lease_would_be_over(
    api: Api, say: Way, path: str
) -> None:
    await api.register()
    await api.delete(path)
    for left in (10, 6, 1):
        before = api.state()
        reply = await say(api)
        assert_error(reply, 404, "deregistered", "POST /register")
        assert reply.body["code"] == "INSTANCE_DEREGISTERED"
        assert "POST /register" in reply.body["suggestion"]
        assert reply.body["retryAfterMs"] == left * 1000
        plain = await api.post("/heartbeat", USER)
        assert_error(plain, 404)
        assert api.state() == before
        api.forward({10: 4, 6: 5, 1: 1}[left])
    assert (await say(api)).status == 201


@every_way
async def test_a_cleared_table_is_deregistered_too(api: Api, say: Way) -> None:
    await api.register()
    await api.post("/admin/clear")
    assert_error(await say(api), 404)


async def test_by_id_an_instance_leaves_for_good(api: Api) -> None:
    await api.register()
    await api.register(port=3002)
    reply = await api.delete("/instances/id-1")
    assert reply.status == 200
    assert reply.body.keys() == {"message", "removedInstance", "timestamp"}
    assert reply.body["removedInstance"] == USER | {"id": "id-1"}
    before = api.state()
    for late in (await api.post("/heartbeat", USER), await api.delete("/instances/id-1")):
        assert_error(late, 404)
        assert late.body["code"] == "INSTANCE_UNKNOWN"
    [unknown] = (await api.post("/heartbeats", {"instances": [USER]})).body["unknown"]
    assert unknown.items() >= USER.items()
    assert api.state() == before
    assert [one["port"] for one in (await api.get(RESOLVE)).body["instances"]] == [3002]


async def test_a_removal_by_id_says_who_asked(api: Api) -> None:
    await api.register()
    changes = watched(api)
    await api.delete("/instances/id-1")
    assert [change.kind.value for change in changes] == ["deregistered"]
    assert "127.0.0.1" in changes[0].reason


@pytest.mark.parametrize("fields", [{}, {"register": False}], ids=["absent", "false"])
async def test_without_register_a_heartbeat_is_as_ever(api: Api, fields: dict[str, Any]) -> None:
    reply = await api.post("/heartbeat", USER | fields)
    assert_error(reply, 404)
    assert reply.body["code"] == "INSTANCE_UNKNOWN"
    await api.register(metadata={"version": "1"})
    changes = watched(api)
    reply = await api.post("/heartbeat", USER | {"metadata": {"version": "2"}, "tags": 7} | fields)
    assert reply.status == 200
    assert reply.body["instance"].keys() == {"id", "name", "ip", "port", "status", "lastHeartbeat"}
    assert not changes
    assert (await api.get("/instances/id-1")).body["metadata"] == {"version": "1"}


async def test_register_is_true_or_false(api: Api) -> None:
    await api.register()
    before = api.state()
    values: list[Any] = ["yes", "true", "", 1, 0, [], {}, [True]]
    for value in values:
        reply = await api.post("/heartbeat", USER | {"register": value, "metadata": {"a": 1}})
        assert_error(reply, 400, "register")
        assert (reply.body["code"], reply.body["field"]) == ("INVALID_FIELD", "register")
    assert api.state() == before


async def test_a_put_takes_any_text_for_a_tag_and_it_is_found_by_that(api: Api) -> None:
    tags = ["urlprefix-/web", "traefik.enable=true", "Blü", "blue"]
    assert (await api.request("PUT", "/instances", USER | {"tags": tags})).status == 201
    assert (await api.get("/instances/id-1")).body["tags"] == tags
    for query in ("urlprefix-/WEB", "TRAEFIK.enable%3Dtrue&tag=Blue", "bl%C3%BC"):
        (found,) = (await api.get(f"/resolve/user-service?tag={query}")).body["instances"]
        assert found["tags"] == tags
    assert_error(await api.post("/register", USER | {"tags": tags}), 400, "tags[0]")


@every_way
async def test_what_keeps_a_registration_out_keeps_it_out(say: Way) -> None:
    async with serving(max_instances=2) as api:
        await api.register(id="mine")
        await api.register(port=3002)
        api.registry.reserved = {"fixed": "has fixed records in a zone file"}
        before = api.state()
        assert (await say(api, port=3003)).body["code"] == "SERVICE_FULL"
        assert (await say(api, name="fixed")).body["code"] == "NAME_RESERVED"
        assert (await say(api, name="other", id="mine")).body["code"] == "ID_TAKEN"
        assert api.state() == before


EVERY_ONE = [
    Way(*PUT),
    Way(*BEAT),
    Way("POST", "/register"),
]


@pytest.mark.parametrize("say", EVERY_ONE, ids=lambda way: way.path)
async def test_a_process_that_is_back_at_another_port_is_told_how_to_keep_its_id_and_keeps_it(
    api: Api, say: Way
) -> None:
    await api.register(id="mine")
    refused = await say(api, port=3002, id="mine")
    assert_error(refused, 409, "mine", '"replace": true')
    assert refused.body["code"] == "ID_TAKEN"
    reply = await say(api, port=3002, id="mine", replace=True)
    assert (reply.status, reply.body["instance"]["id"], reply.body["instance"]["port"]) == (201, "mine", 3002)
    assert "warnings" not in reply.body
    assert [each["port"] for each in (await api.get(RESOLVE)).body["instances"]] == [3002]
    old = await api.request("POST", "/heartbeat", USER)
    assert (old.status, old.body["code"]) == (404, "INSTANCE_UNKNOWN")


async def test_one_of_many_may_replace_its_old_self_too(api: Api) -> None:
    await api.register(id="mine")
    items = [USER | {"port": 3002, "id": "mine", "replace": True}, USER | {"port": 3003, "id": "mine", "replace": 1}]
    results = (await api.post("/registrations", {"instances": items})).body["results"]
    assert (results[0]["status"], results[0]["id"]) == (201, "mine")
    assert (results[1]["status"], results[1]["code"]) == (400, "INVALID_FIELD")
