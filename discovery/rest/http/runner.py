"""Serves the application on sockets, with or without TLS: aiohttp's runner with our connections, errors and a graceful end."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import cast

from aiohttp import web

from discovery.rest.api import errors
from discovery.rest.api.requests import MAX_BODY
from discovery.rest.api.times import Times
from discovery.rest.http.access_log import AccessLogger, logger
from discovery.rest.http.connections import Connections
from discovery.rest.http.fast import FastLane
from discovery.rest.http.protocol import Server
from discovery.system.tls import Tls, TlsListener

# Seconds for requests in hand when the process is asked to stop. aiohttp may wait twice as long, and five are all there are.
SHUTDOWN_SECONDS = 2.0
# An idle connection is kept so long. Clients beat every few seconds; Node keeps its side for 5, browsers for minutes.
KEEPALIVE_SECONDS = 60.0
# How long the rest of a body that nobody wants is read and dropped, so that the client gets to read why.
LINGERING_SECONDS = 2.0


class Runner(web.AppRunner):
    """Serves the application; what is not even HTTP gets a JSON error like everything else.

    `lane` None: every request goes through the application, because somebody wants to see each.
    """

    def __init__(
        self, app: web.Application, times: Times, lane: FastLane | None, connections: Connections | None = None
    ) -> None:
        super().__init__(
            app,
            access_log_class=AccessLogger,
            access_log=logger,
            shutdown_timeout=SHUTDOWN_SECONDS,
            keepalive_timeout=KEEPALIVE_SECONDS,
            lingering_time=LINGERING_SECONDS,
            auto_decompress=False,  # no JSON bombs
        )
        self._times = times
        self._lane = lane
        self._connections = Connections(sys.maxsize, sys.maxsize) if connections is None else connections

    async def listen(self, sock: socket.socket, tls: Tls | None) -> None:
        """On a bound socket. `setup` first."""
        site = web.SockSite(self, sock) if tls is None else _TlsSite(self, sock, tls)
        await site.start()

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        handle = made.request_handler

        async def as_json(request: web.BaseRequest) -> web.StreamResponse:
            """For what aiohttp raises outside the middlewares: an Expect that it does not know."""
            try:
                return await handle(request)
            except web.HTTPException as error:
                if error.status < 400:
                    raise
                return errors.of_framework(request, error, self._times, MAX_BODY)
            except UnicodeEncodeError:  # aiohttp cannot say which Expect it does not know
                return errors.of_framework(request, web.HTTPExpectationFailed(), self._times, MAX_BODY)

        return Server(
            self._times, self._lane, self._connections, as_json, request_factory=made.request_factory, **made._kwargs
        )


class _TlsSite(web.BaseSite):
    def __init__(self, runner: Runner, sock: socket.socket, tls: Tls) -> None:
        super().__init__(runner)
        self._sock = sock
        self._tls = tls

    @property
    def name(self) -> str:
        return f"https://{self._sock.getsockname()}"

    async def start(self) -> None:
        await super().start()
        assert self._runner.server is not None
        self._server = cast(
            asyncio.AbstractServer, TlsListener(self._sock, self._tls, self._runner.server)
        )  # it is closed, no more
