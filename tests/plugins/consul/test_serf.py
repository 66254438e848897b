"""Services without a check stand under their node: whether any port of it answers."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from discovery.plugins.consul import serf
from discovery.plugins.consul.plugin import Consul
from tests.plugins.consul.house import ENVIRONMENT, PROXIES, Host
from tests.plugins.started import Running, running, settings

ANSWERS: dict[int, bool | None] = {}


@pytest.fixture(name="it")
async def _it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    async def probe(ip: str, port: int) -> bool | None:
        return ANSWERS[port]

    monkeypatch.setattr(serf, "probe", probe)
    ANSWERS.clear()
    async with running(settings(tmp_path, trusted_proxies=PROXIES)) as it:
        yield it


async def rounds(it: Running, count: int = 1) -> None:
    [plugin] = [each for each in it.server._plugins if isinstance(each, Consul)]
    for _ in range(count):
        await plugin._serf.round()


async def serf_of(host: Host, service: str = "web") -> list[str]:
    rows = await host.get(f"/health/service/{service}")
    assert all(row["Checks"][0]["CheckID"] == "serfHealth" for row in rows)
    return [row["Checks"][0]["Status"] for row in rows]


async def test_a_node_is_gone_when_no_port_answers_that_once_did_and_comes_back(it: Running) -> None:
    host = Host(it, "10.0.0.7")
    await host.register(ID="a", Port=1)
    await host.register(ID="b", Port=2)
    await host.register(ID="c", Port=3, Check={"TTL": "60s", "Status": "passing"})
    ANSWERS.update({1: False, 2: False, 3: False})
    await rounds(it, 5)
    assert await serf_of(host) == ["passing"] * 3
    [check] = [check for check in await host.get("/health/node/web-host") if check["CheckID"] == "serfHealth"]
    assert check["Output"].startswith("never verified")
    ANSWERS[2] = True  # accepted or refused
    await rounds(it)
    ANSWERS[2] = False
    await rounds(it, 2)
    assert await host.passing() == ["a", "b", "c"]
    await rounds(it)
    assert await host.passing() == ["c"]  # its own check says more of it
    assert await serf_of(host) == ["critical", "critical", "passing"]
    async with it.session.get(it.http + "/resolve/web") as response:
        assert (await response.json())["instanceCount"] == 1
    ANSWERS[1] = True  # one is enough
    await rounds(it)
    assert await host.passing() == ["a", "b", "c"]


async def test_who_may_not_be_asked_is_not_judged(it: Running) -> None:
    host = Host(it, "10.0.0.7")
    await host.register(ID="elsewhere", Address="10.0.0.99", Port=9)
    await host.register(ID="name", Address="db.example.com", Port=9)
    await host.register(ID="none", Port=0)
    await rounds(it, 5)  # nobody is asked: ANSWERS knows none
    assert await serf_of(host) == ["passing"] * 3


async def test_what_another_process_found_out_holds_until_there_is_life(it: Running, tmp_path: Path) -> None:
    host = Host(it, "10.0.0.7")
    await host.register(ID="a", Port=1)
    ANSWERS[1] = True
    await rounds(it)
    ANSWERS[1] = False
    await rounds(it, 3)
    assert await host.passing() == []
    for enable in ("true", "false"):  # another thing about it changes meanwhile
        await host.put(f"/agent/service/maintenance/a?enable={enable}")
    assert await serf_of(host) == ["critical"]
    await it.server.stop()
    async with running(settings(tmp_path, trusted_proxies=PROXIES)) as again:
        host = Host(again, "10.0.0.7")
        await rounds(again, 2)
        assert await host.passing() == []
        ANSWERS[1] = True
        await rounds(again)
        assert await host.passing() == ["a"]


async def test_a_port_is_accepted_or_refused_where_its_host_lives() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert await serf.probe("127.0.0.1", port) is True
    assert await serf.probe("127.0.0.1", port) is True
