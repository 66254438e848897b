"""DNS-SD's way in (RFC 6763): which types of service there are (§9), and which domains to browse (§11).

`_services._dns-sd._udp` lists `_SERVICE._tcp` for every service that has an answer; `b`, `db` and `lb` below `_dns-sd._udp`
name the zone itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from discovery.dns.message.names import MAX_LABEL, Name
from discovery.dns.message.values import RR, Answer, Type
from discovery.dns.zones import records
from discovery.dns.zones.staleness import longest_ttl
from discovery.store.service import Service

ROOT = (b"_dns-sd", b"_udp")
TYPES: Name = (b"_services", *ROOT)
DOMAINS: tuple[Name, ...] = tuple((label, *ROOT) for label in (b"b", b"db", b"lb"))
# A list that does not end holds the loop: these take about 5 ms. More services than that are for HTTP.
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
    ttl = float(max_ttl)
    for number, service in enumerate(services):
        if number == MAX_LOOKED_AT:
            return _pointers(origin, relative, types, ttl, complete=False)
        entries = service.served(now)
        if not entries:
            continue
        if len(types) >= MAX_TYPES:
            return _pointers(origin, relative, types, ttl, complete=False)
        # A type is there as long as its last instance.
        ttl = min(ttl, max(min(longest_ttl(max_ttl, entry.held), entry.term.left(now)) for entry in entries))
        if len(service.key) >= MAX_LABEL:  # with the `_` in front it is no label
            continue
        protocols = sorted({entry.instance.spec.protocol for entry in entries})
        types += ((b"_" + service.key, b"_" + protocol.encode("ascii")) for protocol in protocols)
    return _pointers(origin, relative, types, ttl, complete=True)


def _pointers(origin: Name, relative: Name, types: list[Name], ttl: float, complete: bool) -> Answer:
    owner = (*relative, *origin)
    rrs = [RR(owner, Type.PTR, math.floor(ttl), records.name((*one, *origin))) for one in types]
    return Answer(answer=tuple(rrs), complete=complete)
