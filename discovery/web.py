"""The HTTP face, put together: the handlers, those of the plugins, who is let in, the fast lane, and its sockets."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from random import Random
from typing import Any

from discovery.dns.message.query import fresh_for
from discovery.plugins import Plugin
from discovery.rest.api import openapi
from discovery.rest.api.doh import DnsOverHttps, Respond
from discovery.rest.api.handlers import Check, Handlers
from discovery.rest.api.operations import Operations
from discovery.rest.api.times import Times
from discovery.rest.guard.admission import Admit, anyone
from discovery.rest.guard.browsers import hosts
from discovery.rest.guard.rate import RegisterRate
from discovery.rest.http.access_log import logger as request_log
from discovery.rest.http.app import make_app
from discovery.rest.http.connections import Connections
from discovery.rest.http.fast import FastLane
from discovery.rest.http.runner import Runner
from discovery.settings import Settings
from discovery.store.engine import Engine
from discovery.store.registry import Registry
from discovery.system.sockets import STREAM, authority_of, bind
from discovery.system.tls import Tls


class Web:
    """Opened once, closed once. `respond`: what DNS over HTTPS asks. `checks`: what /ready asks. `more_stats`: for /stats."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        engine: Engine,
        clock: Callable[[], float],
        random: Random,
        plugins: Sequence[Plugin],
        tls: Tls | None,
        respond: Respond,
        checks: Mapping[str, Check],
        more_stats: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._settings = settings
        self._plugins = plugins
        self._tls = tls
        times = Times(clock, time.time)
        rate = RegisterRate(settings.registers_per_second)
        handlers = Handlers(registry, engine, clock, times, random, checks, more_stats, rate.take)
        self._routes = [
            *Operations(registry, engine, clock, times, settings.dns_ttl_seconds).routes(),
            *DnsOverHttps(respond, fresh_for).routes(),
            *openapi.routes(),
            *(route for plugin in plugins for route in plugin.routes()),
        ]
        self._connections = Connections(settings.http_max_connections, settings.http_max_connections_per_address)
        self._runner = self._make_runner(handlers, times)

    async def open(self) -> list[str]:
        """The lines that tell where it listens."""
        await self._runner.setup()
        socks = bind(self._settings.host, self._settings.port, [STREAM], "HOST or PORT")
        for sock in socks:
            await self._runner.listen(sock, self._tls)
        scheme = "http" if self._tls is None else "https"
        return [f"listening {scheme}://{authority_of(sock)}" for sock in socks]

    def closing(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """What closes it, opened or not."""
        return [self._runner.cleanup]

    def stats(self) -> dict[str, Any]:
        connections = self._connections
        return {
            "http": {
                "connections": len(connections),
                "connectionsMadeWay": connections.made_way,
                "connectionsRefused": connections.refused,
            }
        }

    def _make_runner(self, handlers: Handlers, times: Times) -> Runner:
        settings = self._settings
        admit: Admit = anyone
        for plugin in reversed(self._plugins):
            admit = plugin.admit(admit)
        middlewares = [middleware for plugin in self._plugins for middleware in plugin.middlewares()]
        is_host = hosts((*settings.allowed_hosts, socket.gethostname()), settings.dns_domain)
        origins, only_local = settings.allowed_origins, settings.public_address is None
        app = make_app(handlers, times, origins, admit, is_host, only_local, self._routes, middlewares)
        # Somebody who wants to see every request sees every request.
        watched = bool(middlewares) or request_log.isEnabledFor(logging.DEBUG)
        lane = None if watched else FastLane(handlers.heartbeat_at_once, handlers.resolve_at_once, admit, is_host)
        return Runner(app, times, lane, self._connections)
