"""Own health over HTTP: PUT /instances, POST /registrations and POST /heartbeats carry it; what the original had does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rest.harness import USER, Api, assert_error
from tests.store.making import Log

FAILS = {"health": "failing", "output": "the pool is empty"}


async def put(api: Api, **fields: Any) -> Any:
    reply = await api.request("PUT", "/instances", USER | fields)
    assert reply.status in (200, 201), reply
    return reply.body


async def beat(api: Api, **fields: Any) -> Any:
    return (await api.post("/heartbeats", {"instances": [USER | fields]})).body


async def shown(api: Api) -> Any:
    (instance,) = (await api.get("/services/user-service")).body["instances"]
    return instance


@pytest.mark.parametrize("say", [put, beat])
async def test_one_that_fails_by_its_own_word_is_resolved_no_more_until_it_says_otherwise(api: Api, say: Any) -> None:
    await api.register()
    await say(api, **FAILS)
    assert_error(await api.get("/resolve/user-service"), 404)
    listed = await shown(api)
    assert (listed["status"], listed["health"], listed["output"]) == ("failing", "failing", "the pool is empty")
    await say(api)
    assert (await shown(api))["status"] == "failing", "a heartbeat without a word changes nothing"
    await say(api, health="passing")
    assert (await api.get("/resolve/user-service")).status == 200
    assert "health" not in await shown(api)


@pytest.mark.parametrize("say", [put, beat])
async def test_other_words_are_shown_at_once_and_move_no_index(api: Api, say: Any) -> None:
    await api.register()
    await say(api, health="warning", output="80 % full")
    assert (await api.get("/resolve/user-service")).body["instances"][0]["output"] == "80 % full"
    index, log = api.registry.index, Log.of(api.registry)
    await say(api, health="warning", output="90 % full")
    assert (await shown(api))["output"] == "90 % full"
    (found,) = (await api.get("/resolve/user-service")).body["instances"]
    assert found["output"] == "90 % full"
    await say(api, health="warning")
    assert (await shown(api))["output"] == ""
    assert (api.registry.index, log.changes) == (index, [])


async def test_one_that_warns_is_found_by_that_and_keeps_its_weight_in_what_is_shown(api: Api) -> None:
    await api.register(port=3002)
    await put(api, weight=50, warningWeight=5, health="warning")
    reply = await api.get("/services?status=warning")
    (only,) = reply.body["services"]["user-service"]["instances"]
    assert (only["port"], only["status"], only["weight"], only["warningWeight"]) == (3001, "healthy", 50, 5)
    assert {each["port"] for each in (await api.get("/resolve/user-service")).body["instances"]} == {3001, 3002}


async def test_one_of_which_a_check_warns_is_found_and_shown_as_one_that_warns_itself(api: Api) -> None:
    await put(
        api, checks=[{"id": "pool", "ttl": 60, "status": "warning"}, {"id": "disk", "ttl": 60, "status": "passing"}]
    )
    (only,) = (await api.get("/services?status=warning")).body["services"]["user-service"]["instances"]
    (resolved,) = (await api.get("/resolve/user-service")).body["instances"]
    assert (only["status"], only["warning"], resolved["warning"]) == ("healthy", True, True)
    assert "health" not in only


async def test_a_new_one_may_come_failing(api: Api) -> None:
    body = (await api.post("/registrations", {"instances": [USER | FAILS]})).body
    assert body["registered"] == 1
    assert (await shown(api))["status"] == "failing"
    await api.post("/registrations", {"instances": [USER]})
    assert (await shown(api))["status"] == "healthy", "who registers begins anew"
    assert (await put(api, port=3005, **FAILS))["instance"]["status"] == "failing"


async def test_a_report_is_a_heartbeat_and_refused_where_one_would_be(api: Api) -> None:
    await api.register()
    api.forward(6)
    body = await beat(api, **FAILS)
    assert (body["updated"], api.registry.renewals) == (1, 1)
    (entry,) = api.registry
    assert entry.lease.renewed_at == api.clock.now
    body = (await api.post("/heartbeats", {"instances": [USER | FAILS | {"port": 9}]})).body
    assert (body["updated"], len(body["unknown"])) == (0, 1)


BAD: list[dict[str, Any]] = [
    {"health": "great"}, {"health": 1}, {"health": []}, {"health": "failing", "output": 7}, {"output": "alone"},
    {"health": "failing", "output": "ü" * 2049}, {"health": "Passing"},
]  # fmt: skip


async def test_what_is_no_health_is_told_by_its_field_and_changes_nothing(api: Api) -> None:
    await api.register()
    for bad in BAD:
        field = "output" if "output" in bad else "health"
        assert_error(await api.request("PUT", "/instances", USER | bad), 400, field)
        (unknown,) = (await beat(api, **bad))["unknown"]
        assert f"instances[0].{field}" in unknown["message"]
    assert (await shown(api))["status"] == "healthy"


async def test_the_original_routes_do_not_read_it(api: Api) -> None:
    reply = await api.post("/register", USER | FAILS)
    assert reply.status == 201
    assert len(reply.body["warnings"]) == 2
    reply = await api.post("/heartbeat", USER | FAILS)
    assert (reply.status, len(reply.body["warnings"])) == (200, 2)
    assert (await shown(api))["status"] == "healthy"
