"""GET /resolve for callers who are in a zone: whose instances come first, the tag, `zone=`, and long polls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import pytest

from tests.rest.harness import Api, serving

A, B, NOWHERE = "10.1.0.9", "10.2.0.9", "192.0.2.9"
RESOLVE = "/resolve/web"


@pytest.fixture(name="house")
async def _house() -> AsyncIterator[Api]:
    """`web` with three instances in eu-a and eu-b each; callers come through a proxy."""
    async with serving(trusted=[ip_network("127.0.0.1")], client_zones="10.1.0.0/16=eu-a 10.2.0.0/16=eu-b") as api:
        for number, zone in enumerate(("EU-A", "EU-B"), 1):
            for port in (1, 2, 3):
                await api.register(name="web", ip=f"10.{number}.1.1", port=port, zone=zone, tags=["blue"])
        yield api


async def resolved(api: Api, client: str, path: str = RESOLVE, **headers: str) -> Any:
    return await api.get(path, **{"X-Forwarded-For": client, **headers})


def zones(reply: Any) -> list[str]:
    return [each["zone"] for each in reply.body["instances"]]


def failing(api: Api, count: int) -> None:
    """So many of eu-a."""
    for entry in list(api.registry):
        if entry.instance.spec.zone == "EU-A":
            failure = "refused" if entry.instance.spec.port <= count else None
            api.registry.checked(entry.instance.id, failure, api.clock.now)


@pytest.mark.parametrize(
    "query", ["", "?strategy=latest", "?strategy=random", "?strategy=weighted", "?strategy=round_robin", "?tag=blue"]
)
async def test_those_of_the_callers_zone_come_first_in_every_order(house: Api, query: str) -> None:
    for _ in range(3):
        assert zones(await resolved(house, A, RESOLVE + query)) == ["EU-A"] * 3 + ["EU-B"] * 3
        assert zones(await resolved(house, B, RESOLVE + query)) == ["EU-B"] * 3 + ["EU-A"] * 3
    for client, theirs in ((A, "EU-A"), (B, "EU-B")):
        limited = await resolved(house, client, f"{RESOLVE}?limit=2" + query.replace("?", "&"))
        assert zones(limited) == [theirs] * 2
        assert limited.body["zone"]["first"] == 2
    assert "zone" not in (await resolved(house, NOWHERE, RESOLVE + query)).body


async def test_the_answer_says_how_many_are_to_be_used_and_why(house: Api) -> None:
    assert (await resolved(house, A)).body["zone"] == {
        "name": "eu-a",
        "healthy": 3,
        "known": 3,
        "first": 3,
        "why": "from eu-a: 3 of 3 are healthy here, so none is from elsewhere",
    }
    failing(house, 2)
    reply = await resolved(house, A)
    assert reply.body["zone"]["first"] == 2
    assert reply.body["zone"]["why"] == "from eu-a: 1 of 3 is healthy here, so 5 in 10 are from elsewhere"
    assert zones(reply) == ["EU-A", "EU-B", "EU-B", "EU-B"]
    explained = (await resolved(house, A, f"{RESOLVE}?explain=1")).body["explained"]
    behind = [each["why"] for each in explained if "it is behind those" in each["why"]]
    assert behind == 2 * [
        "its lease runs; from eu-a: 1 of 3 is healthy here, so 5 in 10 are from elsewhere: it is behind those"
    ]
    assert sum(each["served"] for each in explained) == 4


async def test_a_zone_in_the_query_is_all_that_counts(house: Api) -> None:
    reply = await resolved(house, A, f"{RESOLVE}?zone=eu-b")
    assert zones(reply) == ["EU-B"] * 3
    assert "zone" not in reply.body


@pytest.mark.parametrize("query", ["", "?limit=9"])
async def test_a_tag_is_of_a_zone_whether_its_asker_waits_or_not(house: Api, query: str) -> None:
    tags = {client: (await resolved(house, client, RESOLVE + query)).headers["ETag"] for client in (A, B, NOWHERE)}
    assert len(set(tags.values())) == 3
    waited = await resolved(house, A, f"{RESOLVE}?index=0" + query.replace("?", "&"))
    assert waited.headers["ETag"] == tags[A]
    for client, tag in tags.items():
        assert (await resolved(house, client, RESOLVE + query, **{"If-None-Match": tag})).status == 304
        for other in set(tags) - {client}:
            assert (await resolved(house, other, RESOLVE + query, **{"If-None-Match": tag})).status == 200
    failing(house, 1)
    assert (await resolved(house, A, RESOLVE + query, **{"If-None-Match": tags[A]})).status == 200


async def test_a_header_of_who_is_no_proxy_moves_nobody() -> None:
    async with serving(client_zones="127.0.0.0/8=eu-a 10.2.0.0/16=eu-b") as api:
        for port, zone in enumerate(("eu-a", "eu-a", "eu-b", "eu-b"), 1):
            await api.register(name="web", port=port, zone=zone)
        assert (await resolved(api, B)).body["zone"]["name"] == "eu-a"


async def test_who_waits_is_answered_for_his_zone(house: Api) -> None:
    index = house.registry.index
    waiting = [
        asyncio.create_task(resolved(house, client, f"{RESOLVE}?index={index}&wait=60s"))
        for client in (A, B, NOWHERE, A)
    ]
    await house.get(RESOLVE)  # they have been sent before it
    await house.register(name="web", ip="10.3.1.1", port=1, zone="eu-c")
    a, b, nowhere, again = await asyncio.gather(*waiting)
    assert zones(a)[:3] == zones(again)[:3] == ["EU-A"] * 3
    assert zones(b)[:3] == ["EU-B"] * 3
    assert "zone" not in nowhere.body
