"""A node whose ENGINE_URL leads to something that is no etcd, or to keys that are no registry's: one clear error, never a traceback."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.messages import put
from discovery.engines.etcd.settings import endpoints_of
from discovery.store.errors import EngineAway
from discovery.system.env import SettingsError
from tests.engines.etcd.cluster import EtcdCluster, Node

# A server that is no etcd: its answers to every POST.
NOT_ETCD = {
    "speaks-no-json": (200, b"<h1>Welcome</h1>"),
    "is-an-etcd-of-another-age": (404, b"404 page not found"),
    "has-no-such-page": (404, json.dumps({"error": "Not Found", "message": "no such path"}).encode()),
    "says-yes-to-everything": (200, b"{}"),
    "says-a-list": (200, b"[]"),
    "says-what-etcd-says-with-other-types": (200, b'{"header":{"revision":"x"},"kvs":7,"responses":0}'),
}


@asynccontextmanager
async def answering(status: int, body: bytes) -> AsyncIterator[str]:
    """The URL of a server that answers everything so."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, body=body, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("how", NOT_ETCD)
async def test_a_server_that_is_no_etcd_is_refused(how: str) -> None:
    async with answering(*NOT_ETCD[how]) as url:
        node = Node("a", [url])
        with pytest.raises(EngineAway, match="ENGINE_URL"):
            await node.engine.open()
        await node.stop()


async def test_what_is_no_etcd_is_shown_by_the_beginning_of_what_it_says() -> None:
    async with answering(404, b"404 page not found\x1b[31m \xe2\x80\xae") as url:
        node = Node("a", [url])
        with pytest.raises(EngineAway) as refusal:
            await node.engine.open()
        await node.stop()
    assert str(refusal.value).endswith(
        "it speaks no JSON (HTTP 404: '404 page not found\\x1b[31m \\u202e'); "
        "ENGINE_URL names the client port (2379) of an etcd 3.4 or later"
    )


@pytest.mark.parametrize("value", [b"{", b"[]", b"{}", b'{"ttl": 3}'])
async def test_a_configuration_that_is_none_stops_a_new_node_and_is_named(
    etcd: EtcdCluster, client: Etcd, value: bytes
) -> None:
    await client.txn([], [put(b"reg/conf", value)])
    node = Node("a", etcd.urls)
    with pytest.raises(EngineAway, match=r"reg/conf is not a registry's: .*; choose another ETCD_PREFIX"):
        await node.engine.open()
    await node.stop()


@pytest.mark.parametrize("url", ["etcd://", "etcd://127.0.0.1:1/path", "etcd://127.0.0.1:x", "etcd://me:you@127.0.0.1"])
def test_a_url_that_is_none_is_named_with_what_it_should_be(url: str) -> None:
    with pytest.raises(SettingsError, match=r"ENGINE_URL.*etcd://HOST:2379") as refusal:
        endpoints_of(url)
    assert "me:you" not in str(refusal.value)
