"""Consul's names in DNS, as the live names of the zone CONSUL_DOMAIN.

    [TAG.]NAME.service    A, AAAA, SRV    the instances that are in answers; a host name is a CNAME, alone or not
    _NAME._TAG.service    A, AAAA, SRV    the same (RFC 2782); the tag `tcp` is none
    NODE.node             A, AAAA, CNAME  a host
    HEX.addr              A, AAAA         the address that is written there; the target of SRV

Each with the data center behind it or not. README.md has what Consul says and we do not.
"""

from __future__ import annotations

import ipaddress
import struct
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from discovery.core.event import Commit, InstanceEvent
from discovery.core.health import Health
from discovery.core.instance import Instance
from discovery.core.name import fold, is_one_of
from discovery.core.network import ip_of
from discovery.dns.message.names import Name, from_text, to_text, to_wire
from discovery.dns.message.reason import Reason
from discovery.dns.message.values import NOT_READY, OTHER, RR, Answer, Cut, Explanation, Lifetime, Rank, Type
from discovery.dns.zones.records import address, address_type
from discovery.dns.zones.staleness import longest_ttl, staleness
from discovery.dns.zones.zone import LiveNames
from discovery.plugins.consul.directory import Directory, Peer
from discovery.plugins.consul.settings import ConsulSettings
from discovery.plugins.consul.views import weights
from discovery.store.absent import absent, why_none
from discovery.store.registry import Registry
from discovery.store.service import Entry, Service, served

SERVICE, NODE, ADDR = "service", "node", "addr"
# Octets over UDP, if the client takes so many; Consul's clients ask for them to get all instances of a service.
MAX_UDP = 4096
# Records of one answer, which take 5 ms: more hardly fit a message over TCP.
MAX_RECORDS = 700

# A record, its rank, and what goes beside it.
Made = tuple[RR, Rank, tuple[RR, ...]]

_NOT_LOADED = Explanation(NOT_READY, "not loaded yet: the registry is still being filled", Reason.NOT_LOADED)
_SRV = struct.Struct("!HHH")
# SRV's: Consul knows one priority. Suspects come last.
_PRIORITY, _SUSPECT_PRIORITY = 1, 2


class Asked(NamedTuple):
    """`kind`: SERVICE, NODE, ADDR. `name`: what stands before it, without a tag. `only_srv`: it is spelt as RFC 2782 has it."""

    kind: str
    name: str
    tag: str | None = None
    only_srv: bool = False


def asked_for(relative: Name, datacenter: str) -> Asked | bool:
    """What a name means; True: it exists, without records; False: it does not. `relative` is folded and has no origin."""
    try:
        labels = [label.decode("ascii") for label in relative]
    except UnicodeDecodeError:
        return False
    if labels[-1:] == [fold(datacenter)]:
        labels = labels[:-1]
    if len(labels) < 2:
        return not labels or labels[0] in (SERVICE, NODE, ADDR)
    *rest, kind = labels
    if kind == NODE:
        return Asked(NODE, ".".join(rest))
    if kind == ADDR:
        return len(rest) == 1 and Asked(ADDR, rest[0])
    if kind != SERVICE:
        return False
    if rest[0].startswith("_"):
        if len(rest) != 2 or not rest[1].startswith("_"):
            return (
                len(rest) == 1
            )  # `_web._tcp` may be below it, which resolvers that ask for one label more each time go by
        return Asked(SERVICE, rest[0][1:], None if rest[1] == "_tcp" else rest[1][1:], only_srv=True)
    *tag, name = rest
    return Asked(SERVICE, name, ".".join(tag) or None)


class Names(LiveNames):
    """`ttl`: the upper bound of an answer's TTL, seconds."""

    def __init__(self, registry: Registry, directory: Directory, settings: ConsulSettings, ttl: int) -> None:
        self.origin = from_text(settings.consul_domain)
        self._registry = registry
        self._directory = directory
        self._datacenter = settings.consul_datacenter
        self._target_origin = (fold(settings.consul_datacenter).encode("ascii"), *self.origin)
        self._compat = settings.consul_dns_compat
        self._cut = Cut(MAX_UDP, silent=not settings.consul_dns_tc)
        self._ttl = ttl
        self._addresses: Counter[str] = Counter()  # of how many instances

    def follow_commit(self, commit: Commit) -> None:
        for event in commit.events:
            if isinstance(event, InstanceEvent):
                for instance, by in ((event.before, -1), (event.after, 1)):
                    if instance is not None:
                        self._addresses[instance.spec.ip] += by
                        if not self._addresses[instance.spec.ip]:
                            del self._addresses[instance.spec.ip]

    # -- as LiveNames

    def lookup(self, relative: Name, qtype: int, now: float, locality: str | None = None) -> Answer | None:
        if not self._registry.loaded:
            return Answer.failed(_NOT_LOADED)
        asked = asked_for(relative, self._datacenter)
        if isinstance(asked, bool):
            return Answer.nodata() if asked else None
        owner = (*relative, *self.origin)
        if asked.kind == SERVICE:
            return self._service(asked, owner, qtype, now)
        found = self._node(asked.name) if asked.kind == NODE else self._addr(asked.name)
        return Answer.nxdomain() if found is None else self._host(owner, found, qtype)

    def surely_lacks(self, label: bytes) -> bool:
        return False

    def may_be_alias(self, relative: Name) -> bool:
        asked = asked_for(relative, self._datacenter)
        return isinstance(asked, Asked) and asked.kind == SERVICE

    def why_not(self, relative: Name, now: float) -> str:
        asked = asked_for(relative, self._datacenter)
        if isinstance(asked, bool):
            return f"Consul's names end in service, node or addr, with or without the data center {self._datacenter}"
        if asked.kind == NODE:
            return f"no host with an instance is called {asked.name}"
        if asked.kind == ADDR:
            return "nobody has that address"
        if (service := self._registry.services.get(asked.name)) is None:
            known = absent(self._registry, asked.name, now)
            return f"no service {asked.name}{f'; {known}' if known else ''}"
        return f"{service.name} is known, but none of its {len(service.entries)} instances has the tag {asked.tag}"

    # -- a service

    def _service(self, asked: Asked, owner: Name, qtype: int, now: float) -> Answer:
        service = self._registry.services.get(asked.name)
        meant = [] if service is None else self._meant(service, asked.tag)
        if service is None or not meant:
            return Answer.nxdomain()
        entries = served((entry for entry, _ in meant), now)
        which = f"{asked.tag}.{service.name}" if asked.tag else service.name
        if not entries:
            why = f"{which} is known, 0 of {len(meant)} healthy"
            explanation = Explanation(
                OTHER,
                lambda: why + why_none(self._registry, service, [entry for entry, _ in meant], now),
                Reason.NONE_HEALTHY,
            )
            return Answer.nxdomain(explanation) if self._compat else Answer.nodata(explanation)
        stale = staleness(self._registry, which, entries, now)
        leases = tuple(entry.effective_lease(now) if stale else entry.lease for entry in entries)
        lifetime = Lifetime(service.folded, leases, longest_ttl(self._ttl, stale), now)
        peers = {id(entry): peer for entry, peer in meant}
        chosen = sorted(((entry, peers[id(entry)]) for entry in entries), key=lambda one: _place(one[0], now))[
            :MAX_RECORDS
        ]
        made = self._made(chosen, asked, owner, qtype, lifetime.ttl, now)
        if not made:
            return Answer(explanation=_lacks(service.name, qtype), lifetime=lifetime)
        records, ranks, companions = zip(*made, strict=True)
        return Answer(
            answer=records, companions=companions, ranks=ranks, most=1 if records[0].type == Type.CNAME else None,
            lifetime=lifetime, explanation=stale, cut=self._cut,
        )  # fmt: skip

    def _meant(self, service: Service, tag: str | None) -> list[tuple[Entry, Peer]]:
        """Each instance with the first of its peers that has the tag."""
        found = []
        for entry in service.entries.values():
            for peer in self._directory.peers_of(entry.instance):
                if tag is None or is_one_of(tag, peer.said.get("Tags", entry.instance.spec.tags)):
                    found.append((entry, peer))
                    break
        return found

    def _made(
        self, chosen: Sequence[tuple[Entry, Peer]], asked: Asked, owner: Name, qtype: int, ttl: int, now: float
    ) -> list[Made]:
        made, seen = list[Made](), set[Name | str]()  # targets, or addresses
        if qtype == Type.SRV:
            for entry, peer in chosen:
                instance = entry.instance
                if instance.spec.port or self._compat:
                    target, beside = self._target(instance, peer, ttl)
                    beside = () if target in seen else beside
                    seen.add(target)
                    rank = _rank(entry, now)
                    data = _SRV.pack(*rank, instance.spec.port) + to_wire(target)
                    made.append((RR(owner, qtype, ttl, data), rank, beside))
            return made
        if all(entry.instance.spec.is_host_name for entry, _ in chosen):
            for entry, _ in chosen if not asked.only_srv else ():
                host = to_wire(from_text(entry.instance.spec.ip))
                made.append((RR(owner, Type.CNAME, ttl, host), _rank(entry, now), ()))
            return made
        for entry, _ in chosen:
            ip = entry.instance.spec.ip
            if not entry.instance.spec.is_host_name and address_type(ip) == qtype and ip not in seen:
                seen.add(ip)
                made.append((RR(owner, qtype, ttl, address(ip)), _rank(entry, now), ()))
        return made

    def _target(self, instance: Instance, peer: Peer, ttl: int) -> tuple[Name, tuple[RR, ...]]:
        """Of an SRV record, with its address: its host name, its node where it gave no address, else the address itself."""
        ip = instance.spec.ip
        if instance.spec.is_host_name:
            return from_text(ip), ()
        node = None
        if peer.said.get("Address") == "":
            node = _name(f"{self._directory.node_of(peer).name}.{NODE}.{to_text(self._target_origin)}")
        target = node or (address(ip).hex().encode(), ADDR.encode(), *self._target_origin)
        return target, (RR(target, address_type(ip), ttl, address(ip)),)

    # -- a node, an address

    def _node(self, name: str) -> str | None:
        place = self._directory.places.get(name)
        if place is not None:
            return place.node.address
        return self._directory.remembered(name).get("Address")

    def _addr(self, hexadecimal: str) -> str | None:
        try:
            octets = bytes.fromhex(hexadecimal)
            ip = str(ipaddress.ip_address(octets)) if len(octets) in (4, 16) else None
        except ValueError:
            return None
        return ip if self._compat or ip in self._addresses else None

    def _host(self, owner: Name, at: str, qtype: int) -> Answer:
        if ip_of(at) is None:
            host = _name(at)
            return Answer.nodata() if host is None else Answer.of([RR(owner, Type.CNAME, self._ttl, to_wire(host))])
        if address_type(at) != qtype:
            text = f"{to_text(owner)} has an address of the other family, or another type"
            return Answer.nodata(Explanation(OTHER, text))
        return Answer.of([RR(owner, qtype, self._ttl, address(at))])


def _name(text: str) -> Name | None:
    """None where it is none: nodes may be called anything."""
    try:
        return from_text(text)
    except ValueError:
        return None


def _rank(entry: Entry, now: float) -> Rank:
    shown = weights(entry.instance)
    weight = shown["Warning" if entry.instance.health is Health.WARNING else "Passing"]
    return (_SUSPECT_PRIORITY if entry.suspect(now) else _PRIORITY), weight


def _place(entry: Entry, now: float) -> tuple[int, bytes]:
    """In which order they are taken where not all fit: the same everywhere, and as before when others come or go."""
    spec = entry.instance.spec
    return entry.rank(now), blake2b(f"{spec.ip} {spec.port}".encode(), digest_size=8).digest()


def _lacks(name: str, qtype: int) -> Explanation:
    lacks = {Type.A: "no IPv4 instance", Type.AAAA: "no IPv6 instance", Type.SRV: "no instance with a port"}
    return Explanation(OTHER, f"{name} exists, {lacks.get(qtype, 'names of this form have only A, AAAA, SRV')}")
