"""The DNS face, put together: the zones, the look-up with the plugins in front, the responder, and its sockets."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any

from discovery import __version__
from discovery.core.event import Commit
from discovery.core.metric import Metric, counter
from discovery.core.network import Networks
from discovery.core.warning import Concern, Lately, critical, one
from discovery.dns import dig
from discovery.dns.message import names
from discovery.dns.message.query import HTTPS
from discovery.dns.server import numbers
from discovery.dns.server.cookies import SECRET_SIZE, Cookies
from discovery.dns.server.counted import QueryCounter, counted, infer_outcome
from discovery.dns.server.deferred import DeferredReplies
from discovery.dns.server.kept_answers import KeptAnswers, routed
from discovery.dns.server.limited import Limited
from discovery.dns.server.localities import Localities
from discovery.dns.server.rate_limit import RateLimiter
from discovery.dns.server.replies import Replies
from discovery.dns.server.responder import Respond, Responder
from discovery.dns.server.tcp import TcpConnections, TcpServer
from discovery.dns.server.udp import UdpServer
from discovery.dns.zones.catalog import Catalog, Lookup, first_of, following
from discovery.dns.zones.chaos import ServerNames
from discovery.dns.zones.reverse import ReverseNames
from discovery.dns.zones.zone import Zone
from discovery.plugins import Seams, everybody
from discovery.settings import Settings
from discovery.store.nearness import Preference
from discovery.store.registry import Registry
from discovery.system.limits import open_files, shares
from discovery.system.sockets import DATAGRAM, STREAM, authority_of, bind
from discovery.system.tls import Tls
from discovery.system.waiting_octets import WaitingOctets
from discovery.zones import Zones

_log = logging.getLogger("discovery.zones")


class NameServer:
    """Opened once, closed once. `zones` are to be loaded before."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        clock: Callable[[], float],
        random: Random,
        seams: Seams,
        tls: Tls | None,
        waiting: WaitingOctets,
        preference: Preference | None = None,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._clock = clock
        self._seams = seams
        self._preference = preference
        self._tls = tls
        self._catalog = Catalog(())
        domains = [names.from_text(domain) for domain in settings.dns_domain]
        self._live = origins = [origin for origin in domains if origin not in seams.live_names]
        ttl, negative_ttl = settings.dns_ttl_seconds, settings.dns_negative_ttl_seconds
        self._reverse = ReverseNames(registry, [*origins, *domains][0], ttl, negative_ttl)
        self.zones = Zones(
            registry,
            self._catalog,
            self._reverse,
            settings.zones_dir,
            origins,
            ttl,
            negative_ttl,
            settings.dns_max_answers,
            settings.dns_addresses,
            preference,
            seams.live_names,
        )
        seams.files.append(self.zones.files)
        for origin in domains:
            if origin in seams.live_names:
                _log.info(
                    "%(zone)s is a zone of its own, whose names are not those of DNS_DOMAIN, though it is listed there",
                    {"event": "zones.owned", "zone": names.to_text(origin)},
                )
        cookies = Cookies(os.urandom(SECRET_SIZE))
        self._kept, self._respond = self._make_responder(cookies, random)
        limiter = RateLimiter(
            settings.dns_rate_per_answer, settings.dns_rate_per_prefix, settings.dns_rate_slip, settings.dns_rate_exempt
        )
        self._limited = Limited(self._respond, limiter, cookies, seams.dns_traffic)
        self._over_https = self._counted(self._respond, "https")
        self.zones.on_change = self._follow
        self._deferred = DeferredReplies()
        self._connections = TcpConnections(shares(open_files()).dns, waiting)
        self._servers: list[UdpServer | TcpServer] = []
        # Addresses and ports of UDP and TCP, as they were bound once it is open.
        self.listening = [(address, settings.dns_port) for address in settings.dns_addresses]
        registry.followers += [self._reverse.follow_commit, self._forget]
        registry.staleness_followers.append(self._kept.forget)

    async def open(self) -> list[str]:
        """The lines that tell where it listens."""
        settings = self._settings
        socks = bind(settings.dns_addresses, settings.dns_port, [DATAGRAM, STREAM], "DNS_HOST or DNS_PORT")
        over_tcp, over_udp = self._counted(self._respond, "tcp"), self._counter("udp")
        for sock in socks:
            if sock.type == DATAGRAM:
                self._servers.append(UdpServer(sock, self._limited.respond, self._clock, self._deferred, over_udp))
            else:
                self._servers.append(TcpServer(sock, over_tcp, self._clock, self._connections, self._deferred))
        self.listening = [sock.getsockname()[:2] for sock in socks if sock.type == DATAGRAM]
        lines = [f"listening dns://{authority_of(sock)}" for sock in socks if sock.type == DATAGRAM]
        if settings.dot_port is not None:
            socks = bind(settings.dns_addresses, settings.dot_port, [STREAM], "DNS_HOST or DOT_PORT")
            over_tls = self._counted(self._respond, "tls")
            self._servers += (
                TcpServer(sock, over_tls, self._clock, self._connections, self._deferred, self._tls) for sock in socks
            )
            lines += (f"listening dot://{authority_of(sock)}" for sock in socks)
        for server in self._servers:
            await server.start()
        return lines

    async def close(self) -> None:
        """Opened or not."""
        try:
            await asyncio.gather(*(server.close() for server in self._servers))
        finally:
            await self._deferred.close()

    def respond_over_https(self, packet: bytes, client: str) -> bytes | Coroutine[Any, Any, bytes] | None:
        return self._over_https(packet, self._clock(), client, HTTPS)

    def stats(self) -> dict[str, Any]:
        """`listening`: addresses and ports of UDP and TCP. `domains`: the zones of the services. `types`: what a person asks for."""
        settings = self._settings
        content = {
            "shed": self._shed(),
            "rateLimited": {"slipped": self._limited.slipped, "dropped": self._limited.dropped},
            "listening": [{"ip": ip, "port": port} for ip, port in self.listening],
            "domains": settings.dns_domain,
            "types": dig.TYPES,
            "ttlSeconds": settings.dns_ttl_seconds,
            "negativeTtlSeconds": settings.dns_negative_ttl_seconds,
        }
        return {"dns": content}

    def metrics(self) -> list[Metric]:
        return [
            *numbers.metrics(
                self._seams.dns_traffic,
                self._shed,
                lambda: len(self._connections),
            ),
            counter(
                "discovery_zones_failed_reloads",
                "Readings of the zone files that changed nothing: one of them is bad, or the folder is gone.",
                lambda: self.zones.files.failures,
            ),
        ]

    def concerns(self) -> list[Concern]:
        lately = Lately(self._shed)

        def shed() -> str | None:
            queries = lately.at(self._clock())
            if not queries:
                return None
            return f"{queries} datagrams to DNS got no reply lately, for lack of room: a burst of a few clients, or a busy processor"

        return [critical("queries_shed", one(shed))]

    def _shed(self) -> int:
        return sum(server.shed() for server in self._servers if isinstance(server, UdpServer))

    def _counted(self, respond: Respond, transport: str) -> Respond:
        counter = self._counter(transport)
        return respond if counter is None else counted(respond, counter)

    def _counter(self, transport: str) -> QueryCounter | None:
        traffic = self._seams.dns_traffic
        return QueryCounter(transport, traffic, self._clock) if traffic.wanted else None

    def _forget(self, commit: Commit) -> None:
        for event in commit.events:
            if event.service is not None:
                self._kept.forget(event.service)

    def _follow(self, zones: Sequence[Zone]) -> None:
        self._kept.follow(zones)
        self._seams.dns_traffic.follow(
            sorted((zone.origin for zone in zones), key=lambda origin: origin not in self._live)
        )
        for follow in self._seams.zones:
            follow(zones)

    def _make_responder(self, cookies: Cookies, random: Random) -> tuple[KeptAnswers, Respond]:
        settings, seams = self._settings, self._seams
        server_names = ServerNames(f"discovery {__version__}", settings.dns_server_id)
        lookup: Lookup = following(
            first_of(self._catalog.lookup, self._reverse.lookup, server_names.lookup), self._catalog.is_ours, random
        )
        for seam in reversed(seams.lookups):
            lookup = seam.wrap(lookup)
        recurses = _any_of(seams.recurses)
        replies = Replies(cookies, settings.dns_server_id.encode(), recurses, settings.dns_require_cookies)
        responder = Responder(lookup, replies, random, seams.dns_traffic)
        rest: Respond = responder.respond
        for wrap in reversed(seams.responders):
            rest = wrap(rest)
        if seams.responders:
            rest = infer_outcome(rest, seams.dns_traffic)
        kept = KeptAnswers(responder, replies, lambda: self._registry.index, random, rest)
        preference = self._preference
        tests = [seam.cacheable_for for seam in seams.lookups if seam.cacheable_for is not everybody]
        if not tests and preference is None:
            return kept, kept.respond

        def is_usual(client: str) -> bool:
            return all(test(client) for test in tests)

        if preference is None:
            return kept, routed(is_usual, kept.respond, rest)
        forwarders = Networks(settings.trusted_forwarders)
        return kept, Localities(preference, forwarders, kept, rest, is_usual, seams.dns_traffic).respond


def _any_of(tests: list[Callable[[str], bool]]) -> Callable[[str], bool] | None:
    """On the hot path, so the usual none and one cost no more than they must."""
    if not tests:
        return None
    return tests[0] if len(tests) == 1 else lambda client: any(test(client) for test in tests)
