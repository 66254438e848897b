"""Consul's API, read from a started server: what was registered by any API, its health, and waiting for changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.started import Running, running, settings
from tests.ports import free_port


@pytest.fixture(name="it")
async def _it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSUL", "true")
    monkeypatch.setenv("CONSUL_NODES", "127.0.0.1=here,10.1.2.3=web-host")
    async with running(settings(tmp_path, max_watchers=3)) as it:
        yield it


async def get(it: Running, path: str, **headers: str) -> tuple[int, Any, int]:
    """The status, the answer and its index."""
    async with it.session.get(f"{it.http}/v1{path}", headers=headers) as response:
        text = await response.text()
        found = json.loads(text) if response.content_type == "application/json" else text
        return response.status, found, int(response.headers.get("X-Consul-Index", 0))


async def watchers(it: Running) -> int:
    async with it.session.get(it.http + "/stats") as response:
        return int((await response.json())["watchers"]["now"])


async def test_what_others_registered_is_on_the_node_of_its_address(it: Running) -> None:
    assert await it.register(metadata={"version": "2", "shard": 2**70, "of": {"a": [1]}}) == 201
    _, [row], index = await get(it, "/health/service/User-Service?passing")
    assert (row["Node"]["Node"], row["Node"]["Address"]) == ("web-host", "10.1.2.3")
    meta = {"version": "2", "shard": str(2**70), "of": '{"a":[1]}'}  # Go's clients drop a list with a number in it
    assert {"Service": "user-service", "Address": "10.1.2.3", "Port": 3001, "Meta": meta}.items() <= row[
        "Service"
    ].items()
    assert [(check["CheckID"], check["Status"]) for check in row["Checks"]] == [
        ("serfHealth", "passing"), (f"service:{row['Service']['ID']}", "passing"),
    ]  # fmt: skip
    assert index > 0
    assert (await get(it, "/catalog/services"))[1] == {"user-service": []}
    assert {node["Node"] for node in (await get(it, "/catalog/nodes"))[1]} == {"here", "web-host"}
    assert set((await get(it, "/catalog/node/web-host"))[1]["Services"]) == {row["Service"]["ID"]}
    assert (await get(it, "/catalog/service/user-service"))[1][0]["ServiceAddress"] == "10.1.2.3"
    # its agent would know it; the one that is asked does not
    assert (await get(it, "/agent/services"))[1] == {}
    assert (await get(it, "/agent/self"))[1]["Config"]["NodeName"] == "here"


async def test_who_waits_is_answered_when_that_changes_and_only_then(it: Running) -> None:
    await it.register(name="quiet")
    _, _, quiet = await get(it, "/health/service/quiet")
    _, _, services = await get(it, "/catalog/services")
    _, _, nodes = await get(it, "/catalog/nodes")
    waiting = asyncio.create_task(get(it, f"/health/service/quiet?index={quiet}&wait=60s"))
    of_all = asyncio.create_task(get(it, f"/catalog/services?index={services}&wait=60s"))
    await it.register(name="other", tags=["a"])
    _, found, index = await of_all
    assert found == {"quiet": [], "other": ["a"]}
    assert index > services
    assert not waiting.done()
    assert (await get(it, f"/catalog/nodes?index={nodes}&wait=100ms"))[2] == nodes  # both are there on the same one
    await it.register(name="quiet", port=3002)
    _, found, index = await waiting
    assert len(found) == 2
    assert index > quiet
    # an index ahead of ours, one of another server's, 0: at once
    for seen in (2**64 - 1, 1, 0):
        assert (await get(it, f"/health/service/quiet?index={seen}&wait=60s"))[2] == index


async def test_who_knows_already_what_all_are_told_a_little_later_waits_on(it: Running) -> None:
    await it.register(name="one")  # all are told at once, and of what follows within a second together
    _, _, before = await get(it, "/catalog/services")
    earlier = asyncio.create_task(get(it, f"/catalog/services?index={before}&wait=60s"))
    while await watchers(it) < 1:
        pass
    await it.register(name="two")
    _, _, seen = await get(it, "/catalog/services")
    knows = asyncio.create_task(get(it, f"/catalog/services?index={seen}&wait=60s"))
    assert (await earlier)[2] == seen
    await it.register(name="three")
    _, found, index = await knows
    assert (set(found), index > seen) == ({"one", "two", "three"}, True)


async def test_who_finds_no_room_to_wait_is_answered_and_not_refused(
    it: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discovery.plugins.consul.reading.PATIENCE", 0.1)
    _, _, index = await get(it, "/health/service/nobody")
    path = f"/health/service/nobody?index={index}&wait=60s"
    waiting = [asyncio.create_task(get(it, path)) for _ in range(3)]
    try:
        while await watchers(it) < 3:
            pass
        status, found, now = await get(it, path)
        assert (status, found, now >= index) == (200, [], True)
    finally:
        for each in waiting:
            each.cancel()


async def test_keys_are_missing_calmly_and_never_acknowledged(it: Running) -> None:
    status, _, index = await get(it, "/kv/config/app/?recurse")
    assert (status, index > 0) == (404, True)
    assert (await get(it, f"/kv/config/app/?recurse&wait=50ms&index={index}"))[0] == 404
    for method, path in (
        ("PUT", "/kv/a"),
        ("DELETE", "/kv/a/b"),
        ("PUT", "/txn"),
        ("PUT", "/session/create"),
        ("POST", "/query"),
    ):
        async with it.session.request(method, f"{it.http}/v1{path}", data=b"x") as response:
            assert response.status == 500, path
            assert len(await response.text()) > 20


async def test_a_long_answer_is_packed_for_who_takes_it(it: Running) -> None:
    for port in range(3001, 3011):
        await it.register(port=port)
    headers = {"Accept-Encoding": "gzip"}
    async with it.session.get(f"{it.http}/v1/health/service/user-service", headers=headers) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert len(json.loads(await response.read())) == 10


async def test_it_is_answered_on_a_port_of_its_own_besides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    port = free_port()
    monkeypatch.setenv("CONSUL", "true")
    monkeypatch.setenv("CONSUL_PORT", str(port))
    async with running(settings(tmp_path)) as it:
        assert f"listening http://127.0.0.1:{port}" in it.lines
        for base in (it.http, f"http://127.0.0.1:{port}"):
            async with it.session.get(f"{base}/v1/status/leader") as response:
                assert (response.status, await response.json()) == (200, "127.0.0.1:8300")


async def test_errors_are_text_with_consuls_words(it: Running) -> None:
    assert await get(it, "/nothing") == (404, "", 0)
    assert (await get(it, "/health/service/x?filter=x"))[0] == 500
    assert (await get(it, "/health/service/x?dc=mars"))[:2] == (500, "No path to datacenter")
    async with it.session.post(f"{it.http}/v1/health/service/x") as response:
        assert (response.status, response.headers["Allow"], await response.text()) == (
            405,
            "OPTIONS,GET",
            "method POST not allowed",
        )
