"""Checks over HTTP: they are registered with an instance, reported one by one or in batches, and listed with it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rest.harness import USER, Api, assert_error
from tests.store.making import Log

DB = {"id": "db-pool", "ttl": 5}
PASSES, FAILS = {"health": "passing"}, {"health": "failing", "output": "the pool is empty"}
RESOLVE = "/resolve/user-service"


async def put(api: Api, *checks: Any, **fields: Any) -> Any:
    reply = await api.request("PUT", "/instances", USER | {"id": "user-1", "ttl": 60, "checks": list(checks)} | fields)
    assert reply.status in (200, 201), reply
    return reply.body


async def alone(api: Api, found: Any, check: str = "db-pool") -> Any:
    return await api.request("PUT", f"/instances/user-1/checks/{check}", found)


async def batched(api: Api, found: Any, check: str = "db-pool") -> Any:
    return await api.post("/heartbeats", {"instances": [{"id": "user-1", "checks": {check: found}}]})


async def shown(api: Api) -> Any:
    return (await api.get("/instances/user-1")).body


@pytest.mark.parametrize("report", [alone, batched])
async def test_a_ttl_check_is_reported_and_missed_at_its_deadline(api: Api, report: Any) -> None:
    await put(api, DB)
    assert (await shown(api))["checkStates"]["db-pool"]["health"] == "failing", "nothing was reported yet"
    assert (await report(api, PASSES)).status == 200
    assert (await api.get(RESOLVE)).status == 200
    index, log = api.registry.index, Log.of(api.registry)
    for number in range(4):
        api.forward(4)
        assert (await report(api, PASSES | {"output": f"{number} in use"})).status == 200
    found = (await shown(api))["checkStates"]["db-pool"]
    assert (found["output"], api.registry.index, log.changes) == ("3 in use", index, [])
    (listed,) = (await api.get("/services/user-service")).body["instances"]
    assert listed["checkStates"]["db-pool"] == found, "the list says what the instance's page does"
    api.forward(5)
    assert_error(await api.get(RESOLVE), 404)
    seen = await shown(api)
    assert (seen["status"], seen["checkStates"]["db-pool"]["health"]) == ("failing", "failing")
    assert seen["why"].startswith("its check db-pool fails: nothing was reported"), "since when is the status's to tell"
    assert seen["next"] == "it is back when its checks pass"
    await report(api, FAILS)
    assert (await shown(api))["checkFailure"] == "db-pool: the pool is empty"
    await report(api, {"health": "warning", "output": "full"})
    assert (await shown(api))["why"].startswith("its lease runs; its check db-pool warns: full; its weight is 1")


async def test_a_batch_tells_of_each_item_once_whatever_it_reports(api: Api) -> None:
    await put(api, DB, {"id": "queue", "ttl": 5}, {"tcp": True})
    both = {"db-pool": PASSES, "queue": FAILS}
    said = (await api.post("/heartbeats", {"instances": [{"id": "user-1", "checks": both, "health": "warning"}]})).body
    assert (said["updated"], said["unknown"]) == (1, [])
    states = (await shown(api))["checkStates"]
    assert (states["db-pool"]["health"], states["queue"]["health"]) == ("passing", "failing")
    for checks, text in (
        ({"nobody": PASSES}, "it has db-pool, queue, tcp"),
        ({"tcp": PASSES}, "made by the registry"),
        ({"db-pool": {"health": "great"}}, "instances[0].checks.db-pool.health"),
        ({"db-pool": "passing"}, "instances[0].checks.db-pool"),
        ([], "instances[0].checks"),
    ):
        said = (await api.post("/heartbeats", {"instances": [{"id": "user-1", "checks": checks}]})).body
        assert (said["updated"], text in said["unknown"][0]["message"]) == (0, True)


async def test_what_cannot_be_reported_is_refused(api: Api) -> None:
    await put(api, DB, {"tcp": True})
    refused: list[tuple[str, Any, int, str]] = [
        ("nobody", PASSES, 404, "nobody"),
        ("tcp", PASSES, 409, "made by the registry"),
        ("db-pool", {"health": "critical"}, 400, "health"),
        ("db-pool", {}, 400, "health"),
        ("db-pool", {"health": "passing", "output": "x" * 5000}, 400, "output"),
        ("db-pool", [], 400, "object"),
    ]
    for check, body, status, text in refused:
        assert_error(await alone(api, body, check), status, text)


async def test_all_that_checks_say_is_bounded_together(api: Api) -> None:
    await put(api, *({"id": str(number), "ttl": 5} for number in range(16)))
    for health in ("passing", "warning", "warning"):
        for number in range(16):
            await alone(api, {"health": health, "output": "x" * 4096}, str(number))
        assert {len(each["output"]) for each in (await shown(api))["checkStates"].values()} == {1024}


async def test_an_id_of_a_check_may_be_any_text(api: Api) -> None:
    await put(api, {"id": "service:my/app 1", "ttl": 5})
    assert (await alone(api, PASSES, "service:my%2Fapp%201")).status == 200
    assert (await shown(api))["status"] == "healthy"


BAD: list[tuple[Any, str]] = [
    ({}, "checks"),
    ([{"ttl": 0}], "checks[0].ttl"),
    ([{"ttl": 8 * 86400}], "checks[0].ttl"),
    ([{"ttl": 5, "tcp": True}], "checks[0]"),
    ([{"ttl": 5, "interval": 5}], "checks[0].interval"),
    ([{"ttl": 5}, {"ttl": 6}], "checks"),
    ([{"tcp": True}, {"ttl": 5, "statsu": "passing"}], "checks[1].statsu"),
    ([{"ttl": 5, "id": "a\nb"}], "checks[0].id"),
    ([{"ttl": 5, "id": "x" * 256}], "checks[0].id"),
    ([{"ttl": 5, "status": "great"}], "checks[0].status"),
    ([{"ttl": 5, "criticalAfter": -1}], "checks[0].criticalAfter"),
    ([{"http": "/", "method": "TRACE"}], "checks[0].method"),
    ([{"http": "/", "headers": {"A": "b\r\nC: d"}}], "checks[0].headers.A"),
    ([{"http": "/", "headers": {"Content-Length": "5"}}], "checks[0].headers"),
    ([{"http": "/", "headers": {f"A{number}": "" for number in range(9)}}], "checks[0].headers"),
    ([{"http": "/", "body": "x" * 1025}], "checks[0].body"),
    ([{"http": "/", "ca": "no certificate"}], "checks[0].ca"),
    ([{"grpc": False}], "checks[0].grpc"),
    ([{"tcp": True, "tls": True}], "checks[0].tls"),
    ([{"tcp": True, "port": 0}], "checks[0].port"),
    ([{"id": str(number), "ttl": 5} for number in range(17)], "checks"),
    ([{"id": str(number), "ttl": 5, "name": "x" * 255, "group": "x" * 255} for number in range(16)] * 2, "checks"),
    ([{"id": str(number), "http": "/" + "x" * 1000, "body": "x" * 1000} for number in range(9)], "checks"),
    (["tcp"], "checks[0]"),
]


async def test_bad_checks_are_refused_with_the_part_at_fault(api: Api) -> None:
    for checks, field in BAD:
        reply = await api.request("PUT", "/instances", USER | {"checks": checks})
        assert (reply.status, reply.body["field"]) == (400, field), checks


async def test_one_check_stands_in_the_field_that_is_older_and_several_in_the_other(api: Api) -> None:
    reply = await api.request("PUT", "/instances", USER | {"check": {"tcp": True}, "checks": [{"ttl": 5}]})
    assert_error(reply, 400, "checks")
    await put(api, {"tcp": True})
    assert "checks" not in (seen := await shown(api))
    assert seen["check"]["tcp"] is True
    await put(api, {"tcp": True}, DB)
    assert "check" not in (seen := await shown(api))
    assert [check["id"] for check in seen["checks"]] == ["tcp", "db-pool"]
    await alone(api, PASSES)
    assert "checks" not in (await api.get(RESOLVE)).body["instances"][0], "no client needs them"
    assert (await api.post("/register", USER | {"checks": [DB]})).body["warnings"]
