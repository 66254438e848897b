"""The ASGI wrapper registers at the application's start and deregisters at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import pytest

from discovery.client import Service
from discovery.client.asgi import App, Receive, Send, registered
from tests.client.fake_registry import FakeRegistry

Scope = MutableMapping[str, Any]


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry().running() as registry:
        yield registry


class Server:
    """The server's side of the lifespan protocol."""

    def __init__(self, app: App) -> None:
        self._to_app, self._from_app = asyncio.Queue[dict[str, Any]](), asyncio.Queue[Any]()
        started: Any = app({"type": "lifespan"}, self._to_app.get, self._from_app.put)
        self.task: asyncio.Task[None] = asyncio.create_task(started)

    async def says(self, event: str) -> str:
        """What the application answers."""
        self._to_app.put_nowait({"type": f"lifespan.{event}"})
        async with asyncio.timeout(60):
            return str((await self._from_app.get())["type"])


async def with_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    for event in ("startup", "shutdown"):
        assert (await receive())["type"] == f"lifespan.{event}"
        await send({"type": f"lifespan.{event}.complete"})


async def without_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise ValueError("only HTTP")
    await send({"type": "http.response.start", "status": 204})


async def that_returns(scope: Scope, receive: Receive, send: Send) -> None:
    pass


async def that_raises_late(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    raise ValueError("only HTTP")


@pytest.mark.parametrize("app", [with_lifespan, without_lifespan, that_returns, that_raises_late])
async def test_it_is_registered_between_startup_and_shutdown(registry: FakeRegistry, app: App) -> None:
    server = Server(registered(app, Service("api", 3001, urls=registry.url)))
    assert await server.says("startup") == "lifespan.startup.complete"
    assert list(registry.services["api"]) == [("127.0.0.1", 3001)]
    assert await server.says("shutdown") == "lifespan.shutdown.complete"
    assert registry.services["api"] == {}
    await server.task


async def test_the_application_sees_the_end_after_it_is_deregistered(registry: FakeRegistry) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        assert registry.services["api"] == {}
        await send({"type": "lifespan.shutdown.complete"})

    server = Server(registered(app, Service("api", 3001, urls=registry.url)))
    await server.says("startup")
    await server.says("shutdown")
    await server.task


@pytest.mark.parametrize("app", [with_lifespan, that_returns])
async def test_a_refusal_stops_the_start(registry: FakeRegistry, app: App) -> None:
    registry.always["POST /register"] = (403, {"message": "no right"})
    server = Server(registered(app, Service("api", 3001, urls=registry.url)))
    assert await server.says("startup") == "lifespan.startup.failed"
    server.task.cancel()


async def test_an_application_that_fails_is_deregistered(registry: FakeRegistry) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise ValueError("broken")

    server = Server(registered(app, Service("api", 3001, urls=registry.url)))
    await server.says("startup")
    with pytest.raises(ValueError, match="broken"):
        await server.task
    assert registry.services["api"] == {}


async def test_requests_pass_untouched(registry: FakeRegistry) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await registered(without_lifespan, Service("api", 3001, urls=registry.url))({"type": "http"}, receive, send)
    assert sent == [{"type": "http.response.start", "status": 204}]
