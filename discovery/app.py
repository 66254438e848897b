"""The composition root: builds the rooms from the settings, opens the sockets last, closes in reverse.

Plain values go into the rooms; only this file and `cli` see the Settings. A server is started once and stopped once.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable
from random import Random

from aiohttp import web

from discovery.dns import names, zonefile
from discovery.dns.catalog import Catalog, Lookup
from discovery.dns.responder import Responder
from discovery.dns.server import TcpServer, UdpServer
from discovery.dns.service_zone import ServiceZone
from discovery.dns.static_zone import StaticZone
from discovery.dns.zone import Zone, no_live_names
from discovery.engines.local import LocalEngine
from discovery.plugins import Factory
from discovery.rest.app import Runner, make_app
from discovery.rest.handlers import Handlers
from discovery.rest.times import Times
from discovery.settings import Settings
from discovery.sockets import DATAGRAM, STREAM, authority_of, bind
from discovery.store.narrator import narrate
from discovery.store.reaper import Reaper
from discovery.store.registry import Registry

_log = logging.getLogger("discovery")

# A feature is one line here.
PLUGINS: tuple[Factory, ...] = ()


class Server:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = time.monotonic
        self._random = Random()  # orders answers, guards nothing
        self._registry = Registry(
            lease_ttl=settings.heartbeat_timeout_seconds,
            cleanup_interval=settings.cleanup_interval_seconds,
            max_instances=settings.max_instances_per_service,
            new_id=lambda: str(uuid.uuid4()),
            started_at=self._clock(),
            # Nothing is remembered across a restart, yet neither the index nor the DNS serial may go back: start where
            # one change a second since the epoch would have led. Fits the serial's 32 bits until 2106.
            index=int(time.time()),
        )
        self._registry.loaded = False
        self._engine = LocalEngine(self._registry, self._clock)
        self._reaper = Reaper(self._registry, self._clock)
        made = [factory(self._registry, self._engine, self._clock) for factory in PLUGINS]
        self._plugins = [plugin for plugin in made if plugin is not None]
        self._catalog = Catalog(())
        self._runner: Runner | None = None
        self._dns: list[UdpServer | TcpServer] = []

    async def start(self) -> list[str]:
        """Opens everything; returns the lines that tell where it listens. DiscoveryError says what is in the way."""
        self._load_zones()
        self._registry.subscribe(narrate)
        for plugin in self._plugins:
            self._registry.subscribe(plugin.changed)
            await plugin.open()
        await self._engine.open()
        self._reaper.start()
        try:
            return [*await self._open_http(), *await self._open_dns(), "ready"]
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        for server in self._dns:
            await server.close()
        if self._runner is not None:
            await self._runner.cleanup()
        self._reaper.stop()
        await self._engine.close()
        for plugin in reversed(self._plugins):
            await plugin.close()

    def reload(self) -> None:
        """Reads the zone files again (SIGHUP); when one is bad, says so and keeps all zones as they were."""
        try:
            self._load_zones()
        except zonefile.ZoneFileError as error:
            _log.error("%s; the zones stay as they were", error)
        else:
            _log.info("zones read again: %s", ", ".join(names.to_text(zone.origin) for zone in self._catalog.zones))

    # -- the two faces

    async def _open_http(self) -> list[str]:
        times = Times(self._clock, time.time)
        handlers = Handlers(
            self._registry, self._engine, self._clock, times, self._random, {"registry": self._registry_not_loaded}
        )
        routes = [route for plugin in self._plugins for route in plugin.routes()]
        middlewares = [middleware for plugin in self._plugins for middleware in plugin.middlewares()]
        app = make_app(handlers, times, self._settings.allowed_origins, routes, middlewares)
        self._runner = Runner(app, times)
        await self._runner.setup()
        socks = bind(self._settings.host, self._settings.port, [STREAM], "HOST or PORT")
        for sock in socks:
            await web.SockSite(self._runner, sock).start()
        return [f"listening http://{authority_of(sock)}" for sock in socks]

    async def _open_dns(self) -> list[str]:
        lookup: Lookup = self._catalog.lookup
        for plugin in reversed(self._plugins):
            lookup = plugin.lookup(lookup)
        responder = Responder(lookup)
        socks = bind(self._settings.dns_addresses, self._settings.dns_port, [DATAGRAM, STREAM], "DNS_HOST or DNS_PORT")
        for sock in socks:
            server = (UdpServer if sock.type == DATAGRAM else TcpServer)(sock, responder, self._clock)
            await server.start()
            self._dns.append(server)
        return [f"listening dns://{authority_of(sock)}" for sock in socks if sock.type == DATAGRAM]

    def _registry_not_loaded(self) -> str | None:
        return None if self._registry.loaded else "it is still being filled"

    # -- zones

    def _load_zones(self) -> None:
        """Builds every zone aside, then swaps them in whole."""
        files = {zone.origin: zone for zone in zonefile.load_all(self._settings.zones_dir)}
        live = [names.from_text(domain) for domain in self._settings.dns_domain]
        zones = [self._service_zone(origin, files.pop(origin, None)) for origin in live]
        self._registry.reserved = _reserved(zones)
        self._catalog.replace([*zones, *map(self._fixed_zone, files.values())])

    def _service_zone(self, origin: names.Name, fixed: StaticZone | None) -> Zone:
        negative_ttl = self._settings.dns_negative_ttl_seconds
        if fixed is None:
            fixed = zonefile.made_up(origin, self._settings.dns_addresses, negative_ttl)
        live = ServiceZone(origin, self._registry, self._settings.dns_ttl_seconds, self._random)
        return Zone(fixed, live.lookup, self._serial, negative_ttl)

    def _fixed_zone(self, fixed: StaticZone) -> Zone:
        return Zone(fixed, no_live_names, self._serial, self._settings.dns_negative_ttl_seconds)

    def _serial(self) -> int:
        return self._registry.index


def _reserved(zones: Iterable[Zone]) -> frozenset[str]:
    return frozenset().union(*(zone.fixed.reserved for zone in zones))
