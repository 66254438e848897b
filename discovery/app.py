"""The composition root: builds the rooms from the settings, opens the sockets last, closes in reverse.

Plain values go into the rooms; only this file and `cli` see the Settings. A server is started once and stopped once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from discovery import __version__
from discovery.dns import names
from discovery.dns.catalog import Catalog, Lookup, first_of
from discovery.dns.chaos import ServerNames
from discovery.dns.cookies import SECRET_SIZE, Cookies
from discovery.dns.hot import HotPath
from discovery.dns.later import Later
from discovery.dns.limited import Limited
from discovery.dns.query import fresh_for
from discovery.dns.rate_limit import RateLimiter
from discovery.dns.responder import HTTPS, Responder
from discovery.dns.reverse import ReverseNames
from discovery.dns.server import TcpServer, UdpServer
from discovery.engines.local import LocalEngine
from discovery.env import SettingsError
from discovery.plugins import Factory, Plugin, auth, check, forward, journal
from discovery.rest import openapi
from discovery.rest.access_log import logger as request_log
from discovery.rest.admission import Admit, anyone
from discovery.rest.app import make_app
from discovery.rest.browsers import hosts
from discovery.rest.connections import Connections
from discovery.rest.doh import DnsOverHttps
from discovery.rest.fast import FastLane
from discovery.rest.handlers import Handlers
from discovery.rest.operations import Operations
from discovery.rest.protocol import Runner
from discovery.rest.times import Times
from discovery.settings import Settings
from discovery.sockets import DATAGRAM, STREAM, authority_of, bind
from discovery.store.brake import Brake
from discovery.store.clock import Clock
from discovery.store.damping import Damping
from discovery.store.engine import Engine
from discovery.store.narrator import narrate
from discovery.store.reaper import Reaper
from discovery.store.registry import Registry
from discovery.tls import Tls, TlsError
from discovery.watch import FileWatch
from discovery.zones import Zones

_log = logging.getLogger("discovery")

# A feature is one line here.
PLUGINS: tuple[Factory, ...] = (auth.make, journal.make, check.make, forward.make)


class Server:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = Clock()
        self._random = Random()  # orders answers, guards nothing
        self._registry = Registry(
            lease_ttl=settings.heartbeat_timeout_seconds,
            cleanup_interval=settings.cleanup_interval_seconds,
            max_instances=settings.max_instances_per_service,
            max_services=settings.max_services,
            max_in_all=settings.max_instances,
            new_id=lambda: str(uuid.uuid4()),
            started_at=self._clock(),
            # Without a memory of it, neither the index nor the DNS serial should go back: start where one change a second
            # since the epoch would have led (after more changes than that they do go back, by as many as there were too
            # many). Fits the serial's 32 bits until 2106. The journal knows better.
            index=int(time.time()),
            brake=Brake(
                settings.brake_percent,
                settings.brake_max_seconds,
                settings.cleanup_interval_seconds,
                settings.heartbeat_timeout_seconds,
                self._random,
            ),
            damping=Damping(settings.flap_max_changes, settings.flap_window_seconds),
        )
        self._registry.loaded = False
        self._clock.on_pause = self._registry.resume
        self._reaper = Reaper(self._registry, self._clock)
        made = [factory(self._registry, self._clock) for factory in PLUGINS]
        self._plugins = [plugin for plugin in made if plugin is not None]
        self._check_exposure()
        self._engine: Engine = LocalEngine(self._registry, self._clock)
        for plugin in reversed(self._plugins):
            self._engine = plugin.engine(self._engine)
        self._catalog = Catalog(())
        origins = [names.from_text(domain) for domain in settings.dns_domain]
        self._reverse = ReverseNames(
            self._registry, origins[0], settings.dns_ttl_seconds, settings.dns_negative_ttl_seconds
        )
        self._zones = Zones(
            self._registry,
            self._catalog,
            self._reverse,
            settings.zones_dir,
            origins,
            settings.dns_ttl_seconds,
            settings.dns_negative_ttl_seconds,
            settings.dns_max_answers,
            settings.dns_addresses,
        )
        self._cookies = Cookies(os.urandom(SECRET_SIZE))
        self._hot, self._responder = self._make_responder()
        limiter = RateLimiter(
            settings.dns_rate_per_answer, settings.dns_rate_per_prefix, settings.dns_rate_slip, settings.dns_rate_exempt
        )
        self._limited = Limited(self._responder, limiter, self._cookies)
        self._zones.on_change = self._hot.follow
        self._tls = _tls(settings)
        self._certificates = None if self._tls is None else FileWatch(self._tls.files, self._tls.reload)
        self._runner: Runner | None = None
        self._later = Later()
        self._dns: list[UdpServer | TcpServer] = []

    def _check_exposure(self) -> None:
        settings = self._settings
        if settings.wide is None or settings.allow_anonymous or any(plugin.guards for plugin in self._plugins):
            return
        raise SettingsError(
            f"HOST, DNS_HOST: {settings.wide} can be reached from other machines and anybody there could register; set API_TOKEN or "
            "TOKENS_FILE, listen on 127.0.0.1, or set ALLOW_ANONYMOUS=true if that is what you want"
        )

    async def start(self) -> list[str]:
        """Opens everything; returns the lines that tell where it listens. DiscoveryError says what is in the way."""
        self._zones.load()
        self._registry.subscribe(narrate)
        self._registry.subscribe(self._reverse.changed)
        self._registry.subscribe(self._hot.changed)
        try:
            for plugin in self._plugins:
                self._registry.subscribe(plugin.changed)
                await plugin.open(self._engine)
            await self._engine.open()
            self._clock.start()
            self._reaper.start()
            self._zones.watch()
            if self._certificates is not None:
                self._certificates.start()
            return [*await self._open_http(), *await self._open_dns(), "ready"]
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Also after a start that failed halfway. One part that fails to close keeps no other from it."""
        self._reaper.stop()
        self._clock.stop()
        closing = [server.close for server in self._dns]
        if self._runner is not None:
            closing.append(self._runner.cleanup)
        if self._certificates is not None:
            closing.append(self._certificates.close)
        closing += [self._later.close, self._zones.close]
        closing += [plugin.close for plugin in reversed(self._plugins)]  # some of them write until then
        closing.append(self._engine.close)
        for close in closing:
            try:
                await close()
            except Exception:
                _log.exception("%s failed; the rest is closed all the same", close.__qualname__)

    def reload(self) -> asyncio.Task[None]:
        """What SIGHUP asks for: zone files, tokens and certificates, read again. The task never fails."""
        self._reload = asyncio.get_running_loop().create_task(self._read_again())
        return self._reload

    async def _read_again(self) -> None:
        await self._zones.reload()
        if self._tls is not None:
            await self._tls.reload()
        for plugin in self._plugins:
            await plugin.reload()

    async def _open_http(self) -> list[str]:
        times = Times(self._clock, time.time)
        checks = {"registry": self._registry_not_loaded}
        handlers = Handlers(
            self._registry,
            self._engine,
            self._clock,
            times,
            self._random,
            checks,
            self._more_stats,
            self._settings.registers_per_second,
        )
        operations = Operations(self._registry, self._engine, self._clock, times, self._settings.dns_ttl_seconds)
        doh = DnsOverHttps(self._respond_over_https, fresh_for)
        routes = [
            *operations.routes(),
            *doh.routes(),
            *openapi.routes(),
            *(route for plugin in self._plugins for route in plugin.routes()),
        ]
        middlewares = [middleware for plugin in self._plugins for middleware in plugin.middlewares()]
        settings = self._settings
        admit: Admit = anyone
        for plugin in reversed(self._plugins):
            admit = plugin.admit(admit)
        is_host = hosts((*settings.allowed_hosts, socket.gethostname()), settings.dns_domain)
        only_local = settings.wide is None
        app = make_app(handlers, times, settings.allowed_origins, admit, is_host, only_local, routes, middlewares)
        # Somebody who wants to see every request sees every request.
        watched = bool(middlewares) or request_log.isEnabledFor(logging.DEBUG)
        lane = None if watched else FastLane(handlers.heartbeat_at_once, handlers.resolve_at_once, admit, is_host)
        self._connections = Connections(settings.http_max_connections, settings.http_max_connections_per_address)
        self._runner = Runner(app, times, lane, self._connections)
        await self._runner.setup()
        socks = bind(self._settings.host, self._settings.port, [STREAM], "HOST or PORT")
        for sock in socks:
            await self._runner.listen(sock, self._tls)
        scheme = "http" if self._tls is None else "https"
        return [f"listening {scheme}://{authority_of(sock)}" for sock in socks]

    def _make_responder(self) -> tuple[HotPath, HotPath | Responder]:
        said = ServerNames(f"discovery {__version__}", self._settings.dns_server_id)
        lookup: Lookup = first_of(self._catalog.lookup, self._reverse.lookup, said.lookup)
        for plugin in reversed(self._plugins):
            lookup = plugin.lookup(lookup)
        server_id = self._settings.dns_server_id.encode()
        recurses = _any_of([one.recurses for one in self._plugins if type(one).recurses is not Plugin.recurses])
        require_cookies = self._settings.dns_require_cookies
        responder = Responder(lookup, self._cookies, server_id, self._random, recurses, require_cookies)
        hot = HotPath(responder, self._cookies, recurses, lambda: self._registry.index)
        alike = all(type(one).lookup is Plugin.lookup or one.same_for_all for one in self._plugins)
        return hot, hot if alike else responder

    async def _open_dns(self) -> list[str]:
        settings = self._settings
        socks = bind(settings.dns_addresses, settings.dns_port, [DATAGRAM, STREAM], "DNS_HOST or DNS_PORT")
        for sock in socks:
            make = UdpServer if sock.type == DATAGRAM else TcpServer
            responder = self._limited if sock.type == DATAGRAM else self._responder
            self._dns.append(make(sock, responder, self._clock, self._later))
        lines = [f"listening dns://{authority_of(sock)}" for sock in socks if sock.type == DATAGRAM]
        if settings.dot_port is not None:
            socks = bind(settings.dns_addresses, settings.dot_port, [STREAM], "DNS_HOST or DOT_PORT")
            self._dns += (TcpServer(sock, self._responder, self._clock, self._later, self._tls) for sock in socks)
            lines += (f"listening dot://{authority_of(sock)}" for sock in socks)
        for server in self._dns:
            await server.start()
        return lines

    def _respond_over_https(self, packet: bytes, client: str) -> bytes | Coroutine[Any, Any, bytes] | None:
        return self._responder.respond(packet, self._clock(), client, HTTPS)

    def _more_stats(self) -> dict[str, Any]:
        connections, limited = self._connections, self._limited
        shed = sum(server.shed() for server in self._dns if isinstance(server, UdpServer))
        own = {
            "http": {
                "connections": len(connections),
                "connectionsMadeWay": connections.made_way,
                "connectionsRefused": connections.refused,
            },
            "dns": {"shed": shed, "rateLimited": {"slipped": limited.slipped, "dropped": limited.dropped}},
            "pausedSeconds": round(self._clock.paused, 3),
        }
        return own | {name: value for plugin in self._plugins for name, value in plugin.stats().items()}

    def _registry_not_loaded(self) -> str | None:
        return None if self._registry.loaded else "it is still being filled"


def _any_of(tests: list[Callable[[str], bool]]) -> Callable[[str], bool]:
    """On the hot path, so the usual none and one cost no more than they must."""
    if not tests:
        return lambda client: False
    return tests[0] if len(tests) == 1 else lambda client: any(test(client) for test in tests)


def _tls(settings: Settings) -> Tls | None:
    """None without a certificate. SettingsError when it cannot be used."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    try:
        return Tls(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    except TlsError as error:
        raise SettingsError(str(error)) from None
