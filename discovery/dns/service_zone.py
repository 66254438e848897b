"""The live names of a zone: services and their instances, read from the registry at the moment of the question.

A name is turned into a selector, the selector into the instances it means, those that are healthy at `now` into records.
The TTL is never longer than what is left of the shortest lease in the answer, so no cache keeps a dead instance.
"""

from __future__ import annotations

import math
from random import Random

from discovery.dns import records
from discovery.dns.message import NOT_READY, OTHER, RR, Answer, Explanation, Type
from discovery.dns.names import Name
from discovery.dns.selector import Selector, instance_label, select, service_below
from discovery.dns.shuffle import shuffled
from discovery.store.registry import Registry
from discovery.store.service import Entry, Service

_NOT_LOADED = Explanation(NOT_READY, "not loaded yet: the registry is still being filled, ask again in a moment")


class ServiceZone:
    """`ttl`: the upper bound of a live answer's TTL, seconds. `random` orders the answers."""

    def __init__(self, origin: Name, registry: Registry, ttl: int, random: Random) -> None:
        self._origin = origin
        self._registry = registry
        self._ttl = ttl
        self._random = random

    def lookup(self, relative: Name, qtype: int, now: float) -> Answer | None:
        """None when the name belongs to no service, so that fixed records may have it. `relative` has no origin."""
        if not self._registry.loaded:
            return Answer.failed(_NOT_LOADED)
        selector = select(relative)
        if selector is None:
            below = service_below(relative)
            return Answer.nxdomain() if below and self._registry.service(below) else None
        if selector.service is None:
            return Answer.nodata()
        service = self._registry.service(selector.service)
        if service is None:
            return None
        return self._answer(relative, selector, service, qtype, now)

    def _answer(self, relative: Name, selector: Selector, service: Service, qtype: int, now: float) -> Answer:
        if selector.match is None:
            return Answer.nodata()
        meant = [entry for entry in service.entries.values() if selector.match(entry.instance) is not None]
        if not meant:
            return Answer.nxdomain()
        healthy = [entry for entry in meant if entry.lease.alive(now)]
        if not healthy:
            return Answer.nodata(_none_healthy(service.name, meant, now))
        live = _Live(self._origin, relative, selector, service, shuffled(healthy, self._random))
        answer = live.answer(qtype, self._ttl_of(healthy, now))
        return answer or Answer.nodata(_no_such_type(service.name, qtype))

    def _ttl_of(self, entries: list[Entry], now: float) -> int:
        """Whole seconds, rounded down: never past the end of the shortest lease."""
        return max(0, min(self._ttl, math.floor(min(entry.lease.left(now) for entry in entries))))


class _Live:
    """The healthy instances that a name means, in the order of this reply, and the records they give."""

    def __init__(
        self, origin: Name, relative: Name, selector: Selector, service: Service, entries: list[Entry]
    ) -> None:
        self._owner = (*relative, *origin)
        self._below = (service.key, *origin)
        self._selector = selector
        self._entries = entries

    def answer(self, qtype: int, ttl: int) -> Answer | None:
        """None when these instances have nothing of that type."""
        if qtype == Type.SRV:
            return self._srv(ttl)
        if self._selector.srv_only:
            return None
        if qtype in (Type.A, Type.AAAA):
            return self._addresses(qtype, ttl)
        return self._txt(ttl) if qtype == Type.TXT else None

    def _addresses(self, qtype: int, ttl: int) -> Answer | None:
        ips = dict.fromkeys(entry.instance.spec.ip for entry in self._entries)  # each once, in order
        rrs = [RR(self._owner, qtype, ttl, records.address(ip)) for ip in ips if records.address_type(ip) == qtype]
        return Answer.of(rrs) if rrs else None

    def _srv(self, ttl: int) -> Answer:
        pairs = [self._srv_and_address(entry, ttl) for entry in self._entries]
        return Answer.of((rr for rr, _ in pairs), (companions for _, companions in pairs))

    def _srv_and_address(self, entry: Entry, ttl: int) -> tuple[RR, tuple[RR, ...]]:
        spec = entry.instance.spec
        target = (instance_label(spec.ip, spec.port), *self._below)
        rdata = records.srv(spec.priority, spec.weight, self._port(entry), target)
        address = RR(target, records.address_type(spec.ip), ttl, records.address(spec.ip))
        return RR(self._owner, Type.SRV, ttl, rdata), (address,)

    def _txt(self, ttl: int) -> Answer:
        texts = dict.fromkeys(records.txt(entry.instance) for entry in self._entries)
        return Answer.of(RR(self._owner, Type.TXT, ttl, text) for text in texts)

    def _port(self, entry: Entry) -> int:
        match = self._selector.match
        assert match is not None
        port = match(entry.instance)
        assert port is not None
        return port


def _none_healthy(name: str, entries: list[Entry], now: float) -> Explanation:
    silent = min(now - entry.lease.renewed_at for entry in entries)
    return Explanation(OTHER, f"{name} is known, 0 of {len(entries)} healthy, last heartbeat {silent:.0f} s ago")


def _no_such_type(name: str, qtype: int) -> Explanation | None:
    if qtype in (Type.A, Type.AAAA):
        return Explanation(OTHER, f"{name} exists, no {'IPv6' if qtype == Type.AAAA else 'IPv4'} instance")
    return None
