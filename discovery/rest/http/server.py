"""Serves connections on sockets, with or without TLS, until a graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from aiohttp import web

from discovery.rest.http import access_log
from discovery.rest.http.bodies import Bodies
from discovery.rest.http.connection import Connection, Note, Shared
from discovery.rest.http.connections import Connections
from discovery.rest.http.framing import MAX_FIELDS, MAX_HEAD
from discovery.rest.http.front import Front
from discovery.system.listener import Listener
from discovery.system.tls import Tls
from discovery.system.turns import turns

# Seconds for requests in hand when the process is asked to stop; five are all there are.
SHUTDOWN_SECONDS = 2.0
# For handlers of aiohttp's that go on when their clients' connections are closed.
_CANCELLING_SECONDS = 1.0


class Server:
    """`setup`, then `listen`; `close` once, opened or not. `note`: is told of each request that has come to its end."""

    def __init__(self, front: Front, app: web.Application, limits: Connections, note: Note = access_log.log) -> None:
        self.app = app
        self._front = front
        self._limits = limits
        self._note = note
        # What httptools lets through is not measured again, what is no JSON is not unpacked; it has one request and no time of its own.
        self._runner = web.AppRunner(
            app,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=0,
            max_line_size=2 * MAX_HEAD,
            max_field_size=2 * MAX_HEAD,
            max_headers=2 * MAX_FIELDS,
            shutdown_timeout=_CANCELLING_SECONDS / 2,  # it waits twice
        )
        self._shared: Shared | None = None
        self._listeners: list[Listener] = []

    async def setup(self) -> None:
        await self._runner.setup()
        assert self._runner.server is not None
        self._shared = Shared(self._front, self._limits, Bodies(), self._runner.server, self._note)

    def listen(self, sock: socket.socket, tls: Tls | None) -> None:
        """On a bound socket, which is closed at the end."""
        shared = self._shared
        assert shared is not None
        self._listeners.append(Listener(sock, lambda: Connection(shared), tls, self._front.to_plain_http))

    async def close(self) -> None:
        """Requests in hand are answered, for so long as there is time."""
        for listener in self._listeners:
            listener.close()
        if self._shared is not None:
            connections = self._shared.open
            for connection in list(connections):
                await turns().over()
                connection.stop()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._shared.wait_until_all_closed(), SHUTDOWN_SECONDS)
            for connection in list(connections):
                connection.make_way()
        await self._runner.cleanup()
