"""A small DNS world: a real registry, zones from zone-file text, a Responder over them, and dnspython as the one who asks.

Everything about how the DNS room is put together stands here and nowhere else in these tests.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from discovery.core.client_zones import ClientZones
from discovery.core.event import Commit
from discovery.core.instance import Key, Registration
from discovery.core.kinds import RegistrySettings
from discovery.core.maintenance import Scope, Window
from discovery.core.network import Networks
from discovery.dns.message import names
from discovery.dns.message.query import UDP, Request, Transport
from discovery.dns.message.values import Answer, Deferred, Question
from discovery.dns.server.cookies import Cookies
from discovery.dns.server.kept_answers import KeptAnswers
from discovery.dns.server.localities import Localities
from discovery.dns.server.replies import Replies
from discovery.dns.server.responder import Responder
from discovery.dns.server.traffic import Traffic
from discovery.dns.zones import zonefile
from discovery.dns.zones.catalog import Catalog, first_of, following
from discovery.dns.zones.reserved import reserved
from discovery.dns.zones.reverse import ReverseNames
from discovery.dns.zones.service_zone import ServiceZone
from discovery.dns.zones.static_zone import StaticZone
from discovery.dns.zones.zone import LiveNames, Zone
from discovery.store.brake import Brake
from discovery.store.damping import NO_DAMPING, Damping
from discovery.store.nearness import Preference
from tests.driven import DrivenRegistry

ORIGIN = "svc.local"
INDEX = 1000
CLIENT = "192.0.2.200"
FORWARDER = "192.0.2.53"
SWEEP = 5.0  # seconds from one cleanup to the next
# The head of every zone file here; the serial 7 must never be seen.
HEAD = """$TTL 60
@   IN SOA ns hostmaster 7 60 10 604800 2
@   IN NS  ns
ns  IN A   192.0.2.53
"""


class Record(NamedTuple):
    """One record of a reply, in text; names absolute without the final dot, as spelt in the reply."""

    name: str
    type: str
    ttl: int
    data: str


class World:
    """`records` are zone-file lines of `origin`, whose live names are the registry's. `fixed`: more zones, without live names.

    `file=False`: no zone file, so SOA and NS are made up. `hot`: the responder is behind a KeptAnswers, as in the server; `plain`
    answers from the same table without one. `traffic` is the
    responder's. `asked` counts the questions of `responder` that reached the catalog. The brake is
    off unless `brake_percent` says more than 0. The registry learns the time from `settle` alone. `registry`: one that is there already;
    `also`: more zones with its services, without files. `client_zones`: those of clients, with a forwarder at FORWARDER.
    """

    def __init__(
        self,
        records: str = "",
        *,
        origin: str = ORIGIN,
        fixed: Mapping[str, str] | None = None,
        file: bool = True,
        ttl: int = 5,
        negative_ttl: int = 2,
        lease: float = 10.0,
        seed: int = 1,
        hot: bool = False,
        require_cookies: bool = False,
        brake_percent: float = 0,
        brake_max_seconds: float = 60,
        damping: Damping = NO_DAMPING,
        registry: DrivenRegistry | None = None,
        also: Iterable[str] = (),
        client_zones: str = "",
    ) -> None:
        ids = itertools.count()
        made = DrivenRegistry(
            RegistrySettings(lease, 100_000, 1_000_000, 10_000_000),
            cleanup_interval=SWEEP,
            new_id=lambda: f"id-{next(ids)}",
            started_at=0.0,
            index=INDEX,
            brake=Brake(brake_percent, brake_max_seconds, SWEEP, lease, Random(seed)),
            damping=damping,
        )
        self.registry = made if registry is None else registry  # an empty one is False
        self.asked = 0
        at = names.from_text(origin)
        live = [at, *map(names.from_text, also)]
        self.preference = Preference(
            self.registry.missing, 0.7, ClientZones.read((line, line) for line in client_zones.split())
        )
        preference = self.preference if client_zones else None
        self._live = {name: ServiceZone(name, self.registry, ttl, None, preference) for name in live}
        self._negative_ttl = negative_ttl
        made_up = [zonefile.made_up(name, ["192.0.2.53", "::"], negative_ttl) for name in live]
        self._others = [*made_up[1:], *load(fixed or {})]
        zones = self._zones(load({origin: records})[0] if file else made_up[0])
        self.catalog = Catalog(zones)
        reverse = ReverseNames(self.registry, at, ttl, negative_ttl)
        self.registry.followers.append(reverse.follow_commit)
        self.lookup = following(first_of(self.catalog.lookup, reverse.lookup), self.catalog.is_ours, Random(seed))
        self.traffic = Traffic(Random(seed))
        self.traffic.follow(zone.origin for zone in zones)
        cookies = Cookies(bytes(16))
        replies = Replies(cookies, b"world", None, require_cookies)
        self.plain = Responder(self.lookup, replies, Random(seed))
        self.responder: Responder | KeptAnswers = Responder(self._lookup, replies, Random(seed), self.traffic)
        self.kept: KeptAnswers | None = None
        if hot:
            kept = self.kept = self.responder = KeptAnswers(self.responder, replies, self._serial, Random(seed))
            kept.follow(zones)
            self.registry.followers.append(lambda commit: forget(kept, commit))
            self.registry.staleness_followers.append(kept.forget)
        if preference is not None and isinstance(self.responder, KeptAnswers):
            rest = self.responder._rest
            self.responder = Localities(  # type: ignore[assignment]  # with the same `respond`
                preference, Networks([ip_network(FORWARDER)]), self.responder, rest, lambda client: True, self.traffic
            )

    def _serial(self) -> int:
        return self.registry.index

    def _zones(self, fixed: StaticZone) -> list[Zone]:
        statics = [fixed, *self._others]
        origins = [zone.origin for zone in statics]
        return [
            Zone(zone, self._live.get(zone.origin, LiveNames()), self._serial, self._negative_ttl, origins)
            for zone in statics
        ]

    def reload(self, fixed: StaticZone) -> None:
        """The zone with the services has these records from now on."""
        zones = self._zones(fixed)
        self.registry.reserved = reserved([fixed], [zone.origin for zone in zones])
        self.catalog.replace(zones)
        if self.kept is not None:
            self.kept.follow(zones)

    def _lookup(self, *question: Any) -> Answer | Deferred | None:
        self.asked += 1
        return self.lookup(*question)

    def add(self, name: str, ip: str, port: int | None = 3001, *, now: float = 0.0, **fields: Any) -> None:
        self.registry.register(Registration.of(name, ip, port, **fields), now, 0.0)

    def remove(self, name: str, ip: str, port: int = 3001, *, now: float = 0.0) -> None:
        self.registry.deregister(Key.of(name, ip, port), "test", now, now)

    def beat(self, name: str, ip: str, port: int = 3001, *, now: float) -> None:
        self.registry.renew(Key.of(name, ip, port), now, now)

    def drain(self, name: str, ip: str, port: int = 3001, *, draining: bool = True, now: float = 0.0) -> None:
        self.registry.drain(Key.of(name, ip, port), draining, "test", now, now)

    def maintain(self, name: str, ip: str | None = None, port: int = 3001, *, seconds: float, now: float = 0.0) -> None:
        """The whole service without `ip`. The wall clock shows the same as the other."""
        self.registry.maintain(scope(name, ip, port), Window("test", now + seconds), now, now)

    def end_maintenance(self, name: str, ip: str | None = None, port: int = 3001, *, now: float = 0.0) -> None:
        self.registry.end_maintenance(scope(name, ip, port), "test", now, now)

    def check(self, name: str, ip: str, port: int = 3001, *, failing: str | None, now: float = 0.0) -> None:
        """What its checks say."""
        self.registry.checked(self.registry.at(Key.of(name, ip, port)).instance.id, failing, now, now)

    def settle(self, now: float) -> None:
        """All that has become due by `now` happens."""
        self.registry.advance(now, wall=now)

    def send(
        self, packet: bytes, *, now: float = 0.0, udp: bool = True, plain: bool = False, client: str = CLIENT
    ) -> bytes | None:
        responder = self.plain if plain else self.responder
        way = UDP if udp else Transport()
        if plain:
            way = replace(way, locality=self.preference.zone_of(client))
        reply: bytes | Awaitable[bytes] | None = responder.respond(packet, now, client, way)
        assert reply is None or isinstance(reply, bytes)
        return reply

    def ask(
        self,
        name: str,
        rtype: str = "A",
        *,
        now: float = 0.0,
        udp: bool = True,
        edns: int | None = None,
        client: str = CLIENT,
        **more: Any,
    ) -> dns.message.Message:
        """`edns`: the UDP payload size; None sends no OPT. `more` are dnspython's make_query's."""
        query = make_query(name, rtype, edns=edns, **more)
        return parsed(self.send(query.to_wire(), now=now, udp=udp, client=client))


def forget(kept: KeptAnswers, commit: Commit) -> None:
    """As the name server does."""
    for event in commit.events:
        if event.service is not None:
            kept.forget(event.service)


def request(question: Question, client: str = CLIENT, way: Transport = UDP) -> Request:
    """For a look-up without a packet."""
    return Request(b"\0\0", 0, False, question, b"", None, client, way)


def scope(name: str, ip: str | None = None, port: int = 3001) -> Scope:
    return Scope(name.lower()) if ip is None else Scope.of(Key.of(name, ip, port or None))


def load(files: Mapping[str, str]) -> list[StaticZone]:
    """The zones of files with these records after HEAD, by origin."""
    with tempfile.TemporaryDirectory() as folder:
        for origin, text in files.items():
            (Path(folder) / f"{origin}.zone").write_text(HEAD + text)
        return zonefile.load_all(Path(folder))


def make_query(name: str, rtype: str = "A", *, edns: int | None = None, **more: Any) -> dns.message.QueryMessage:
    if edns is None:
        return dns.message.make_query(name, rtype, **more)
    return dns.message.make_query(name, rtype, use_edns=more.pop("version", 0), payload=edns, **more)


def parsed(reply: bytes | None) -> dns.message.Message:
    """By dnspython: every record on its own, nothing after the last."""
    assert reply is not None
    return dns.message.from_wire(reply, one_rr_per_rrset=True)


def records(section: Iterable[dns.rrset.RRset]) -> list[Record]:
    return [
        Record(rrset.name.to_text(True), dns.rdatatype.to_text(rrset.rdtype), rrset.ttl, rdata.to_text())
        for rrset in section
        for rdata in rrset
    ]


def data(section: Iterable[dns.rrset.RRset]) -> list[str]:
    """What the records say, in order."""
    return [record.data for record in records(section)]


def outcome(message: dns.message.Message) -> str:
    """In one word: the rcode, ANSWER, REFERRAL, or NODATA (RFC 2308 §2.2)."""
    if message.rcode() != dns.rcode.NOERROR:
        return dns.rcode.to_text(message.rcode())
    if message.answer:
        return "ANSWER"
    return "NODATA" if message.flags & dns.flags.AA else "REFERRAL"
