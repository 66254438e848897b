"""Reverse look-up: every healthy instance at a registered address, as PTR records in a stable order.

Each registered address is a zone of its own, cut at the full name (`4.3.2.1.in-addr.arpa`), so nothing is claimed for
addresses that nobody registered. Where a zone file covers the address, its records come first and these stand beside them.
The index of addresses follows the registry's commits.
"""

from __future__ import annotations

import ipaddress
import math
from itertools import islice

from discovery.core.event import Commit, InstanceEvent
from discovery.core.instance import Instance
from discovery.core.name import is_label
from discovery.dns.message.names import Name, to_wire
from discovery.dns.message.query import Request
from discovery.dns.message.reason import Reason
from discovery.dns.message.values import OTHER, RR, Answer, Class, Explanation, Type
from discovery.dns.zones import records
from discovery.dns.zones.selector import instance_label
from discovery.dns.zones.staleness import longest_ttl, staleness
from discovery.dns.zones.zone import LiveNames
from discovery.store.registry import Registry
from discovery.store.service import Entry, served

# PTR records of one address, which take 5 ms. An address with more instances is a proxy, about which reverse look-ups say little.
MAX_POINTERS = 700
# Instances of one address that are searched for those that are served, which takes 3 ms.
MAX_LOOKED_AT = 20_000

_V4, _V6 = (b"in-addr", b"arpa"), (b"ip6", b"arpa")


class ReverseNames:
    """`origin`: the zone in which the instances' names are given. `ttl`: upper bound, seconds."""

    def __init__(self, registry: Registry, origin: Name, ttl: int, negative_ttl: int) -> None:
        self._registry = registry
        self._origin = origin
        self.ttl = ttl
        self._negative_ttl = negative_ttl
        # ip → id of its instance, or ids when it has several: nearly all have one, and a set takes 216 octets.
        self._ids: dict[str, str | set[str]] = {}

    def follow_commit(self, commit: Commit) -> None:
        for event in commit.events:
            if not isinstance(event, InstanceEvent):
                continue
            if event.before is None and event.after is not None and _has_reverse_name(event.after):
                self._add(event.after.spec.ip, event.after.id)
            elif event.after is None and event.before is not None:
                self._remove(event.before.spec.ip, event.before.id)

    def _add(self, ip: str, id: str) -> None:
        ids = self._ids.setdefault(ip, id)
        if isinstance(ids, set):
            ids.add(id)
        elif ids != id:
            self._ids[ip] = {ids, id}

    def _remove(self, ip: str, id: str) -> None:
        ids = self._ids.get(ip)
        if isinstance(ids, set):
            ids.discard(id)
        if not ids or ids == id:
            self._ids.pop(ip, None)

    def lookup(self, request: Request, now: float) -> Answer | None:
        """For a full reverse name of a registered address; None for everything else."""
        question = request.question
        if question.klass != Class.IN:
            return None
        answer = self.answer(question.name, question.type, now)
        return answer._replace(authority=(self._soa(question.name),)) if answer and answer.negative else answer

    def answer(self, name: Name, qtype: int, now: float) -> Answer | None:
        """The same without an SOA in negatives."""
        ip = address_of(name)
        ids = self._ids.get(ip) if ip else None
        if not ids:
            return None
        if qtype == Type.SOA:
            return Answer.of([self._soa(name)])
        known = map(self._registry.at, ids if isinstance(ids, set) else (ids,))
        entries = served(islice(known, MAX_LOOKED_AT), now)[:MAX_POINTERS]
        if not entries:
            return Answer.nodata(
                Explanation(OTHER, f"{ip} is registered, and none of its instances is healthy", Reason.NONE_HEALTHY)
            )
        if qtype != Type.PTR:
            return Answer.nodata()
        complete = isinstance(ids, str) or len(ids) <= MAX_POINTERS
        return self._pointers(name, entries, now)._replace(complete=complete)

    def _pointers(self, owner: Name, entries: list[Entry], now: float) -> Answer:
        stale = staleness(self._registry, "this address", entries, now)
        left = math.floor(min(entry.effective_lease(now).left(now) for entry in entries))
        ttl = max(0, min(longest_ttl(self.ttl, stale), left))
        ordered = sorted(entries, key=lambda entry: (entry.rank(now), entry.instance.spec.key))
        answer = Answer.of(RR(owner, Type.PTR, ttl, to_wire(self.host(entry.instance))) for entry in ordered)
        return answer._replace(explanation=stale)

    def host(self, instance: Instance) -> Name:
        """The name that is told of it."""
        key = instance.spec.key
        return (instance_label(key.ip, key.port), key.service.encode("ascii"), *self._origin)

    def _soa(self, name: Name) -> RR:
        ttl = self._negative_ttl
        mname, rname = (b"ns", *self._origin), (b"hostmaster", *self._origin)
        return RR(name, Type.SOA, ttl, records.soa(mname, rname, self._registry.index, ttl))


class ReverseZoneNames(LiveNames):
    """The same names as the live names of a zone file's zone below `arpa`."""

    def __init__(self, origin: Name, reverse: ReverseNames) -> None:
        self._origin = origin
        self.reverse = reverse
        self.ttl = reverse.ttl

    def lookup(self, relative: Name, qtype: int, now: float, locality: str | None = None) -> Answer | None:
        return self.reverse.answer((*relative, *self._origin), qtype, now)

    def surely_lacks(self, label: bytes) -> bool:
        return False


def _has_reverse_name(instance: Instance) -> bool:
    """A name of its own is what a PTR record tells."""
    spec = instance.spec
    return not spec.is_host_name and is_label(spec.name)


def address_of(name: Name) -> str | None:
    """The canonical text of the address that a full reverse name spells (RFC 1035 §3.5, RFC 3596 §2.5)."""
    labels = [label.decode("ascii", "replace") for label in reversed(name[:-2])]
    try:
        if name[-2:] == _V4 and len(labels) == 4:
            return str(ipaddress.IPv4Address(".".join(labels)))
        if name[-2:] == _V6 and len(labels) == 32 and all(len(label) == 1 for label in labels):
            return str(ipaddress.IPv6Address(bytes.fromhex("".join(labels))))
    except ValueError:
        pass
    return None
