"""The HTTP face, put together: the handlers, those of the plugins, who is let in, and its sockets."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from discovery.core.caller import Caller
from discovery.core.metric import Metric, counter, gauge
from discovery.core.name import fold
from discovery.core.network import Networks
from discovery.core.warning import Concern, Lately, WarningList, critical, one, warning
from discovery.dns import dig
from discovery.dns.message.query import fresh_for
from discovery.plugins import Seams
from discovery.rest.api.batches import Batches
from discovery.rest.api.beating import Beating, Reporting
from discovery.rest.api.dns import Dig, DnsOverHttps, Place, Respond
from discovery.rest.api.handlers import Handlers
from discovery.rest.api.openapi import OpenApi
from discovery.rest.api.operating import Operations
from discovery.rest.api.registering import Registering
from discovery.rest.api.resolving.resolving import Resolving
from discovery.rest.api.route import Right
from discovery.rest.api.router import Router
from discovery.rest.api.server.server import Check, Documents, ServerItself
from discovery.rest.api.services.listing import Listing
from discovery.rest.api.services.one import OneService
from discovery.rest.api.services.removing import Removing
from discovery.rest.api.services.zones import Zones
from discovery.rest.api.times import Times
from discovery.rest.guard.admission import Admit, anyone, without_tokens
from discovery.rest.guard.browsers import Browsers, Cors, hosts
from discovery.rest.guard.refusals import Refusals
from discovery.rest.http import access_log
from discovery.rest.http.connections import Connections
from discovery.rest.http.front import Front
from discovery.rest.http.kept_bodies import KeptBodies
from discovery.rest.http.server import Server
from discovery.rest.watch.watch import Watch
from discovery.rest.watch.watchers import Watchers
from discovery.settings import Settings
from discovery.store.engine import Engine
from discovery.store.nearness import Preference
from discovery.store.registry import Registry
from discovery.system.limits import NEARLY_FULL, open_files, shares
from discovery.system.sockets import STREAM, authority_of, bind
from discovery.system.tls import Tls
from discovery.system.waiting_octets import WaitingOctets

_log = logging.getLogger("discovery.web")

_MORE_CONNECTIONS = "who holds so many (`discovery top`)? Else raise HTTP_MAX_CONNECTIONS and LimitNOFILE"


def subjects(common: Handlers) -> list[Handlers]:
    """Each with its routes."""
    kinds: tuple[type[Handlers], ...] = (
        Registering, Beating, Batches, Reporting, Resolving, Listing, OneService, Zones, Removing, Operations, Documents,
    )  # fmt: skip
    return [kind(**vars(common)) for kind in kinds]


class Web:
    """Opened once, closed once. `respond`: what DNS over HTTPS asks. `is_fixed_host`: as `browsers.hosts` has it. `checks`: what /ready
    asks. `warnings`: what it warns of. `more_stats`: for /stats. `dns_at()`: where DNS is answered. `preference`: of clients for
    instances of their zone.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        engine: Engine,
        clock: Callable[[], float],
        paused_since: Callable[[float], float],
        random: Random,
        seams: Seams,
        tls: Tls | None,
        respond: Respond,
        is_fixed_host: Callable[[str], bool],
        checks: Mapping[str, Check],
        warnings: WarningList,
        more_stats: Callable[[], Mapping[str, Any]],
        dns_at: Callable[[], Sequence[Place]],
        waiting: WaitingOctets,
        preference: Preference | None = None,
    ) -> None:
        self._settings = settings
        self._seams = seams
        self._tls = tls
        self._is_fixed_host = is_fixed_host
        times = Times(clock, time.time, lambda: registry.stale_seconds(), paused_since)
        registry.walls = times.walls
        self._refusals = Refusals(registry, clock, time.time, _call_later)
        self._connections, watchers = _limits(settings)
        self._waiting = waiting
        self._watch = watch = Watch(
            registry, times, random, watchers, self._sees_actors, has_other_nodes=engine.has_other_nodes
        )
        registry.index_followers.append(watch.follow)
        for give in seams.long_polls:
            give(watch.polls)
        self._subjects = subjects(
            Handlers(
                registry, engine, clock, times, random, watch.polls, self._sees_names, preference, settings.dns_ttl_seconds,
                seams.count_registration, self._refusals.note_items, seams.imported_as,
            )
        )  # fmt: skip
        self.routes = [
            *(route for each in self._subjects for route in each.routes()),
            *watch.routes(),
            *ServerItself(registry, clock, times, checks, warnings, self._sees_actors, more_stats).routes(),
            *DnsOverHttps(respond, fresh_for).routes(),
            *Dig(respond, dig.query, dig.read, dns_at, settings.dns_domain[0]).routes(),
            *OpenApi(lambda: self.routes).routes(),
            *seams.routes,
        ]
        self._server = self._make_server(registry, times, clock)

    async def open(self) -> list[str]:
        """The lines that tell where it listens."""
        socks = bind(self._settings.host, self._settings.port, [STREAM], "HOST or PORT")
        for port in self._seams.http_ports:
            socks += bind(self._settings.host, port, [STREAM], f"HOST or port {port}")
        for sock in socks:
            self._server.listen(sock, self._tls)
        scheme = "http" if self._tls is None else "https"
        return [f"listening {scheme}://{authority_of(sock)}" for sock in socks]

    async def close(self) -> None:
        """Opened or not."""
        await self._server.close()
        self._refusals.close()

    def stats(self) -> dict[str, Any]:
        connections, watchers = self._connections, self._watch.watchers
        return {
            "http": {
                "connections": len(connections),
                "connectionsMadeWay": connections.made_way,
                "connectionsRefused": connections.refused,
            },
            "watchers": {"now": len(watchers), "refused": watchers.refused, "cut": watchers.cut},
        }

    def metrics(self) -> list[Metric]:
        connections = self._connections
        return [
            *self._seams.http_traffic.metrics(),
            gauge("discovery_http_connections", "HTTP connections.", lambda: len(connections)),
            gauge("discovery_http_max_connections", "HTTP connections, at the most.", lambda: connections.most),
            counter(
                "discovery_http_connections_refused",
                "HTTP connections that were refused: all others had a request in hand.",
                lambda: connections.refused,
            ),
            counter(
                "discovery_http_connections_made_way",
                "HTTP connections that were closed to make room for others.",
                lambda: connections.made_way,
            ),
            gauge("discovery_waiting_octets", "Octets that wait for clients to read them.", lambda: len(self._waiting)),
            counter(
                "discovery_connections_unread",
                "Connections that were closed because too much waited for clients that do not read (HTTP_BUFFERS_MB).",
                lambda: self._waiting.closed,
            ),
            *self._watch.metrics(),
            *(metric for each in self._subjects for metric in each.metrics()),
        ]

    def concerns(self, clock: Callable[[], float]) -> list[Concern]:
        connections, watchers = self._connections, self._watch.watchers
        turned_away, without_room = Lately(lambda: connections.refused), Lately(lambda: watchers.refused)
        given_up = Lately(lambda: self._waiting.closed)

        def full() -> Iterator[str]:
            refused, unwatched = turned_away.at(clock()), without_room.at(clock())
            if refused:
                yield f"{refused} HTTP connections were turned away lately: {_MORE_CONNECTIONS}"
            elif len(connections) >= NEARLY_FULL * connections.most:
                yield f"{len(connections)} of {connections.most} HTTP connections are taken: {_MORE_CONNECTIONS}"
            if unwatched:
                yield f"{unwatched} watchers found no room lately: raise MAX_WATCHERS, or find who opens so many (`discovery top`)"

        def buffers() -> str | None:
            closed = given_up.at(clock())
            if closed:
                return (
                    f"{closed} connections were closed lately, the last of {self._waiting.last_closed}: their clients do not read, "
                    "HTTP_BUFFERS_MB was spent (`discovery top`)"
                )
            return self._waiting.warning()

        return [
            critical("connections_full", lambda: {text.partition(":")[2]: text for text in full()}),
            warning("buffers_full", one(buffers)),
        ]

    def _sees_actors(self, caller: Caller) -> bool:
        """Who may know who did what: whoever may read, and everybody where nobody has a token."""
        return caller.grants.may_read or not self._seams.authorize

    def _sees_names(self, caller: Caller, service: str) -> bool:
        """Who may know the names in its accounts, of tokens, actors and clients: admins and owners, and all where nobody has a token."""
        return caller.grants.may_write(fold(service)) or not self._seams.authorize

    def of_operators(self) -> list[str]:
        """The routes that are for this machine alone, where there are no tokens."""
        return [f"{route.method} {route.template}" for route in self.routes if route.right is Right.ADMIN]

    def _make_server(self, registry: Registry, times: Times, clock: Callable[[], float]) -> Server:
        settings = self._settings
        admit: Admit = anyone if self._seams.authorize else without_tokens
        for wrap in reversed(self._seams.admits):
            admit = wrap(admit)
        is_host = hosts((*settings.allowed_hosts, socket.gethostname()), self._is_fixed_host)
        origins = settings.allowed_origins
        browsers = Browsers(origins, is_host, only_local=settings.public_address is None)
        cors = Cors(origins, credentials=settings.sets_origins)
        router = Router(self.routes)
        front = Front(
            times, self._refusals, cors, browsers, admit, router, Networks(settings.trusted_proxies),
            registry, KeptBodies(registry, clock, self._waiting, times),
        )  # fmt: skip
        traffic = self._seams.http_traffic
        traffic.methods = router.methods
        traffic.scheme = "http" if self._tls is None else "https"
        note = traffic.note if traffic.wanted else access_log.log
        return Server(front, self._connections, self._waiting, note)


def _call_later(seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds, callback)


def _limits(settings: Settings) -> tuple[Connections, Watchers]:
    """As they are set, but no more than there can be files; told in the log. Half of the connections are for who does not watch."""
    most, files = settings.http_max_connections, open_files()
    room = shares(files).http
    if room < most:
        _log.warning(
            "HTTP_MAX_CONNECTIONS is %(wanted)d, but this process may open only %(files)d files: at most %(most)d connections are taken; "
            "allow it more (ulimit -n, LimitNOFILE in a systemd unit)",
            {"event": "connections.limited", "wanted": most, "files": files, "most": room},
        )
    most, most_of_address = min(most, room), min(settings.http_max_connections_per_address, room)
    watchers = Watchers(min(settings.max_watchers, most // 2), most_of_address // 2)
    return Connections(most, most_of_address), watchers
