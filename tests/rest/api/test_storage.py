"""A disk that refuses: every write is a 503 that says why and when to try again, and what is no write goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from discovery.store.engine import WriteSeams
from discovery.store.errors import NotDurable
from discovery.store.values import Snapshot
from tests.rest.harness import USER, Api, assert_error, serving

REASON = "database or disk is full"
AT = "?ip=127.0.0.1&port=3001"
WHY = {"reason": "new disks", "seconds": 60}


class Disk:
    """A keeper. `full`: it refuses. `asked`: how often."""

    def __init__(self) -> None:
        self.full = False
        self.asked = 0

    async def restore(self) -> Snapshot | None:
        return None

    def check(self) -> None:
        self.asked += 1
        if self.full:
            raise NotDurable(REASON)

    async def settled(self) -> None:
        self.check()

    @property
    def safe(self) -> float:
        return float("inf")


@pytest.fixture(name="stored")
async def _stored() -> AsyncIterator[tuple[Api, Disk]]:
    """With one instance, one window, and a disk that is full from now on."""
    disk = Disk()
    async with serving(seams=WriteSeams(keepers=[disk])) as api:
        await api.register()
        await api.register(name="other")
        await api.put("/services/other/maintenance", WHY)
        disk.full = True
        yield api, disk


WRITES: dict[str, tuple[str, str, Any]] = {
    "a registration": ("POST", "/register", USER | {"port": 3002}),
    "a whole registration of a new one": ("PUT", "/instances", USER | {"port": 3002}),
    "a whole registration with other contents": ("PUT", "/instances", USER | {"metadata": {"a": 1}}),
    "a heartbeat that registers": ("POST", "/heartbeat", USER | {"port": 3002, "register": True}),
    "a heartbeat with other contents": ("POST", "/heartbeat", USER | {"weight": 1, "register": True}),
    "a deregistration": ("DELETE", f"/services/user-service/instances{AT}", None),
    "a deregistration by id": ("DELETE", "/instances/id-1", None),
    "a deregistration of a service": ("DELETE", "/services/user-service", None),
    "clear": ("POST", "/admin/clear", None),
    "a drain": ("PUT", f"/services/user-service/instances/drain{AT}", None),
    "a drain by id": ("PUT", "/instances/id-1/drain", None),
    "a maintenance of an instance": ("PUT", f"/services/user-service/instances/maintenance{AT}", WHY),
    "a maintenance by id": ("PUT", "/instances/id-1/maintenance", WHY),
    "a maintenance of a service": ("PUT", "/services/user-service/maintenance", WHY),
    "the end of a maintenance": ("DELETE", "/services/other/maintenance", None),
}


@pytest.mark.parametrize(("method", "path", "body"), WRITES.values(), ids=WRITES)
async def test_a_write_is_a_503_with_the_reason_until_the_disk_is_well(
    stored: tuple[Api, Disk], method: str, path: str, body: Any
) -> None:
    api, disk = stored
    before = api.state()
    reply = await api.request(method, path, body)
    assert_error(reply, 503, REASON, "try again")
    assert (reply.body["code"], reply.body["reason"]) == ("STORAGE_UNAVAILABLE", REASON)
    assert int(reply.headers["Retry-After"]) == reply.body["retryAfter"] >= 1
    # What a known one says of itself is refused, not that it lives.
    beats = body is not None and ("metadata" in body or "weight" in body)
    assert api.registry.renewals == (1 if beats else 0)
    api.registry.renewals = 0
    assert api.state() == before
    disk.full = False
    assert (await api.request(method, path, body)).status in (200, 201)


async def test_a_registration_again_changes_nothing_and_still_waits_for_the_disk(stored: tuple[Api, Disk]) -> None:
    """It may repeat one that is under way."""
    api, disk = stored
    index = api.registry.index
    assert_error(await api.post("/register", USER), 503, REASON)
    assert api.registry.index == index
    disk.full = False
    assert (await api.post("/register", USER)).status == 201
    assert api.registry.index == index


async def test_who_was_silent_comes_back_and_asks_the_disk_for_nothing(stored: tuple[Api, Disk]) -> None:
    api, disk = stored
    asked = disk.asked
    for told in (False, True):
        api.forward(11)
        if told:
            api.settle()
        assert (await api.get("/instances/id-1")).body["status"] == "unhealthy"
        assert (await api.post("/heartbeat", USER)).status == 200
        assert (await api.get("/instances/id-1")).body["status"] == "healthy"
    assert disk.asked == asked


async def test_an_undone_drain_is_a_write_too(stored: tuple[Api, Disk]) -> None:
    api, disk = stored
    disk.full = False
    await api.put("/instances/id-1/drain")
    disk.full = True
    for path in ("/instances/id-1/drain", f"/services/user-service/instances/drain{AT}"):
        reply = await api.delete(path)
        assert_error(reply, 503, REASON)
        assert "Retry-After" in reply.headers
    assert (await api.get("/instances/id-1")).body["status"] == "draining"


OTHERS: dict[str, tuple[str, str, Any]] = {
    "a heartbeat": ("POST", "/heartbeat", USER),
    "heartbeats": ("POST", "/heartbeats", {"instances": [USER, {"id": "id-1"}]}),
    "a heartbeat that says nothing new": ("POST", "/heartbeat", USER | {"register": True}),
    "a whole registration that says nothing new": ("PUT", "/instances", USER),
    "resolve": ("GET", "/resolve/user-service", None),
    "an instance": ("GET", "/instances/id-1", None),
    "services": ("GET", "/services", None),
    "a page of services": ("GET", "/services?limit=1", None),
    "windows": ("GET", "/maintenance", None),
    "stats": ("GET", "/stats", None),
    "health": ("GET", "/health", None),
    "ready": ("GET", "/ready", None),
}


@pytest.mark.parametrize(("method", "path", "body"), OTHERS.values(), ids=OTHERS)
async def test_what_is_no_write_goes_on_and_asks_the_disk_for_nothing(
    stored: tuple[Api, Disk], method: str, path: str, body: Any
) -> None:
    api, disk = stored
    asked = disk.asked
    for _ in range(3):
        api.forward(9)
        await api.post("/heartbeat", USER)
        api.settle()
        assert (await api.request(method, path, body)).status == 200
    assert disk.asked == asked


async def test_a_client_that_beats_with_its_registration_stays_and_one_that_is_new_has_to_wait(
    stored: tuple[Api, Disk],
) -> None:
    api, disk = stored
    for _ in range(5):
        api.forward(9)
        api.settle()
        assert (await api.put("/instances", USER)).status == 200
        assert (await api.put("/instances", USER | {"port": 3002})).status == 503
    assert [one["port"] for one in (await api.get("/resolve/user-service")).body["instances"]] == [3001]
    disk.full = False
    assert (await api.put("/instances", USER | {"port": 3002})).status == 201


async def test_bad_and_unknown_are_told_of_before_the_disk_is_asked(stored: tuple[Api, Disk]) -> None:
    api, disk = stored
    asked = disk.asked
    for method, path, body, status in (
        ("POST", "/register", USER | {"port": 0}, 400),
        ("PUT", "/instances", USER | {"ttl": 0}, 400),
        ("PUT", "/services/user-service/maintenance", {"reason": "x"}, 400),
        ("DELETE", "/services/user-service/instances", None, 400),
        ("POST", "/heartbeat", USER | {"port": 3002}, 404),
    ):
        assert (await api.request(method, path, body)).status == status
    assert disk.asked == asked


async def test_clearing_an_empty_table_waits_for_the_disk_too() -> None:
    """Another request may have emptied it, and not be safe yet."""
    disk = Disk()
    async with serving(seams=WriteSeams(keepers=[disk])) as api:
        disk.full = True
        assert_error(await api.post("/admin/clear"), 503, REASON)
        disk.full = False
        assert (await api.post("/admin/clear")).body["instancesRemoved"] == 0


async def test_of_many_registrations_each_is_told_so_and_nothing_has_changed(stored: tuple[Api, Disk]) -> None:
    api, disk = stored
    before = api.state()
    reply = await api.post("/registrations", {"instances": [USER | {"port": 3002}, USER | {"port": 0}]})
    assert reply.status == 200
    assert [result["code"] for result in reply.body["results"]] == ["STORAGE_UNAVAILABLE", "INVALID_FIELD"]
    assert REASON in reply.body["results"][0]["message"]
    assert api.state() == before
    disk.full = False
    asked = disk.asked
    items = [USER | {"port": port} for port in range(3002, 3008)]
    assert (await api.post("/registrations", {"instances": items})).body["registered"] == 6
    assert disk.asked == asked + 6 + 1, "each before it is applied, and once for all of them"
