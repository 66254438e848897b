"""An ASGI application that is registered while it runs: one line around it, for uvicorn, hypercorn, daphne, Starlette, FastAPI, Django.

    app = registered(app, Service("user-service", port=3001))

It is registered when the application has started, and deregistered before the application ends (the ASGI specification's lifespan
protocol). An application that knows nothing of lifespan is one all the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from discovery.client.errors import RegistryError
from discovery.client.service import Service

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


def registered(app: App, service: Service) -> App:
    async def wrapped(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _Lifespan(app, service, receive, send).run(scope)
        else:
            await app(scope, receive, send)

    return wrapped


class _Lifespan:
    """Between the server and the application: passes on what they say, and registers in the middle of it."""

    def __init__(self, app: App, service: Service, receive: Receive, send: Send) -> None:
        self._app, self._service = app, service
        self._receive, self._send = receive, send
        self._asked = False  # the application has been told to start
        self._answered = False
        self._started = False

    async def run(self, scope: MutableMapping[str, Any]) -> None:
        try:
            await self._app(scope, self._to_app, self._from_app)
        except Exception:
            if self._answered:
                await self._service.close()
                raise
        if not self._answered:  # it takes no part in lifespan, so we do
            await self._alone()

    async def _alone(self) -> None:
        if not self._asked:
            await self._receive()
        await self._from_app({"type": "lifespan.startup.complete"})
        if self._started:
            await self._to_app()
            await self._send({"type": "lifespan.shutdown.complete"})

    async def _to_app(self) -> Message:
        message = await self._receive()
        if message["type"] == "lifespan.startup":
            self._asked = True
        elif message["type"] == "lifespan.shutdown":
            await self._service.close()
        return message

    async def _from_app(self, message: Message) -> None:
        self._answered = True
        if message["type"] == "lifespan.startup.complete":
            try:
                await self._service.open()
            except RegistryError as error:
                message = {"type": "lifespan.startup.failed", "message": str(error)}
            else:
                self._started = True
        await self._send(message)
