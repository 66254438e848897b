"""Keys: there are none, which whoever reads them is warned of; or a Consul that has them is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from discovery.plugins.consul.settings import ConsulSettings
from discovery.system.env import SettingsError
from tests.plugins.consul.house import ENVIRONMENT, Host
from tests.plugins.started import running, settings


async def old_consul(request: web.Request) -> web.Response:
    """Says what it was asked."""
    asked = [request.method, request.raw_path, request.headers.get("X-Consul-Token", ""), len(await request.read())]
    status = 404 if "none" in request.path else 200
    return web.json_response(asked, status=status, headers={"X-Consul-Index": "77", "Server": "old"})


@pytest.fixture(name="old")
async def _old() -> AsyncIterator[TestServer]:
    app = web.Application(client_max_size=2**20)
    app.router.add_route("*", "/{path:.*}", old_consul)
    server = TestServer(app)
    await server.start_server()
    yield server
    await server.close()


async def test_keys_transactions_and_sessions_are_handed_on(
    old: TestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {**ENVIRONMENT, "CONSUL_KV_UPSTREAM": f"http://127.0.0.1:{old.port}"}.items():
        monkeypatch.setenv(name, value)
    async with running(settings(tmp_path)) as it:
        host = Host(it, "127.0.0.1", "secret")
        reply = await host.ask("GET", "/kv/a%2Fb?recurse&index=5&token=other&%74oken=again")
        assert reply == (200, ["GET", "/v1/kv/a%2Fb?recurse&index=5", "secret", 0], 77)
        assert (await host.ask("PUT", "/kv/big", b"x" * 500_000)).answer[3] == 500_000
        assert (await host.ask("GET", "/kv/none")).status == 404
        assert (await host.ask("PUT", "/txn", [])).answer[:2] == ["PUT", "/v1/txn"]
        assert (await host.ask("PUT", "/session/create", {})).answer[:2] == ["PUT", "/v1/session/create"]
        await old.close()
        reply = await host.ask("GET", "/kv/a")
        assert (reply.status, "CONSUL_KV_UPSTREAM" in reply.answer) == (500, True)


async def test_who_reads_keys_that_are_nowhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    async with running(settings(tmp_path)) as it:
        assert (await Host(it, "127.0.0.1").ask("GET", "/kv/config/app/?recurse")).status == 404
        [concern] = [each for each in it.server._seams.concerns if each.code == "consul_keys_read"]
        [text] = concern.check().values()
        assert text.startswith("127.0.0.1 reads keys from Consul's KV (/v1/kv/config/app/)")


@pytest.mark.parametrize("value", ["10.0.0.1:8500", "http://user:password@old:8500", "http://old:8500/v1", "ftp://old"])
def test_an_upstream_that_is_no_address_is_told(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSUL_KV_UPSTREAM", value)
    with pytest.raises(SettingsError, match="CONSUL_KV_UPSTREAM"):
        ConsulSettings.read()
