"""DNS-SD's way in (RFC 6763): which types of service there are (§9), and which domains to browse (§11).

`_services._dns-sd._udp` lists `_SERVICE._tcp` for every service that has an answer; `b`, `db` and `lb` below `_dns-sd._udp`
name the zone itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from discovery.core.instance import Instance
from discovery.dns.message.names import MAX_LABEL, Name, to_wire
from discovery.dns.message.values import RR, Answer, Type
from discovery.dns.zones.selector import is_browsed
from discovery.dns.zones.staleness import ttl_about
from discovery.store.service import Service

ROOT = (b"_dns-sd", b"_udp")
TYPES: Name = (b"_services", *ROOT)
DOMAINS: tuple[Name, ...] = tuple((label, *ROOT) for label in (b"b", b"db", b"lb"))
# The bounds of one list, which takes 5 ms then: types, and instances that are looked at. HTTP lists more.
MAX_TYPES = 500
MAX_LOOKED_AT = 10_000


def lookup(
    origin: Name, relative: Name, qtype: int, services: Iterable[Service], max_ttl: int, now: float
) -> Answer | None:
    """None when the name is not one of DNS-SD's. `max_ttl`, seconds, is the upper bound."""
    if relative == ROOT:
        return Answer.nodata()
    if relative[1:] != ROOT:
        return None
    if relative in DOMAINS:
        rr = RR((*relative, *origin), Type.PTR, max_ttl, to_wire(origin))
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
        if not service.key:
            continue
        looked_at += len(service.entries)
        found = _of_service(service, max_ttl, now)
        if len(service.key) < MAX_LABEL:  # with the `_` in front a longer one is no label
            types += ((b"_" + service.key, protocol) for protocol in found)
            ttl = min([ttl, *found.values()])
    return _pointers(origin, relative, types, ttl, complete=True)


def _of_service(service: Service, max_ttl: int, now: float) -> dict[bytes, int]:
    entries = service.served(now)
    instances = [entry.instance for entry in entries]
    return by_protocol(instances, lambda index: ttl_about(entries[index], max_ttl, now), max_ttl)


def by_protocol(instances: Iterable[Instance], ttl_at: Callable[[int], int], max_ttl: int) -> dict[bytes, int]:
    """From the instances of a service, and the TTL of an answer about each: the labels of the protocols of those that are browsed, and
    for how many seconds each type may be told, which is as long as its last instance is there.
    """
    found: dict[str, int] = {}
    for index, instance in enumerate(instances):
        for protocol in instance.spec.protocols:
            # Nearly always the first has the most already.
            if found.get(protocol, -1) < max_ttl and is_browsed(instance):
                found[protocol] = max(found.get(protocol, 0), ttl_at(index))
    return {b"_" + protocol.encode("ascii"): found[protocol] for protocol in sorted(found)}


def _pointers(origin: Name, relative: Name, types: list[Name], ttl: int, complete: bool) -> Answer:
    owner = (*relative, *origin)
    rrs = [RR(owner, Type.PTR, ttl, to_wire((*one, *origin))) for one in types]
    return Answer(answer=tuple(rrs), complete=complete)
