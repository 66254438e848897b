"""The records of a zone, one after the other: its fixed ones, and what the live names say in a snapshot of the services.

A name that is here is here whole: it says the same for every type as it does to a question. README.md has which names those are.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from random import Random

from discovery.core.draw import draw
from discovery.core.instance import Instance
from discovery.core.status import Status
from discovery.dns.message.names import MAX_LABEL, Name, from_text, to_wire
from discovery.dns.message.values import RR, Type
from discovery.dns.zones import browse
from discovery.dns.zones.live import ALIAS, OF_FORM, Live, LiveType, Made, aliased
from discovery.dns.zones.offered import Offered
from discovery.dns.zones.reverse import ReverseNames, ReverseZoneNames
from discovery.dns.zones.selector import Form, instance_label, is_browsed, select
from discovery.dns.zones.service_zone import ServiceZone
from discovery.dns.zones.spellings import is_consul, ours
from discovery.dns.zones.zone import Zone
from discovery.store.service import Service

# Octets of the records of one name and type. More do not fit one message, so that no server could answer with them.
MAX_RRSET = 60_000
# Octets of a record without its data, when its owner is compressed (RFC 1035 §4.1.4).
_FIXED = 12
# Instances of which records are made at once: a fraction of a millisecond, or 2 ms where each has 16 KiB of metadata.
_AT_ONCE = 8

# No record: the reader may let others work here.
Pause = None


def contents(zone: Zone, others: Iterable[Name], taken: Collection[Offered], serial: int) -> Iterator[RR | None]:
    """All records but the SOA. `others`: the origins of the other zones here, which answer for what is below theirs. `serial`: of the
    moment; it draws the alias of a name that has several, so that all secondaries of this serial have the same.
    """
    yield from (rr for rr in zone.fixed.records if rr.type != Type.SOA or rr.name != zone.origin)
    size = len(zone.origin)
    below = [other for other in others if len(other) > size and other[-size:] == zone.origin]
    for rr in _live(zone, taken, serial):
        if rr is None or not any(rr.name[-len(other) :] == other for other in below):
            yield rr


def _live(zone: Zone, taken: Collection[Offered], serial: int) -> Iterator[RR | None]:
    if isinstance(zone.live, ServiceZone):
        yield from _browsing(zone, zone.live.ttl, taken)
        for one in taken:
            yield from _service(zone, one, serial)
    elif isinstance(zone.live, ReverseZoneNames):
        yield from _pointers(zone, zone.live.reverse, taken)


def _service(zone: Zone, one: Offered, serial: int) -> Iterator[RR | None]:
    if ours((one.service,), is_consul(zone.origin), lambda key: True) is None:  # Consul's spelling has taken its name
        return
    for relative, chosen in _names(one):
        owner = (*relative, *zone.origin)
        selector = select(relative)
        if selector is None or zone.fixed.exact(owner, Type.A) is not None:
            continue
        alias = _aliased(selector.form, one, chosen)
        for kind in (ALIAS,) if alias else OF_FORM[selector.form].values():
            may_have = alias or [index for index in chosen if kind.candidate(one.instances[index])]
            if not may_have:
                continue
            ttl = min(one.ttls[index] for index in may_have)
            instances = [one.instances[index] for index in may_have]
            view = Live(
                selector.form, zone.origin, owner, Service(one.service.decode()), instances, selector.match, ttl
            )
            if alias:
                yield _drawn(ALIAS.make(view, ALIAS.type), serial)
            else:
                yield from _rrset(view, kind)


def _aliased(form: Form, one: Offered, chosen: Sequence[int]) -> list[int]:
    """As `live.aliased`, of those that are chosen."""
    if not one.instances[chosen[0]].spec.is_host_name:
        return []
    preferred = [index for index in chosen if one.instances[index].status is not Status.SUSPECT] or chosen
    return [preferred[index] for index in aliased(form, [one.instances[index] for index in preferred])]


def _drawn(made: Made, serial: int) -> RR:
    """The order of instances is each node's own."""
    ordered = sorted(zip(made.answer, made.ranks, strict=True))
    return ordered[draw([rank for _, rank in ordered], Random(serial))[0]][0]


def _rrset(view: Live, kind: LiveType) -> Iterator[RR | None]:
    """The records of one name and type, at most MAX_RRSET octets."""
    seen: set[bytes] = set()
    room = MAX_RRSET
    for start in range(0, len(view.instances), _AT_ONCE):
        yield Pause
        part = view._replace(instances=view.instances[start : start + _AT_ONCE])
        for rr in kind.make(part, kind.type).answer:
            if rr.rdata not in seen:
                seen.add(rr.rdata)
                room -= _FIXED + len(rr.rdata)
                if room < 0:
                    return
                yield rr


def _names(one: Offered) -> Iterator[tuple[Name, Sequence[int]]]:
    """The names of a service, without the origin, and the indices of the instances that each means."""
    service = one.service
    yield (service,), range(len(one.instances))
    protocols: defaultdict[bytes, list[int]] = defaultdict(list)
    ports: defaultdict[tuple[bytes, bytes], list[int]] = defaultdict(list)
    browsed = b"_" + service
    for index, instance in enumerate(one.instances):
        spec = instance.spec
        label = b"" if spec.is_host_name else instance_label(spec.ip, spec.port)
        if label:
            yield (label, service), (index,)
        for protocol in (b"_" + each.encode("ascii") for each in spec.protocols):
            if len(browsed) <= MAX_LABEL:
                protocols[protocol].append(index)
                if is_browsed(instance):
                    yield (label, browsed, protocol), (index,)
            for name, _ in spec.ports:
                if len(name) < MAX_LABEL:
                    ports[b"_" + name.encode("ascii"), protocol].append(index)
    for protocol, indices in protocols.items():
        yield (browsed, protocol), indices
    for (port, protocol), indices in ports.items():
        yield (port, protocol, service), indices


def _browsing(zone: Zone, ttl: int, taken: Collection[Offered]) -> Iterator[RR | None]:
    """What DNS-SD asks first (RFC 6763 §9, §11): the first types as `browse` has them, and the domains."""
    types: list[Name] = []
    shortest = ttl
    for one in taken:
        yield Pause
        if len(types) >= browse.MAX_TYPES:
            break
        if len(one.service) < MAX_LABEL:
            found = browse.by_protocol(one.instances, one.ttls.__getitem__, ttl)
            shortest = min([shortest, *found.values()])
            types += ((b"_" + one.service, protocol) for protocol in found)
    pointers = [(relative, ttl, ()) for relative in browse.DOMAINS] + [(browse.TYPES, shortest, name) for name in types]
    for relative, seconds, target in pointers:
        owner = (*relative, *zone.origin)
        if zone.fixed.exact(owner, Type.PTR) is None:
            yield RR(owner, Type.PTR, seconds, to_wire((*target, *zone.origin)))


def _pointers(zone: Zone, reverse: ReverseNames, taken: Collection[Offered]) -> Iterator[RR | None]:
    """PTR records of the reverse names in a zone below arpa that has a file."""
    found: defaultdict[Name, list[tuple[int, Instance]]] = defaultdict(list)
    for one in taken:
        for instance, ttl in zip(one.instances, one.ttls, strict=True):
            yield Pause
            if instance.spec.is_host_name:
                continue
            owner = from_text(ipaddress.ip_address(instance.spec.ip).reverse_pointer)
            if owner[-len(zone.origin) :] == zone.origin:
                found[owner].append((ttl, instance))
    for owner, here in found.items():
        if zone.fixed.exact(owner, Type.PTR) is not None:
            continue
        ttl = min(ttl for ttl, _ in here)
        room = MAX_RRSET
        for _, instance in here:
            rr = RR(owner, Type.PTR, ttl, to_wire(reverse.host(instance)))
            room -= _FIXED + len(rr.rdata)
            if room < 0:
                break
            yield rr
