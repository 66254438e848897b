"""POST /registrations: many at once, each on its own, in the order in which they were sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from discovery.core.caller import Caller, Grants
from discovery.plugins.auth import authorize
from discovery.rest.api.requests import Request
from discovery.store.engine import WriteSeams
from tests.rest.harness import USER, Api, assert_error, serving

MOST = 1000


def some(count: int, name: str = "web") -> list[dict[str, Any]]:
    return [{"name": f"{name}-{number // 10}", "ip": "10.0.0.1", "port": 3000 + number} for number in range(count)]


async def send(api: Api, *items: Any) -> Any:
    """The body of the 200."""
    reply = await api.post("/registrations", {"instances": list(items)})
    assert reply.status == 200, reply
    assert {"registered", "results", "heartbeatIntervalMs", "index", "timestamp"} == reply.body.keys()
    assert len(reply.body["results"]) == len(items)
    return reply.body


async def test_all_are_registered_and_each_result_names_its_own(api: Api) -> None:
    body = await send(api, *some(250))
    assert body["registered"] == 250
    assert body["index"] == api.registry.index
    for item, result in zip(some(250), body["results"], strict=True):
        assert result.keys() == {"status", "id"}
        found = (await api.get(f"/instances/{result['id']}")).body
        assert {name: found[name] for name in item} == item


async def test_who_beats_as_it_is_told_is_in_time_for_the_shortest_lease(api: Api) -> None:
    for ttls in ([2], [30, 2, 600]):
        items = [item | {"ttl": ttl} for item, ttl in zip(some(3), ttls, strict=False)]
        assert 500 < (await send(api, *items, {}))["heartbeatIntervalMs"] < 1000


async def test_none_is_none(api: Api) -> None:
    assert (await send(api))["registered"] == 0


async def test_as_many_as_there_may_be_and_not_one_more(api: Api) -> None:
    assert (await send(api, *some(MOST)))["registered"] == MOST
    reply = await api.post("/registrations", {"instances": some(MOST + 1)})
    assert_error(reply, 400, "at most 1000")
    assert len(api.registry) == MOST


@pytest.mark.parametrize(
    ("bad", "status", "code"),
    [
        (None, 400, "INVALID_FIELD"),
        ([], 400, "INVALID_FIELD"),
        ({}, 400, "INVALID_FIELD"),
        (USER | {"ip": "nowhere"}, 400, "INVALID_FIELD"),
        (USER | {"port": 0}, 400, "INVALID_FIELD"),
        (USER | {"metadata": {"x": "y" * 20_000}}, 400, "INVALID_FIELD"),
        (USER | {"name": "full", "port": 9}, 409, "SERVICE_FULL"),
        (USER | {"name": "fixed"}, 409, "NAME_RESERVED"),
        (USER | {"name": "other", "id": "own"}, 409, "ID_TAKEN"),
    ],
)
async def test_one_that_is_refused_says_why_in_its_place_and_fails_nobody_else(
    bad: Any, status: int, code: str
) -> None:
    async with serving(max_instances=2) as api:
        api.registry.reserved = {"fixed": "has fixed records in a zone file"}
        await api.register(name="full", port=1, id="own")
        await api.register(name="full", port=2)
        before = api.registry.index
        body = await send(api, USER, bad, USER | {"port": 3002})
        assert body["registered"] == 2
        assert [result["status"] for result in body["results"]] == [201, status, 201]
        assert body["results"][1]["code"] == code
        if isinstance(bad, dict):
            alone = (await api.put("/instances", bad)).body
            said = {name: value for name, value in alone.items() if name not in ("error", "timestamp")}
            assert body["results"][1] == {"status": status, **said}, "all that the error of a single one says"
        assert body["results"][1]["message"]
        assert api.registry.index == before + 2, "what is refused moves no index"


async def test_the_same_instance_twice_is_one_and_the_later_counts(api: Api) -> None:
    body = await send(api, USER | {"metadata": {"v": 1}}, USER | {"metadata": {"v": 2}})
    first, second = body["results"]
    assert first["id"] == second["id"]
    assert (await api.get(f"/instances/{first['id']}")).body["metadata"] == {"v": 2}


async def test_the_limit_of_a_service_holds_within_a_batch(api: Api) -> None:
    body = await send(api, *(USER | {"port": port} for port in range(1, 16)))
    assert body["registered"] == 10
    assert [result["status"] for result in body["results"]] == [201] * 10 + [409] * 5


async def test_each_counts_for_the_rate_of_its_client() -> None:
    async with serving(registers_per_second=8) as api:
        body = await send(api, *some(30))
        assert [result["status"] for result in body["results"]] == [201] * 16 + [429] * 14
        assert {result.get("code") for result in body["results"][16:]} == {"TOO_MANY_REGISTRATIONS"}


async def test_each_takes_the_right_to_its_service() -> None:
    def admit(request: Request) -> Caller:
        return Caller(request.address, "ci", Grants(register=("web-*",)))

    async with serving(admit=admit, seams=WriteSeams(authorize=[authorize])) as api:
        body = await send(api, *some(2), USER, *some(4)[2:])
        assert [result["status"] for result in body["results"]] == [201, 201, 403, 201, 201]
        assert body["results"][2]["code"] == "FORBIDDEN"
        assert "user-service" not in api.registry.services


async def test_a_body_of_two_mebibytes_is_read_and_a_larger_one_is_not(api: Api) -> None:
    item = USER | {"metadata": {"x": "y" * 15_000}}
    reply = await api.raw(request(json.dumps({"instances": [item] * 135}).encode()))
    assert reply.body["registered"] == 135
    assert_error(await api.raw(request(json.dumps({"instances": [item] * 141}).encode())), 413, "octets")


def request(body: bytes) -> bytes:
    head = (
        f"POST /registrations HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@pytest.mark.parametrize("body", [{}, {"instances": None}, {"instances": {}}, {"instances": 1}, []])
async def test_a_body_without_a_list_is_refused_whole(api: Api, body: Any) -> None:
    assert (await api.post("/registrations", body)).status == 400
    assert len(api.registry) == 0
