"""POST /heartbeats: many at once, each on its own: one that is unknown or malformed is told of and fails nobody else."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

from discovery.core.event import Kind
from discovery.core.instance import Registration
from tests.rest.harness import USER as KNOWN
from tests.rest.harness import Api, assert_error, time_of
from tests.store.making import Log

NOBODY = {"name": "nobody", "ip": "10.9.9.9", "port": 9}


async def beat(api: Api, *items: Any) -> Any:
    """The body of the 200."""
    reply = await api.post("/heartbeats", {"instances": list(items)})
    assert reply.status == 200, reply
    assert {"updated", "unknown", "heartbeatIntervalMs", "index", "timestamp"} == reply.body.keys()
    time_of(reply.body["timestamp"])
    return reply.body


async def test_all_that_are_known_are_renewed(api: Api) -> None:
    one, two = await api.register(), await api.register(port=3002, id="own-id")
    api.forward(6)
    body = await beat(api, KNOWN, {"id": "own-id"})
    assert (body["updated"], body["unknown"]) == (2, [])
    assert body["index"] == api.registry.index == two["index"]
    assert api.registry.renewals == 2
    for entry in api.registry:
        assert entry.lease.renewed_at == api.clock.now
    assert one["instance"]["id"] != "own-id"


async def test_none_is_none(api: Api) -> None:
    body = await beat(api)
    assert (body["updated"], body["unknown"]) == (0, [])
    assert 3000 <= body["heartbeatIntervalMs"] <= 3667, "a third of the server's own timeout"


async def test_the_spellings_that_one_heartbeat_accepts(api: Api) -> None:
    await api.register()
    for spelt in (
        {"name": "USER-service"}, {"name": " user-service "}, {"port": "3001"}, {"port": 3001.0}, {"ip": "::ffff:127.0.0.1"},
        {"ip": " 127.0.0.1"}, {"extra": [1]}, {"metadata": {"a": "b"}},
    ):  # fmt: skip
        assert (await api.post("/heartbeat", KNOWN | spelt)).status == 200, spelt
        assert (await beat(api, KNOWN | spelt))["updated"] == 1, spelt


BAD: list[Any] = [
    None, True, 7, 1.5, "", "id", "own-id", [], ["id"], [[]], {}, {"id": None}, {"id": 7}, {"id": []}, {"id": {}},
    {"id": "nobody's"}, {"id": ""}, {"id": {"service": "user-service"}}, NOBODY, KNOWN | {"port": 3002},
    KNOWN | {"port": True}, KNOWN | {"port": None}, KNOWN | {"port": []}, KNOWN | {"port": "x"}, KNOWN | {"port": 3001.5},
    KNOWN | {"port": 2**70}, KNOWN | {"port": -3001}, KNOWN | {"ip": None}, KNOWN | {"ip": {}}, KNOWN | {"ip": "localhost"},
    KNOWN | {"name": None}, KNOWN | {"name": 1}, KNOWN | {"name": []}, KNOWN | {"name": ""}, KNOWN | {"name": "_x"},
    KNOWN | {"name": "x" * 64}, {"name": "user-service"}, {"name": "user-service", "ip": "127.0.0.1"},
    KNOWN | {"message": "mine"} | {"port": 4},
]  # fmt: skip


async def test_one_that_is_wrong_is_told_of_and_fails_nobody_else(api: Api) -> None:
    await api.register(id="own-id")
    for bad in BAD:
        body = await beat(api, KNOWN, bad, {"id": "own-id"})
        (unknown,) = body["unknown"]
        assert (body["updated"], bool(unknown["message"])) == (2, True), bad
        if isinstance(bad, dict):
            assert {name: value for name, value in unknown.items() if name != "message"}.items() >= {
                name: value for name, value in bad.items() if name != "message" and value != 2**70
            }.items()


async def test_look_alikes_from_other_scripts_are_no_names(api: Api) -> None:
    """A kelvin sign is a k in lower case; a name is ASCII."""
    await api.register(name="kafka")
    item = KNOWN | {"name": "\u212aafka"}
    assert_error(await api.post("/heartbeat", item), 400, "name")
    assert (await beat(api, item))["updated"] == 0


async def test_an_item_as_deep_as_json_may_be_fails_nobody_else(api: Api) -> None:
    await api.register()
    deep: Any = 0
    for depth in range(900):
        deep = [deep]
        if depth in (10, 100, 240, 300, 899):
            body = await beat(api, NOBODY | {"deep": deep}, KNOWN)
            assert (body["updated"], body["unknown"][0]["name"]) == (1, "nobody"), depth


async def test_the_message_says_which_instance_is_meant(api: Api) -> None:
    unknown = (await beat(api, NOBODY, {"id": "gone"}, KNOWN | {"ip": "x"}, 7))["unknown"]
    for one, said in zip(unknown, ("10.9.9.9", "gone", "ip", "instances[3]"), strict=True):
        assert said in one["message"]
    assert unknown[0] | NOBODY == unknown[0]
    assert unknown[1]["id"] == "gone"


async def test_the_same_twice_is_two(api: Api) -> None:
    await api.register()
    assert (await beat(api, KNOWN, KNOWN))["updated"] == 2


async def test_the_interval_is_a_third_of_the_shortest_lease_that_was_renewed(api: Api) -> None:
    await api.register(ttl=60)
    await api.register(port=3002, ttl=30)
    await api.register(port=3003, ttl=3)
    body = await beat(api, KNOWN, KNOWN | {"port": 3002})
    assert 9000 <= body["heartbeatIntervalMs"] <= 11000
    body = await beat(api, KNOWN, KNOWN | {"port": 3002}, KNOWN | {"port": 3003})
    assert 900 <= body["heartbeatIntervalMs"] <= 1100


async def test_a_lease_that_ran_out_is_renewed_and_that_is_a_change(api: Api) -> None:
    await api.register()
    before, log = api.registry.index, Log.of(api.registry)
    api.forward(10)
    body = await beat(api, KNOWN)
    assert body["updated"] == 1
    assert log.kinds() == [Kind.UNHEALTHY, Kind.HEALTHY]
    assert body["index"] == before + 1, "one decision"
    assert (await api.get("/resolve/user-service")).status == 200


async def test_a_body_of_another_shape_is_400_and_named(api: Api) -> None:
    await api.register()
    for instances in (None, {}, "x", 7, KNOWN):
        assert_error(await api.post("/heartbeats", {"instances": instances}), 400, "instances")
    shapeless: list[Any] = [{}, {"Instances": []}, b"", b"[]", b"null", b"{", b'{"instances":[}']
    for body in shapeless:
        assert_error(await api.post("/heartbeats", body), 400)
    assert api.registry.renewals == 0


def many(api: Api, count: int) -> list[dict[str, Any]]:
    items = [{"name": f"service-{number}", "ip": "10.0.0.1", "port": 80} for number in range(count)]
    for item in items:
        api.registry.register(Registration.of(item["name"], item["ip"], item["port"]), api.clock.now, 0.0)
    return items


async def test_ten_thousand_are_taken_and_one_more_is_not(api: Api) -> None:
    items = many(api, 10_000)
    body = await beat(api, *items)
    assert (body["updated"], body["unknown"]) == (10_000, [])
    renewals = api.registry.renewals
    assert_error(await api.post("/heartbeats", {"instances": [*items, KNOWN]}), 400, "instances", "10000", "10001")
    assert api.registry.renewals == renewals


async def test_ten_thousand_unknown_are_all_told_of(api: Api) -> None:
    items = [{"id": f"nobody-{number}"} for number in range(10_000)]
    body = await beat(api, *items)
    assert body["updated"] == 0
    assert [one["id"] for one in body["unknown"]] == [item["id"] for item in items]


async def test_others_have_their_turn_while_ten_thousand_are_renewed(api: Api) -> None:
    """What another task sees of the renewals grows in steps, none of them larger than a fifth: 2 ms."""
    items = many(api, 10_000)
    seen: list[int] = []

    async def watch() -> None:
        while True:
            seen.append(api.registry.renewals)
            await asyncio.sleep(0)

    watcher = asyncio.create_task(watch())
    await beat(api, *items)
    watcher.cancel()
    steps = sorted({*seen, 0, 10_000})
    assert max(later - earlier for earlier, later in pairwise(steps)) <= 2000


async def test_an_instance_that_leaves_in_between_is_unknown_then(api: Api) -> None:
    items = many(api, 3000)

    async def leave() -> None:
        while not api.registry.renewals:  # noqa: ASYNC110 - the registry has no event to wait for
            await asyncio.sleep(0)
        api.registry.deregister_service("service-2999", "test", api.clock.now)

    leaving = asyncio.create_task(leave())
    body = await beat(api, *items)
    await leaving
    assert body["updated"] == 2999
    assert body["unknown"][0]["name"] == "service-2999"
