"""MAX_SERVICES and MAX_INSTANCES: beyond them 507 REGISTRY_FULL; who is in can do all that it could."""

from __future__ import annotations

import pytest

from tests.rest.harness import USER, Reply, assert_error, serving


def assert_full(reply: Reply, of: str, limit: int) -> None:
    assert_error(reply, 507, f"{limit} {of}", f"MAX_{of.upper()}")
    assert {name: reply.body[name] for name in ("code", "of", "limit")} == {
        "code": "REGISTRY_FULL", "of": of, "limit": limit,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [("POST", "/register", {}), ("PUT", "/instances", {}), ("POST", "/heartbeat", {"register": True})],
)
async def test_a_service_too_many_is_refused_whichever_way_it_comes(
    method: str, path: str, more: dict[str, bool]
) -> None:
    async with serving(max_services=3) as api:
        for number in range(3):
            await api.register(name=f"service-{number}")
        before = api.state()
        assert_full(await api.request(method, path, USER | more), "services", 3)
        assert api.state() == before


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [("POST", "/register", {}), ("PUT", "/instances", {}), ("POST", "/heartbeat", {"register": True})],
)
async def test_and_an_instance_too_many(method: str, path: str, more: dict[str, bool]) -> None:
    async with serving(max_in_all=3) as api:
        await api.register(name="other-service")
        await api.register(port=3002)
        await api.register(port=3003)
        before = api.state()
        assert_full(await api.request(method, path, USER | more), "instances", 3)
        assert_full(await api.request(method, path, USER | more | {"name": "new-service"}), "instances", 3)
        assert api.state() == before


async def test_who_is_in_goes_on_at_the_ceiling() -> None:
    async with serving(max_services=1, max_in_all=2) as api:
        first = await api.register()
        await api.register(port=3002)
        again = await api.register(weight=7, tags=["blue"])
        assert again["instance"]["id"] == first["instance"]["id"]
        assert (await api.put("/instances", USER | {"weight": 8})).status == 200
        assert (await api.post("/heartbeat", USER)).status == 200
        assert (await api.post("/heartbeat", USER | {"weight": 9, "register": True})).status == 200
        assert (await api.get("/resolve/user-service")).body["instanceCount"] == 2


async def test_the_place_of_one_that_leaves_is_free_at_once() -> None:
    async with serving(max_services=1, max_in_all=1) as api:
        await api.register()
        assert (await api.delete("/services/user-service/instances?ip=127.0.0.1&port=3001")).status == 200
        await api.register(name="other-service")
        assert_full(await api.post("/register", USER), "services", 1)
        assert (await api.post("/admin/clear")).status == 200
        await api.register()


async def test_and_of_one_that_was_removed_for_its_silence() -> None:
    async with serving(max_services=1, max_in_all=1) as api:
        await api.register()
        api.forward(60)
        api.settle()
        await api.register(name="other-service")


async def test_a_service_is_counted_once_whatever_its_case() -> None:
    async with serving(max_services=1) as api:
        await api.register()
        await api.register(name="USER-SERVICE", port=3002)
        assert_full(await api.post("/register", USER | {"name": "user-service-2"}), "services", 1)
