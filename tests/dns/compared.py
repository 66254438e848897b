"""Two replies to one query, the second by way of a kept template: what has to be equal, as dnspython reads them.

Order is drawn anew each time, so sections are compared as sets. What is cut differs from draw to draw: then the second
must be as honest as the first, part of all that is true, as many where a number was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

from discovery.dns.message.names import to_text
from discovery.dns.message.values import RR
from tests.dns.world import parsed


class Said(NamedTuple):
    """A record without its TTL."""

    name: str
    type: int
    rdata: bytes


def said(section: Iterable[dns.rrset.RRset]) -> dict[Said, int]:
    """TTLs by record; none twice."""
    found: dict[Said, int] = {}
    for rrset in section:
        for rdata in rrset:
            key = Said(rrset.name.to_text(True).lower() or ".", int(rrset.rdtype), rdata.to_wire() or b"")
            assert key not in found, f"{key} is there twice"
            found[key] = rrset.ttl
    return found


def of(rrs: Iterable[RR]) -> set[Said]:
    return {Said(to_text(rr.name), int(rr.type), rr.rdata) for rr in rrs}


def assert_same(first: bytes | None, second: bytes | None, universe: set[Said], ttls_equal: bool) -> None:
    """`universe`: all that the answer could have. `ttls_equal` False: the second's may be shorter, never longer."""
    if first is None or second is None:
        assert first is second is None
        return
    one, two = parsed(first), parsed(second)
    assert first[:4] == second[:4], "id, opcode, flags and rcode"
    assert first[4:6] == second[4:6]
    assert one.question == two.question
    assert _question(first) == _question(second), "as the client spelt it"
    assert (one.edns, one.ednsflags, one.payload) == (two.edns, two.ednsflags, two.payload)
    assert one.options == two.options
    assert said(one.authority) == said(two.authority)
    cut = bool(two.flags & dns.flags.TC)
    assert len(one.answer) == len(two.answer) or cut
    lacking = lacks_addresses(two)
    if len(one.answer) < len(universe):
        assert set(said(two.answer)) <= universe
    else:
        assert set(said(one.answer)) == set(said(two.answer))
        assert lacking == lacks_addresses(one)
        assert lacking or set(said(one.additional)) == set(said(two.additional)) or cut
    ttls = {
        record.type: ttl for record, ttl in (said(one.answer) | said(one.additional)).items()
    }  # of one type all alike
    for record, ttl in (said(two.answer) | said(two.additional)).items():
        expected = ttls.get(record.type, ttl)
        assert ttl <= expected, f"{record} would outlive its lease"
        assert ttl == expected or not ttls_equal, f"{record} has another TTL"


def lacks_addresses(reply: dns.message.Message) -> bool:
    """Whether there was no room for the addresses of all SRV targets; nothing else is beside them."""
    targets = {
        rdata.target.to_text(True).lower() for rr in reply.answer if rr.rdtype == dns.rdatatype.SRV for rdata in rr
    }
    owners = {rr.name.to_text(True).lower() for rr in reply.additional}
    assert not targets or owners <= targets
    return owners < targets


def _question(reply: bytes) -> bytes:
    message = dns.message.from_wire(reply)
    size = len(message.question[0].name.to_wire() or b"") + 4 if message.question else 0
    return reply[12 : 12 + size]
