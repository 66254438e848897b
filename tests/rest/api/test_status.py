"""What an instance is, in one word, everywhere it is shown; and the counts, which agree with each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from discovery.core.status import Status
from discovery.store.damping import Damping
from tests.rest.harness import LEASE, USER, Api, assert_error, serving

RESOLVE = "/resolve/user-service"
# The instances of `zoo` by their ports, and what each is.
ZOO = {
    1: "healthy", 2: "healthy", 3: "suspect", 4: "suspect", 5: "suspect", 6: "unhealthy", 7: "maintenance", 8: "draining",
    9: "failing", 10: "flapping",
}  # fmt: skip


@pytest.fixture(name="held")
async def _held() -> AsyncIterator[Api]:
    """With the brake and the damping on."""
    async with serving(brake_percent=29, damping=Damping(3, 60)) as served:
        yield served


async def zoo(api: Api) -> None:
    """Port 6 ran out a while ago; 3 to 5 together, just now."""
    for port in ZOO:
        await api.register(port=port, id=f"at-{port}", ttl={3: 5, 4: 5, 5: 5, 6: 1}.get(port, 10))
    for failing in ("no", None) * 2:
        api.registry.checked("at-10", failing, api.clock.now)
    api.registry.checked("at-9", "GET /health answered 500", api.clock.now)
    await api.put("/instances/at-8/drain")
    await api.put("/instances/at-7/maintenance", {"reason": "new disks", "seconds": 60})
    api.forward(1)
    api.settle()
    api.forward(3)
    for port in (2, 1, 7, 8, 9, 10):
        await api.post("/heartbeat", USER | {"port": port})
        api.forward(0.125)
    api.forward(0.25)
    api.settle()


async def of_service(api: Api) -> Any:
    return (await api.get("/services")).body["services"]["user-service"]


async def silent_together(api: Api, ports: range, beating: range = range(0)) -> None:
    """`ports` fall silent at once; the others beat."""
    for port in (*ports, *beating):
        await api.register(port=port)
    api.forward(9)
    for port in beating:
        await api.post("/heartbeat", USER | {"port": port})
    api.forward(1)
    api.settle()


async def test_every_listing_says_the_same_word(held: Api) -> None:
    await zoo(held)
    service = await of_service(held)
    assert {one["port"]: one["status"] for one in service["instances"]} == ZOO
    paged = (await held.get("/services?limit=9")).body["services"]["user-service"]
    assert paged == service
    for port, word in ZOO.items():
        shown = (await held.get(f"/instances/at-{port}")).body
        assert shown["status"] == word
        assert shown["isHealthy"] == (word == "healthy")
        assert ("draining" in shown) == (word == "draining")
        assert ("maintenance" in shown) == (word == "maintenance")
        assert shown.get("checkFailure") == ("GET /health answered 500" if word == "failing" else None)


async def test_the_counts_agree(held: Api) -> None:
    await zoo(held)
    await held.register(name="other")
    listed, paged = (await held.get("/services")).body, (await held.get("/services?limit=9")).body
    assert listed["totalHealthyInstances"] == paged["totalHealthyInstances"] == 3
    assert listed["totalInstances"] == paged["totalInstances"] == 11
    for service in listed["services"].values():
        assert service["healthyCount"] == sum(one["isHealthy"] for one in service["instances"])
        assert service["instanceCount"] == len(service["instances"])
    stats = (await held.get("/stats")).body
    assert stats["instancesByStatus"] == dict.fromkeys(Status, 0) | Counter([*ZOO.values(), "healthy"])
    assert sum(stats["instancesByStatus"].values()) == stats["activeInstances"] == 11
    assert stats["servicesHeldByTheBrake"] == ["user-service"]


async def test_the_counts_follow_whatever_happens(held: Api) -> None:
    await zoo(held)
    for path in ("/instances/at-1", "/instances/at-3", "/instances/at-6", "/instances/at-8", "/instances/at-10"):
        await held.delete(path)
        stats = (await held.get("/stats")).body
        assert sum(stats["instancesByStatus"].values()) == stats["activeInstances"] == len(held.registry)
    await held.post("/heartbeat", USER | {"port": 4})
    await held.delete("/instances/at-7/maintenance")
    counts = Counter((await held.get("/stats")).body["instancesByStatus"])
    assert +counts == Counter(healthy=3, suspect=1, failing=1)
    held.forward(10_000)
    for _ in range(20):
        held.settle()
        held.forward(5)
    stats = (await held.get("/stats")).body
    assert (stats["activeInstances"], +Counter(stats["instancesByStatus"])) == (0, Counter())
    assert stats["servicesHeldByTheBrake"] == []


async def test_who_is_kept_after_its_lease_is_listed_as_that_and_counted_as_nobody(api: Api) -> None:
    await api.put("/instances", USER | {"port": 1, "keep": 3600, "health": "warning"})
    assert (await api.get("/services?status=warning")).body["services"]
    api.forward(LEASE)
    await api.register(port=2)
    api.settle()
    listed, paged = (await api.get("/services")).body, (await api.get("/services?limit=9")).body
    for totals, service in [(body, body["services"]["user-service"]) for body in (listed, paged)]:
        assert (totals["totalInstances"], totals["totalHealthyInstances"]) == (1, 1)
        assert (service["instanceCount"], service["healthyCount"], len(service["instances"])) == (1, 1, 2)
    one = (await api.get("/services/user-service")).body
    assert (one["instanceCount"], one["healthyCount"], len(one["instances"])) == (1, 1, 2)
    assert one["instances"][0]["lapsedAt"] == "2026-01-31T12:00:10.000Z"
    (of_status,) = (await api.get("/services?status=lapsed")).body["services"]["user-service"]["instances"]
    assert (of_status["port"], of_status["health"], "warning" in of_status) == (1, "warning", False)
    assert (await api.get("/services?status=warning")).body["services"] == {}
    assert api.registry.liveness.warning == 0
    stats = (await api.get("/stats")).body
    assert (stats["activeInstances"], sum(stats["instancesByStatus"].values())) == (1, 1)


async def test_resolve_gives_the_healthy_ones_and_then_the_suspects(held: Api) -> None:
    await zoo(held)
    body = (await held.get(RESOLVE)).body
    assert [one["status"] for one in body["instances"]] == ["healthy"] * 2 + ["suspect"] * 3
    assert [one["port"] for one in body["instances"]][:2] == [1, 2], "latest heartbeat first"
    assert {one["port"] for one in body["instances"][2:]} == {3, 4, 5}
    assert body["instanceCount"] == 5


async def test_suspects_come_in_the_order_of_their_latest_heartbeats_too(held: Api) -> None:
    for port in (1, 2, 3, 4):
        await held.register(port=port)
        held.forward(0.5)
    held.forward(9.5)
    held.settle()
    await held.post("/heartbeat", USER | {"port": 1})
    body = (await held.get(RESOLVE)).body
    assert [(one["port"], one["status"]) for one in body["instances"]] == [
        (1, "healthy"), (4, "suspect"), (3, "suspect"), (2, "suspect"),
    ]  # fmt: skip


async def test_flapping_ones_are_served_only_where_nothing_better_is_left(held: Api) -> None:
    await zoo(held)
    assert "flapping" not in [one["status"] for one in (await held.get(RESOLVE)).body["instances"]]
    for port in range(1, 6):
        await held.delete(f"/instances/at-{port}")
    body = (await held.get(RESOLVE)).body
    assert [(one["port"], one["status"]) for one in body["instances"]] == [(10, "flapping")]
    held.forward(60)
    await held.post("/heartbeat", USER | {"port": 10})
    held.settle()
    assert (await held.get("/instances/at-10")).body["status"] == "healthy", "quiet for a whole window"


async def test_a_404_of_resolve_counts_what_there_is(held: Api) -> None:
    await zoo(held)
    for port in (1, 2, 3, 4, 5, 10):
        await held.delete(f"/instances/at-{port}")
    reply = await held.get(RESOLVE)
    assert_error(reply, 404, "user-service", "4 instances", "1 unhealthy", "1 maintenance", "1 draining", "1 failing")
    assert (reply.body["code"], reply.body["serviceName"]) == ("NO_HEALTHY_INSTANCE", "user-service")
    assert (reply.body["instanceCount"], reply.body["instances"]) == (0, [])


async def test_a_failing_check_is_shown_with_its_reason_until_it_passes(api: Api) -> None:
    await api.register(check={"tcp": True})
    api.registry.checked("id-1", "connection refused", api.clock.now)
    assert_error(await api.get(RESOLVE), 404, "1 failing")
    reply = await api.post("/heartbeat", USER)
    assert (reply.status, reply.body["instance"]["status"]) == (200, "failing")
    assert (await api.get("/instances/id-1")).body["checkFailure"] == "connection refused"
    api.registry.checked("id-1", None, api.clock.now)
    assert (await api.get(RESOLVE)).status == 200


def describe(value: object) -> str:
    text = ascii(value)
    return text if len(text) < 60 else f"{text[:50]}...{len(text)}"


DEFAULTS = {"interval": 10, "timeout": 2, "failures": 3, "successes": 1}


@pytest.mark.parametrize(
    "check",
    [
        {"tcp": True},
        {"http": "/"},
        {"http": "/health?deep=1&a=%20b"},
        {"http": "/" + "x" * 1023},
        {"tcp": True, "interval": 1, "timeout": 0.1, "failures": 1, "successes": 100},
        {"http": "/", "interval": 3600, "timeout": 60, "failures": 100, "successes": 1},
    ],
    ids=describe,
)
async def test_a_check_is_shown_as_it_was_registered(api: Api, check: dict[str, Any]) -> None:
    await api.register(check=check)
    assert (await api.get("/instances/id-1")).body["check"] == DEFAULTS | check
    assert (await api.get(RESOLVE)).body["instances"][0]["check"] == DEFAULTS | check


async def test_no_check_is_none(api: Api) -> None:
    await api.register(check=None)
    assert "check" not in (await api.get("/instances/id-1")).body


async def test_a_pause_of_the_process_moves_no_start_of_the_brake(held: Api) -> None:
    await silent_together(held, range(1, 4))
    held.settle()
    seen = []
    for _ in range(2):
        (hold,) = (await held.get("/stats")).body["brakeHolds"]
        explained = (await held.get(f"{RESOLVE}?explain=1")).body["explained"]
        seen += [hold["since"], *(each["since"] for each in explained)]
        held.clock.ahead += 30  # the clock of leases stood still, and the wall's went on
    assert len(set(seen)) == 1
