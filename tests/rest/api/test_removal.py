"""DELETE of an instance and of a service, and POST /admin/clear."""

from __future__ import annotations

import asyncio
import gc
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from discovery.core.caller import NOBODY
from discovery.rest.api.services import removing
from discovery.rest.api.services.removing import Removing
from tests.rest.harness import USER, Api, assert_error, time_of
from tests.store.making import Log

PATH = "/services/user-service/instances?ip=127.0.0.1&port=3001"


async def test_an_instance_leaves(api: Api) -> None:
    first = await api.register()
    await api.register(port=3002)
    reply = await api.delete(PATH)
    assert reply.status == 200
    assert reply.body.keys() == {"message", "removedInstance", "timestamp"}
    assert reply.body["removedInstance"] == USER | {"id": first["instance"]["id"]}
    assert time_of(reply.body["timestamp"]) == api.time()
    [left] = (await api.get("/resolve/user-service")).body["instances"]
    assert left["port"] == 3002


@pytest.mark.parametrize(
    "path",
    [PATH.replace("user", "other"), PATH.replace("127.0.0.1", "127.0.0.2"), PATH.replace("3001", "3002")],
)
async def test_an_unknown_instance_is_a_404(api: Api, path: str) -> None:
    await api.register()
    before = api.state()
    assert_error(await api.delete(path), 404)
    assert api.state() == before


async def test_a_service_leaves_whole(api: Api) -> None:
    await api.register(name="User-Service")
    await api.register(port=3002)
    await api.register(name="other")
    reply = await api.delete("/services/user-SERVICE")
    assert reply.status == 200
    time_of(reply.body.pop("timestamp"))
    assert isinstance(reply.body.pop("message"), str)
    assert reply.body == {"serviceName": "User-Service", "instancesRemoved": 2}
    assert list((await api.get("/services")).body["services"]) == ["other"]


async def test_an_unknown_service_is_a_404(api: Api) -> None:
    await api.register()
    before = api.state()
    assert_error(await api.delete("/services/other"), 404, "other")
    assert api.state() == before


@pytest.mark.parametrize("count", [0, 1, 120, 900])  # the last is more than what waits for the disk together
async def test_clear_empties_the_table_and_publishes_each_removal(api: Api, count: int) -> None:
    api.fill(count, 2)
    changes = Log.of(api.registry).changes
    reply = await api.post("/admin/clear")
    assert reply.status == 200
    time_of(reply.body.pop("timestamp"))
    assert isinstance(reply.body.pop("message"), str)
    assert reply.body == {"servicesRemoved": count, "instancesRemoved": 2 * count}
    assert (await api.get("/services")).body["services"] == {}
    assert [change.kind.value for change in changes] == ["deregistered"] * (2 * count)


async def test_a_removal_says_who_asked(api: Api) -> None:
    changes = Log.of(api.registry).changes
    for remove in (("DELETE", PATH), ("DELETE", "/services/user-service"), ("POST", "/admin/clear")):
        await api.register()
        await api.request(*remove)
        assert "127.0.0.1" in changes[-1].reason


async def test_a_removal_that_is_broken_off_between_two_parts_leaves_no_error_that_nobody_has_read(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(*_: object) -> Any:
        raise OSError("the disk is full")

    async def is_cancelled() -> None:
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    turn = SimpleNamespace(over=is_cancelled, reserve=lambda seconds: None)
    monkeypatch.setattr(removing, "turns", lambda: turn)
    unread: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unread.append(context))
    removal = Removing(api.registry, SimpleNamespace(submit=refuses), *[Mock()] * 4)
    with pytest.raises(asyncio.CancelledError):
        await removal._deregister_all(iter(()), "cleared", None, NOBODY)
    gc.collect()
    assert not unread
