"""GET /services?limit=&after=: pages in the order of names, each service once, while others come and go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from discovery.core.instance import Key, Registration
from tests.rest.harness import Api, time_of


def add(api: Api, *names: str) -> None:
    for name in names:
        api.registry.register(Registration.of(name, "10.0.0.1", 80), api.clock.now, api.clock.wall())


async def page(api: Api, query: str) -> Any:
    reply = await api.get(f"/services?{query}")
    assert reply.status == 200, reply
    assert {"totalServices", "totalInstances", "totalHealthyInstances", "services", "next"} < reply.body.keys()
    time_of(reply.body["timestamp"])
    return reply.body


async def pages(api: Api, limit: int, between: Callable[[int], None] = lambda number: None) -> list[str]:
    """The names of all pages, in order."""
    found: list[str] = []
    after: str | None = ""
    number = 0
    while after is not None:
        body = await page(api, f"limit={limit}" + (f"&after={after}" if after else ""))
        assert len(body["services"]) <= limit
        if body["next"] is not None:
            assert list(body["services"])[-1] == body["next"]
            assert len(body["services"]) == limit
        found += body["services"]
        after = body["next"]
        number += 1
        between(number)
    return found


@pytest.mark.parametrize("limit", [1, 2, 7, 24, 25, 26, 100])
async def test_all_pages_together_list_every_service_once_in_order(api: Api, limit: int) -> None:
    names = [f"{letter}{number}" for number in range(5) for letter in "bADce"]
    add(api, *names)
    assert await pages(api, limit) == sorted(names, key=str.lower)


async def test_a_page_shows_what_the_whole_list_shows(api: Api) -> None:
    api.fill(12, 3)
    whole = (await api.get("/services")).body
    body = await page(api, "limit=100")
    assert body["next"] is None
    assert body.pop("next") is None
    assert body == whole | {"services": body["services"]}
    assert {name: body["services"][name] for name in whole["services"]} == whole["services"]


async def test_the_last_page_has_no_next_even_when_it_is_full(api: Api) -> None:
    add(api, "a", "b", "c", "d")
    first = await page(api, "limit=2")
    assert (list(first["services"]), first["next"]) == (["a", "b"], "b")
    last = await page(api, "limit=2&after=b")
    assert (list(last["services"]), last["next"]) == (["c", "d"], None)
    assert (await page(api, "limit=2&after=d"))["services"] == {}


async def test_an_empty_registry_is_one_empty_page(api: Api) -> None:
    body = await page(api, "limit=5")
    assert (body["services"], body["next"], body["totalServices"]) == ({}, None, 0)


async def test_after_needs_no_such_service_and_no_case(api: Api) -> None:
    add(api, "Alpha", "beta", "Gamma")
    for after, rest in [("b", ["beta", "Gamma"]), ("BETA", ["Gamma"]), ("alpha", ["beta", "Gamma"]), ("zzz", [])]:
        assert list((await page(api, f"after={after}"))["services"]) == rest
    assert list((await page(api, "after="))["services"]) == ["Alpha", "beta", "Gamma"]
    assert list((await page(api, "after=%C3%A9"))["services"]) == []


async def test_services_that_stay_are_listed_once_whatever_comes_and_goes_between_the_pages(api: Api) -> None:
    staying = [f"stay-{number:02}" for number in range(20)]
    add(api, *staying, *(f"go-{number:02}" for number in range(10)), *(f"then-{number:02}" for number in range(10)))

    def between(number: int) -> None:
        for name in (f"go-{number:02}", f"then-{number - 1:02}"):
            if api.registry.service(name):
                api.registry.deregister_service(name, "test", api.clock.now)
        add(api, f"a-new-{number:02}", f"stay-{number:02}-b", f"zz-{number:02}" if number < 5 else "zz")

    found = await pages(api, 3, between)
    assert [name for name in found if name in staying] == staying
    assert len(set(found)) == len(found)
    assert found == sorted(found)


async def test_the_one_that_a_page_ended_with_may_go(api: Api) -> None:
    add(api, *"abcdef")
    assert (await page(api, "limit=3"))["next"] == "c"
    api.registry.deregister_service("c", "test", api.clock.now)
    assert list((await page(api, "limit=3&after=c"))["services"]) == ["d", "e", "f"]


async def test_totals_are_the_whole_registrys_on_every_page(api: Api) -> None:
    api.fill(10, 3)
    api.registry.register(Registration.of("service-0", "10.0.0.2", 80, ttl=1), api.clock.now, 0.0)
    api.forward(2)
    api.settle()
    for query in ("limit=1", "limit=4&after=service-5", "after=zzz"):
        body = await page(api, query)
        assert (body["totalServices"], body["totalInstances"], body["totalHealthyInstances"]) == (10, 31, 30)
    api.registry.deregister(Key.of("service-0", "10.0.0.2", 80), "test", api.clock.now)
    assert (await page(api, "limit=1"))["totalHealthyInstances"] == 30


async def test_a_hundred_is_the_default_and_the_most(api: Api) -> None:
    api.fill(120)
    assert len((await page(api, "after="))["services"]) == 100
    assert len((await page(api, "limit=100"))["services"]) == 100
    assert len((await api.get("/services")).body["services"]) == 120


async def test_head_of_a_page_has_no_body(api: Api) -> None:
    api.fill(2)
    reply = await api.request("HEAD", "/services?limit=1")
    assert (reply.status, reply.body) == (200, None)
