"""The fixed records of one zone, as a value: built whole from a zone file (or made up) and replaced whole, never edited.

Look-up follows RFC 1034 §4.3.2, in two halves with room for live names between them: `exact` (delegations, DNAMEs and names
that have records) before them, `otherwise` (empty non-terminals, wildcards by RFC 4592, NXDOMAIN) after them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from functools import cached_property
from hashlib import blake2b

from discovery.dns.message.names import MAX_NAME, Name, from_wire, to_wire
from discovery.dns.message.values import RR, Answer, Rcode, Type
from discovery.dns.zones import records

RRsets = Mapping[int, tuple[RR, ...]]


class StaticZone:
    """`nodes`: absolute lower-case owner names to their RRsets by type; the origin has an SOA and an NS RRset.

    `labels`: those right below the origin that have records of their own. `present`: those at or below which there are records; None
    when a wildcard stands in for any.
    """

    def __init__(self, origin: Name, nodes: Mapping[Name, RRsets]) -> None:
        self.origin = origin
        self._nodes = nodes
        self._branches = frozenset(_branches(origin, nodes))
        self._cuts = frozenset(name for name, rrsets in nodes.items() if name != origin and Type.NS in rrsets)
        self._dnames = frozenset(name for name, rrsets in nodes.items() if Type.DNAME in rrsets)
        depth = len(origin) + 1
        self.labels = frozenset(name[0] for name in nodes if len(name) == depth)
        present = self.labels.union(name[0] for name in self._branches if len(name) == depth)
        wildcard = (b"*", *origin)
        has_wildcard = wildcard in nodes or wildcard in self._branches or origin in self._dnames
        self.present = None if has_wildcard else present

    @property
    def soa(self) -> RR:
        return self._nodes[self.origin][Type.SOA][0]

    @property
    def records(self) -> Iterable[RR]:
        """All of them, those below delegations too; the SOA as the file has it."""
        return (rr for rrsets in self._nodes.values() for rrset in rrsets.values() for rr in rrset)

    @cached_property
    def digest(self) -> str:
        """`SERIAL DIGEST`: the serial of the file, and 16 hex digits, the same for the same records in any order. 1.5 µs a record."""
        found = 0
        for rr in self.records:
            octets = to_wire(rr.name) + struct.pack("!HI", rr.type, rr.ttl) + rr.rdata
            found += int.from_bytes(blake2b(octets, digest_size=8).digest())
        return f"{records.soa_serial(self.soa.rdata)} {found & 0xFFFFFFFFFFFFFFFF:016x}"

    def exact(self, name: Name, qtype: int) -> Answer | None:
        """A referral, or what the file has at exactly this name; None when it has no records there."""
        cut = self._highest(self._cuts, name) if self._cuts else None
        if cut is not None and not (cut == name and qtype == Type.DS):
            return self._referral(cut)
        dname = self._highest(self._dnames, name) if self._dnames else None
        if dname is not None and dname != name:
            return self._redirected(dname, name)
        rrsets = self._nodes.get(name)
        return None if rrsets is None else self._from(rrsets, name, qtype)

    def otherwise(self, name: Name, qtype: int, depth: int) -> Answer:
        """For a name without records: NODATA on a branch, else a wildcard's answer, else NXDOMAIN.

        `depth`: labels of the longest name, at or above this one, that is known to exist for other reasons.
        """
        if name in self._branches or depth == len(name):
            return Answer.nodata()
        wildcard = (b"*", *self._closest_encloser(name, depth))
        if wildcard in self._branches and wildcard not in self._nodes:
            return Answer.nodata()  # `*.*.NAME` has made `*.NAME` exist (RFC 4592 §4.3)
        rrsets = self._nodes.get(wildcard)
        return Answer.nxdomain() if rrsets is None else self._from(rrsets, name, qtype)

    def addresses(self, name: Name) -> tuple[RR, ...]:
        """A and AAAA at exactly this name."""
        rrsets = self._nodes.get(name, {})
        return (*rrsets.get(Type.A, ()), *rrsets.get(Type.AAAA, ()))

    def alias(self, name: Name) -> Name | None:
        """The target of the CNAME at exactly this name."""
        rrs = self._nodes.get(name, {}).get(Type.CNAME, ())
        return from_wire(rrs[0].rdata) if rrs else None

    def _from(self, rrsets: RRsets, owner: Name, qtype: int) -> Answer:
        rrset = rrsets.get(qtype) or rrsets.get(Type.CNAME)
        if not rrset:
            return Answer.nodata()
        rrs = [rr._replace(name=owner) for rr in rrset]
        return Answer.of(rrs, [self._companions(rr) for rr in rrs])

    def _companions(self, rr: RR) -> tuple[RR, ...]:
        target = records.target(rr.type, rr.rdata)
        return () if target is None else self.addresses(target)

    def _referral(self, cut: Name) -> Answer:
        servers = self._nodes[cut][Type.NS]
        glue = [address for rr in servers for address in self._companions(rr)]
        return Answer.referral(servers, glue)

    def _redirected(self, dname: Name, name: Name) -> Answer:
        """RFC 6672 §3.2: the DNAME and the CNAME it means for this name; YXDOMAIN when that gets too long."""
        rr = self._nodes[dname][Type.DNAME][0]
        target = (*name[: -len(dname)], *from_wire(rr.rdata))
        if len(to_wire(target)) > MAX_NAME:
            return Answer(rcode=Rcode.YXDOMAIN, answer=(rr,))
        return Answer.of([rr, RR(name, Type.CNAME, rr.ttl, to_wire(target))])

    def _highest(self, names: frozenset[Name], name: Name) -> Name | None:
        """The one of `names` at or above the name that is nearest to the origin."""
        for length in range(len(self.origin), len(name) + 1):
            if (above := name[len(name) - length :]) in names:
                return above
        return None

    def _closest_encloser(self, name: Name, depth: int) -> Name:
        """RFC 4592 §3.3.1: the longest existing ancestor."""
        for start in range(1, len(name) - depth):
            if name[start:] in self._nodes or name[start:] in self._branches:
                return name[start:]
        return name[len(name) - depth :]


def _branches(origin: Name, names: Iterable[Name]) -> Iterable[Name]:
    """Empty non-terminals and other ancestors of the names."""
    for name in names:
        for start in range(1, len(name) - len(origin)):
            yield name[start:]
