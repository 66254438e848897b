"""DNS-SD's way in (RFC 6763): which types of service there are (§9), and which domains to browse (§11).

`_services._dns-sd._udp` lists `_SERVICE._tcp` for every service that has an answer; `b`, `db` and `lb` below `_dns-sd._udp`
name the zone itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from discovery.dns.message.names import MAX_LABEL, Name
from discovery.dns.message.values import RR, Answer, Type
from discovery.dns.zones import records
from discovery.dns.zones.staleness import ttl_about
from discovery.store.service import Service

ROOT = (b"_dns-sd", b"_udp")
TYPES: Name = (b"_services", *ROOT)
DOMAINS: tuple[Name, ...] = tuple((label, *ROOT) for label in (b"b", b"db", b"lb"))
# A list that does not end holds the loop: so many types, from so many instances, take about 5 ms. More is for HTTP.
MAX_TYPES = 500
MAX_LOOKED_AT = 5000


def lookup(
    origin: Name, relative: Name, qtype: int, services: Iterable[Service], max_ttl: int, now: float
) -> Answer | None:
    """None when the name is not one of DNS-SD's. `max_ttl`, seconds, is the upper bound."""
    if relative == ROOT:
        return Answer.nodata()
    if relative[1:] != ROOT:
        return None
    if relative in DOMAINS:
        rr = RR((*relative, *origin), Type.PTR, max_ttl, records.name(origin))
        return Answer.of([rr]) if qtype == Type.PTR else Answer.nodata()
    if relative != TYPES:
        return Answer.nxdomain()
    return _types(origin, relative, services, max_ttl, now) if qtype == Type.PTR else Answer.nodata()


def _types(origin: Name, relative: Name, services: Iterable[Service], max_ttl: int, now: float) -> Answer:
    types: list[Name] = []
    ttl = max_ttl
    looked_at = 0
    for service in services:
        if looked_at >= MAX_LOOKED_AT or len(types) >= MAX_TYPES:
            return _pointers(origin, relative, types, ttl, complete=False)
        looked_at += len(service.entries)
        found = by_protocol(
            (entry.instance.spec.protocol, ttl_about(entry, max_ttl, now)) for entry in service.served(now)
        )
        if len(service.key) < MAX_LABEL:  # with the `_` in front a longer one is no label
            types += ((b"_" + service.key, protocol) for protocol in found)
            ttl = min([ttl, *found.values()])
    return _pointers(origin, relative, types, ttl, complete=True)


def by_protocol(instances: Iterable[tuple[str, int]]) -> dict[bytes, int]:
    """From the protocols and TTLs of a service's instances: the label of each protocol, and how many seconds its type stays, which
    is as long as its last instance.
    """
    found: dict[bytes, int] = {}
    for protocol, ttl in instances:
        label = b"_" + protocol.encode("ascii")
        found[label] = max(ttl, found.get(label, 0))
    return dict(sorted(found.items()))


def _pointers(origin: Name, relative: Name, types: list[Name], ttl: int, complete: bool) -> Answer:
    owner = (*relative, *origin)
    rrs = [RR(owner, Type.PTR, ttl, records.name((*one, *origin))) for one in types]
    return Answer(answer=tuple(rrs), complete=complete)
