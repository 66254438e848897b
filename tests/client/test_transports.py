"""aiohttp and httpx with URLs that name services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import httpx
import pytest
from aiohttp import web

from discovery.client import NoInstance, Resolver, blocking
from discovery.client.aiohttp_middleware import session
from discovery.client.httpx_transport import AsyncTransport, Transport
from discovery.client.service_urls import service_of
from tests.client.fake_registry import FakeRegistry
from tests.client.servers import answering, nobody

URL = "http://api.svc.local/users?a=1"


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


async def echo(request: web.Request) -> web.StreamResponse:
    return web.Response(text=f"{request.method} {request.headers['Host']} {request.path_qs} {await request.text()}")


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry().running() as registry, answering(echo) as url:
        registry.put("api", port_of(url), "127.0.0.1")
        yield registry


@pytest.mark.parametrize(
    ("host", "name"),
    [("api.svc.local", "api"), ("API.SVC.LOCAL.", "api"), ("a.b.svc.local", None), ("svc.local", None), (".svc.local", None), (None, None)],
)  # fmt: skip
def test_a_host_names_a_service_when_it_is_one_label_below_the_domain(host: str | None, name: str | None) -> None:
    assert service_of(host) == name


async def test_aiohttp_goes_to_an_instance_and_keeps_the_host_header(registry: FakeRegistry) -> None:
    async with Resolver(urls=registry.url) as resolver, session(resolver) as http:
        async with http.post(URL, data="body") as response:
            assert await response.text() == "POST api.svc.local /users?a=1 body"
        async with http.get(registry.url + "/resolve/api") as response:
            assert response.status == 200, "other hosts are left alone"


async def test_aiohttp_tries_another_when_one_takes_no_connection(registry: FakeRegistry) -> None:
    dead = port_of(nobody())
    registry.put("api", dead, "127.0.0.1")  # heard of last
    async with Resolver(urls=registry.url, strategy="latest") as resolver, session(resolver) as http:
        for _ in range(3):
            async with http.post(URL, data=b"again") as response:
                assert (await response.text()).endswith("again")
        assert resolver._resting._until.keys() == {f"127.0.0.1:{dead}"}


async def test_aiohttp_gives_up_after_three_and_says_why(registry: FakeRegistry) -> None:
    registry.services["api"].clear()
    registry.put("api", port_of(nobody()), "127.0.0.1")
    async with Resolver(urls=registry.url) as resolver, session(resolver) as http:
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get(URL)
        with pytest.raises(NoInstance):
            await http.get("http://nobody.svc.local/")


async def test_httpx_goes_to_an_instance_and_keeps_the_host_header(registry: FakeRegistry) -> None:
    async with Resolver(urls=registry.url) as resolver, httpx.AsyncClient(transport=AsyncTransport(resolver)) as http:
        assert (await http.post(URL, content="body")).text == "POST api.svc.local /users?a=1 body"
        assert (await http.get(registry.url + "/resolve/api")).status_code == 200


async def test_httpx_tries_another_when_one_takes_no_connection(registry: FakeRegistry) -> None:
    registry.put("api", port_of(nobody()), "127.0.0.1")
    resolver = Resolver(urls=registry.url, strategy="latest")
    async with resolver, httpx.AsyncClient(transport=AsyncTransport(resolver)) as http:
        for _ in range(3):
            assert (await http.post(URL, content=b"again")).text.endswith("again")
        with pytest.raises(NoInstance):
            await http.get("http://nobody.svc.local/")


async def test_httpx_without_asyncio_does_the_same(registry: FakeRegistry) -> None:
    registry.put("api", port_of(nobody()), "127.0.0.1")

    def work() -> None:
        resolver = blocking.Resolver(urls=registry.url, strategy="latest")
        with resolver, httpx.Client(transport=Transport(resolver)) as http:
            for _ in range(3):
                assert http.post(URL, content=b"again").text == "POST api.svc.local /users?a=1 again"
            assert http.get(registry.url + "/resolve/api").status_code == 200

    await asyncio.to_thread(work)
