"""Answers that are kept for everybody: how long, for whom, and that nobody is told of an instance that was over when he asked."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest

from discovery.core.instance import Registration
from discovery.rest.api.answers import Answer
from discovery.rest.api.requests import Request
from discovery.rest.api.services.listing import Listing
from discovery.rest.api.times import Times
from discovery.rest.http import kept_bodies
from discovery.rest.http.kept_bodies import MAX_FORMS, KeptBodies
from discovery.system.waiting_octets import WaitingOctets
from tests.rest.harness import LEASE, Api, route, serving
from tests.rest.wire import request, talk
from tests.waiting import until


@pytest.fixture(name="made")
def _made() -> Iterator[list[int]]:
    """The index of each list when it was begun."""
    made: list[int] = []
    make = Listing._listed_by

    def counted(self: Listing, *arguments: object) -> object:
        made.append(self.registry.index)
        return make(self, *arguments)  # type: ignore[arg-type]

    with patch.object(Listing, "_listed_by", counted):
        yield made


async def statuses(api: Api) -> list[str]:
    reply = await api.get("/services")
    return [each["status"] for service in reply.body["services"].values() for each in service["instances"]]


async def test_all_who_ask_within_a_second_are_given_the_same_and_a_commit_ends_it(api: Api, made: list[int]) -> None:
    await api.register()
    first = await api.get("/services")
    assert (await api.get("/services")).body == first.body
    assert len(made) == 1
    await api.register(port=3002)
    assert (await api.get("/services")).body["totalInstances"] == 2
    api.forward(1.0)
    await api.get("/services")
    assert len(made) == 3
    api.registry.staleness_changed()
    await api.get("/services")
    assert len(made) == 4


async def test_an_instance_is_not_listed_as_healthy_when_its_lease_has_run_out(api: Api, made: list[int]) -> None:
    await api.register()
    api.forward(LEASE - 0.3)
    assert await statuses(api) == ["healthy"]
    api.forward(0.2)
    assert await statuses(api) == ["healthy"]
    assert len(made) == 1
    api.forward(0.1)
    assert await statuses(api) == ["unhealthy"], "nobody was told yet, and no second is over"


async def test_gzip_is_of_the_same_octets_and_has_the_same_tag(api: Api, made: list[int]) -> None:
    api.fill(20)
    plain = await talk(api.port, request("GET /services", "Connection: close"))
    for _ in range(2):
        packed = await talk(api.port, request("GET /services", "Accept-Encoding: br, gzip", "Connection: close"))
        head, _, body = packed.partition(b"\r\n\r\n")
        assert b"Content-Encoding: gzip" in head
        assert b"Vary: Origin, Accept-Encoding" in head
        assert gzip.decompress(body) == plain.partition(b"\r\n\r\n")[2]
        assert plain.partition(b"ETag: ")[2][:20] == head.partition(b"ETag: ")[2][:20]
    assert len(made) == 1


async def test_a_crowd_makes_it_once_and_whoever_has_seen_a_later_commit_gets_that(made: list[int]) -> None:
    async with serving(max_services=10_000) as api:
        api.fill(2_000)
        replies = [asyncio.ensure_future(api.get("/services")) for _ in range(30)]
        while not made:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        index = (await api.register())["index"]
        late = await api.get("/services")
        assert "user-service" in late.body["services"]
        assert int(late.headers["X-Registry-Index"]) >= index
        for reply in await asyncio.gather(*replies):
            assert "service-1999" in reply.body["services"]
        assert len(made) <= 3


async def test_no_cache_and_a_filter_are_made_for_who_asks(api: Api, made: list[int]) -> None:
    await api.register()
    for _ in range(2):
        await api.get("/services", **{"Cache-Control": "no-cache"})
        await api.get("/services?status=healthy")
    assert len(made) == 4


async def test_there_are_no_more_forms_than_there_is_room_for_and_they_are_counted_once() -> None:
    waiting = WaitingOctets(2**26)
    async with serving(waiting=waiting) as api:
        api.fill(3)
        for limit in range(1, 3 * MAX_FORMS):
            reply = await api.get(f"/services?limit={limit}")
        assert waiting.shared <= MAX_FORMS * len(json.dumps(reply.body))
        assert waiting.shared == len(waiting) > 0


async def packed_services(api: Api) -> Any:
    packed = await talk(api.port, request("GET /services", "Accept-Encoding: gzip", "Connection: close"))
    return json.loads(gzip.decompress(packed.partition(b"\r\n\r\n")[2]))


async def test_what_is_too_long_to_be_kept_is_streamed_and_kept_packed(
    made: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_bodies, "MAX_OCTETS", 8 * 2048)
    async with serving() as api:
        api.fill(100)
        for count in (2, 3):
            assert (await api.get("/services")).body["totalServices"] == 100
            assert len(made) == count, "once to see that it is too long"
        for _ in range(2):
            assert (await packed_services(api))["totalServices"] == 100
            assert len(made) == 3, "once for all who take gzip, as the last one did"
        api.registry.deregister(Registration.of("service-1", "10.0.0.1", 1000).key, "", api.clock.now)
        assert (await api.get("/services")).body["totalServices"] == 99
        assert (await packed_services(api))["totalServices"] == 99


async def test_an_error_is_nobodys_when_whoever_asked_has_left() -> None:
    """The list is made for all, and so to its end."""
    has_left, errors = asyncio.Event(), list[object]()

    async def fails(request: Request) -> Answer:
        await has_left.wait()
        raise ValueError

    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))
    async with serving() as api:
        bodies = KeptBodies(api.registry, api.clock, WaitingOctets(2**20), Times(api.clock, api.clock.wall))
        asked = Request("GET", "/fails")
        asked.route = route("/fails", fails)
        asking = asyncio.create_task(bodies.answer(asked, 0))
        await until(lambda: bodies._making)
        asking.cancel()
        await asyncio.wait([asking])
        del asking
        has_left.set()
        await until(lambda: not bodies._making)
        gc.collect()
    assert errors == []
