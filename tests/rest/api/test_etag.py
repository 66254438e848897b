"""ETag and If-None-Match: of the index, of what was asked, and of the instances that are served."""

from __future__ import annotations

import pytest

from tests.rest.harness import ORIGIN, USER, Api
from tests.rest.wire import filled

RESOLVE = "/resolve/user-service"


async def tag(api: Api, path: str) -> str:
    reply = await api.get(path)
    assert reply.headers["Cache-Control"] == "no-store"
    return reply.headers["ETag"]


@pytest.mark.parametrize("path", [RESOLVE, f"{RESOLVE}?limit=5", "/services", "/services?limit=5"])
async def test_who_has_it_already_gets_a_304_with_the_index_and_no_body(api: Api, path: str) -> None:
    await api.register()
    known = await tag(api, path)
    assert known.startswith('W/"')
    await api.post("/heartbeat", USER)
    reply = await api.request("GET", path, headers={"If-None-Match": known, "Origin": ORIGIN})
    assert (reply.status, reply.body, reply.headers["ETag"]) == (304, None, known)
    assert reply.headers["X-Registry-Index"] == str(api.registry.index)
    assert "ETag" in reply.headers["Access-Control-Expose-Headers"]
    await api.register(port=3002)
    assert (await api.get(path, **{"If-None-Match": known})).status == 200


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("{}", 304), ("*", 304), ('"x", {}', 304), ("{},W/\"x\"", 304), ('"other"', 200), ("", 200), ("W/", 200), ("é", 200),
    ],
)  # fmt: skip
async def test_tags_are_compared_weakly(api: Api, sent: str, status: int) -> None:
    await api.register()
    known = await tag(api, RESOLVE)
    for text in (known, known.removeprefix("W/")):
        reply = await api.get(RESOLVE, **{"If-None-Match": sent.format(text)})
        assert reply.status == status, (sent, text)


async def test_a_lease_that_has_ended_before_its_event_is_no_304(api: Api) -> None:
    await api.register(ttl=1)
    await api.register(port=3002, ttl=60)
    resolved, listed = await tag(api, RESOLVE), await tag(api, "/services")
    index = api.registry.index
    api.forward(2)
    assert (await api.get(RESOLVE, **{"If-None-Match": resolved})).body["instanceCount"] == 1
    reply = await api.get("/services", **{"If-None-Match": listed})
    assert (reply.status, api.registry.index) == (200, index)
    assert "ETag" not in reply.headers


async def test_it_differs_by_what_was_asked_but_not_by_how_long_to_wait(api: Api) -> None:
    await api.register(tags=["blue"])
    await api.register(port=3002)
    queries = ["", "?tag=blue", "?limit=1", "?limit=2", "?port=3001"]
    tags = [await tag(api, f"{RESOLVE}{query}") for query in queries]
    assert len(set(tags)) == len(queries)
    assert await tag(api, f"{RESOLVE}?limit=2&index=0&wait=5s&_=7") == await tag(api, f"{RESOLVE}?limit=2")
    assert await tag(api, f"{RESOLVE}?index=0") == tags[0]


async def test_the_order_does_not_count(api: Api) -> None:
    for port in range(3001, 3009):
        await api.register(port=port)
    path = f"{RESOLVE}?strategy=random"
    assert len({await tag(api, path) for _ in range(5)}) == 1


async def test_an_error_has_none(api: Api) -> None:
    reply = await api.get(RESOLVE, **{"If-None-Match": "*"})
    assert (reply.status, "ETag" in reply.headers) == (404, False)


async def test_through_aiohttp_too() -> None:
    async with filled() as api:
        known = await tag(api, RESOLVE)
        for method in ("GET", "HEAD"):
            reply = await api.request(method, RESOLVE, headers={"If-None-Match": known})
            assert (reply.status, reply.body, reply.headers["ETag"]) == (304, None, known)
            assert "Content-Type" not in reply.headers
