"""The composition root: builds the rooms from the settings, opens the sockets last, closes in reverse.

Plain values go into the rooms; only this file, the two faces that it puts together (`web`, `nameserver`) and `cli` see the Settings.
A server is started once and stopped once.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from random import Random
from typing import Any

from dotenv import dotenv_values

from discovery.core.caller import SERVER
from discovery.core.client_zones import ClientZones
from discovery.core.errors import DiscoveryError
from discovery.core.ids import new_id
from discovery.core.metric import counter
from discovery.core.network import Networks
from discovery.core.warning import Concern, WarningList, critical, warning
from discovery.nameserver import NameServer
from discovery.plugins import (
    Factory,
    Plugin,
    Seams,
    allow,
    audit,
    auth,
    brake,
    check,
    consul,
    dashboard,
    eureka,
    forward,
    history,
    journal,
    log,
    metrics,
    rates,
    reference,
    sd,
    top,
    traces,
    transfer,
)
from discovery.rest.guard.admission import RegisterRate
from discovery.settings import Settings, client_zones, read_client_zones
from discovery.store.brake import Brake
from discovery.store.change_log import log_commit
from discovery.store.clock import Clock
from discovery.store.damping import Damping
from discovery.store.engine import Engine, MakeEngine
from discovery.store.losses import silent_imports
from discovery.store.nearness import Preference
from discovery.store.operations import ReloadZones
from discovery.store.reaper import Reaper
from discovery.store.registry import Registry
from discovery.system import surroundings
from discovery.system.env import EnvSettings, SettingsError
from discovery.system.files import Reloaded
from discovery.system.tls import Tls, TlsError
from discovery.system.waiting_octets import WaitingOctets
from discovery.web import Web

_log = logging.getLogger("discovery")

# A feature is one line here. The first is outermost: it sees a request, a question or a write before the others.
PLUGINS: tuple[Factory, ...] = (
    audit.make,
    auth.make,
    journal.make,
    history.make,
    check.make,
    brake.make,
    allow.make,
    transfer.make,
    forward.make,
    eureka.make,
    metrics.make,
    rates.make,
    traces.make,
    top.make,
    log.make,
    dashboard.make,
    sd.make,
    reference.make,
    consul.make,
)

# Between two looks at what is to be warned of.
LOOK_SECONDS = 1.0

# What takes a feature's place where the engine keeps the state.
INSTEAD: Mapping[Factory, Factory] = {journal.make: journal.make_folder}


class Server:
    def __init__(self, settings: Settings) -> None:
        self._clock = Clock()
        random = Random()  # orders answers, guards nothing
        self._registry = _registry(settings, self._clock, random)
        self._registry.loaded = False
        self._registry.followers.append(log_commit)
        self.followers = self._registry.followers  # for the process that this server is run by
        self._clock.on_pause = self._registry.resume
        instead = INSTEAD if settings.engine_url else {}
        made = [instead.get(factory, factory)(self._registry, self._clock) for factory in PLUGINS]
        self._plugins = [plugin for plugin in made if plugin is not None]
        registry = self._registry
        self._seams = Seams(
            followers=registry.followers,
            index_followers=registry.index_followers,
            last_checks=registry.last_checks,
            count_registration=RegisterRate(settings.registers_per_second).take,
            dns_addresses=settings.dns_addresses,
            dns_ttl=settings.dns_ttl_seconds,
            proxies=Networks(settings.trusted_proxies),
            is_public=settings.public_http_address is not None,
        )
        self.failure: DiscoveryError | None = None  # why it has to end, though nobody asked for it
        self.on_failure: Callable[[], None] = lambda: None
        self._seams.fails.append(self._fail)
        for plugin in self._plugins:
            plugin.install(self._seams)
        self._engine = _engine(settings.engine_url, self._registry, self._clock, self._seams)
        self._reaper = Reaper(self._registry, self._engine, self._clock)
        self._tls = _tls(settings)
        waiting = WaitingOctets(settings.http_buffers_mb * 2**20)
        preference = _client_zones(settings, self._registry, self._seams.files)
        self._names = NameServer(
            settings, self._registry, self._clock, random, self._seams, self._tls, waiting, preference
        )
        self._names.zones.on_reload = self._zones_reloaded
        self._reload: asyncio.Task[None] | None = None
        self._seams.concerns.extend([*self._of_registry(), *self._names.concerns(), *self._engine.concerns()])
        self._warnings = WarningList(self._seams.concerns)
        self._looking: asyncio.TimerHandle | None = None  # at what is to be warned of
        self._web = Web(
            settings,
            self._registry,
            self._engine,
            self._clock,
            self._clock.paused_since,
            random,
            self._seams,
            self._tls,
            self._names.respond_over_https,
            self._names.zones.is_fixed_host,
            {"registry": self._registry_not_loaded, "engine": self._engine.not_ready},
            self._warnings,
            self._more_stats,
            lambda: self._names.listening,
            waiting,
            preference,
        )

        self._seams.concerns.extend([*self._web.concerns(self._clock), *surroundings.concerns(_unknown_settings())])
        self._check_exposure(settings)
        for part in (self._engine, self._names, self._web, self._warnings):
            self._seams.metrics.extend(part.metrics())
        paused = "Seconds for which the process stood still."
        self._seams.metrics.append(counter("discovery_paused_seconds", paused, lambda: self._clock.paused))
        if self._tls is not None:
            self._seams.metrics.extend(self._tls.metrics())
            self._seams.concerns.extend(self._tls.concerns(time.time))
            self._seams.files.append(self._tls)
        for file in self._seams.files:
            self._seams.metrics.append(file.metric())
            self._seams.concerns.append(file.concern())

    async def start(self) -> list[str]:
        """Opens everything; returns the lines that tell where it listens. DiscoveryError says what is in the way."""
        self._names.zones.load()
        try:
            for plugin in self._plugins:
                await plugin.open(self._engine)
            await self._engine.open()
            self._registry.begin(self._clock())
            self._clock.start()
            self._reaper.start()
            self._names.zones.warn()
            for file in self._seams.files:
                file.start()
            lines = [*await self._web.open(), *await self._names.open(), "ready"]
            self._look()
            return lines
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Also after a start that failed halfway. One part that fails to close keeps no other from it."""
        self._reaper.stop()
        self._clock.stop()
        if self._looking is not None:
            self._looking.cancel()
        if self._reload is not None:
            self._reload.cancel()
        # Both faces finish what is in hand at the same time: one after the other would need 4 of the 5 seconds that there are.
        await asyncio.gather(_closed(self._names.close), _closed(self._web.close))
        # Begun in this order: the first write until then.
        parts: list[Reloaded[Any] | Plugin] = [*self._seams.files, *reversed(self._plugins)]
        await asyncio.gather(*(_closed(part.close) for part in parts))
        await _closed(self._engine.close)

    def _look(self) -> None:
        self._warnings.look(self._clock())
        self._looking = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def reload(self) -> asyncio.Task[None]:
        """What SIGHUP asks for: zone files, tokens and certificates, read again. The task never fails."""
        self._reload = asyncio.get_running_loop().create_task(self._read_again())
        return self._reload

    async def _read_again(self) -> None:
        await asyncio.gather(*(file.reload() for file in self._seams.files))

    def _fail(self, error: DiscoveryError) -> None:
        _log.critical("%(reason)s", {"event": "server.failed", "reason": str(error)})
        self.failure = error
        self.on_failure()

    def _check_exposure(self, settings: Settings) -> None:
        if (
            settings.public_address is None or self._seams.authorize  # nobody writes without a right to it
        ):
            return
        if settings.allow_anonymous:
            http, dns = settings.public_http_address, settings.public_address
            open_to_all = (
                "look up every name over DNS"
                if http is None
                else "register, change, drain and deregister every instance of every service, and read all of it; "
                f"only {', '.join(self._web.of_operators())} are for this machine alone"
            )
            _log.warning(
                "ALLOW_ANONYMOUS=true and no token: anybody who reaches %(address)s can %(_can)s; to close it set API_TOKEN or TOKENS_FILE",
                {"event": "server.exposed", "address": http or dns, "_can": open_to_all},
            )
            return
        raise SettingsError(
            f"HOST, DNS_HOST: {settings.public_address} can be reached from other machines and anybody there could register; set API_TOKEN "
            "or TOKENS_FILE, listen on 127.0.0.1, or set ALLOW_ANONYMOUS=true if that is what you want"
        )

    def _of_registry(self) -> list[Concern]:
        refused = self._registry.refused
        return [
            *self._registry.losses.concerns(time.time),
            critical("import_silent", lambda: silent_imports(self._registry.liveness.copies)),
            warning("heartbeats_refused", lambda: refused.warnings(self._registry.find, self._clock())),
        ]

    async def _zones_reloaded(self) -> None:
        await self._engine.submit(ReloadZones("zone files were read again"), SERVER)

    def _more_stats(self) -> dict[str, Any]:
        parts: list[Any] = [self._web, self._names, self._engine, *self._plugins]
        found = {"pausedSeconds": round(self._clock.paused, 3)}
        return found | {name: value for part in parts for name, value in part.stats().items()}

    def _registry_not_loaded(self) -> str | None:
        return None if self._registry.loaded else "it is still being filled"


def _unknown_settings() -> Mapping[str, str]:
    """Variables that are nearly one of those that were read, by whatever room."""
    rooms = EnvSettings.__subclasses__()
    known = {name for room in rooms for field in room.model_fields for name in room.variables(field)}
    return surroundings.slips([*os.environ, *dotenv_values(".env")], known)


async def _closed(close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        await close()
    except Exception:
        _log.exception(
            "%(part)s failed; the rest is closed all the same", {"event": "close.failed", "part": close.__qualname__}
        )


def _registry(settings: Settings, clock: Clock, random: Random) -> Registry:
    timeout, sweep = settings.heartbeat_timeout_seconds, settings.cleanup_interval_seconds
    registry = Registry(
        settings.of_registry,
        cleanup_interval=sweep,
        new_id=new_id,
        started_at=clock(),
        # Without a memory of it, neither the index nor the DNS serial should go back: start where one change a second since the epoch
        # would have led (after more changes than that they do go back, by as many as there were too many). Fits the serial's 32 bits
        # until 2106. The journal knows better.
        index=int(time.time()),
        brake=Brake(settings.brake_percent, settings.brake_max_seconds, sweep, timeout, random),
        damping=Damping(settings.flap_max_changes, settings.flap_window_seconds),
    )
    registry.face_max_instances = settings.face_max_instances
    registry.max_permanent = settings.permanent_per_token if settings.permanent_allowed else 0
    return registry


# How the truth is shared between processes, by the scheme of ENGINE_URL: the module that has its `make`, imported when it is chosen.
ENGINES = {"": "discovery.engines.local", "etcd": "discovery.engines.etcd", "etcds": "discovery.engines.etcd"}


def _engine(url: str, registry: Registry, clock: Clock, seams: Seams) -> Engine:
    scheme = url.partition(":")[0]
    if scheme not in ENGINES:
        known = ", ".join(name or "none (this process alone)" for name in ENGINES)
        raise SettingsError(
            f"ENGINE_URL: there is no engine {scheme!r}; there are: {known}; write etcd://HOST:2379,HOST:2379"
        )
    make: MakeEngine = importlib.import_module(ENGINES[scheme]).make
    return make(url, registry, clock, time.time, seams)


def _client_zones(settings: Settings, registry: Registry, files: list[Reloaded[Any]]) -> Preference | None:
    """None without CLIENT_ZONES. Where it is a file, that is added to `files`. DiscoveryError when it cannot be used."""
    found = client_zones(settings.client_zones)
    if found is None:
        return None
    least = settings.zone_min_healthy / 100
    if isinstance(found, ClientZones):
        return Preference(registry.missing, least, found)
    file = Reloaded("client_zones", [found], partial(read_client_zones, found))
    preference = Preference(registry.missing, least, file.load())
    file.on_change = preference.use
    files.append(file)
    return preference


def _tls(settings: Settings) -> Tls | None:
    """None without a certificate. SettingsError when it cannot be used."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    try:
        return Tls(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    except TlsError as error:
        raise SettingsError(str(error)) from None
