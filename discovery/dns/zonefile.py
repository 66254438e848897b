"""Master files (RFC 1035 §5), read by dnspython, into StaticZones; and the zone made up where there is no file."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from pathlib import Path

import dns.exception
import dns.name
import dns.rdataset
import dns.zone

from discovery.core.errors import DiscoveryError
from discovery.dns import records
from discovery.dns.message import RR, Type
from discovery.dns.names import Name, from_wire, to_wire
from discovery.dns.static_zone import StaticZone

SUFFIX = ".zone"
# Of a made-up SOA, seconds: a secondary asks every minute, and gives a zone up after a week (RFC 1912 §2.2).
_REFRESH, _RETRY, _EXPIRE = 60, 10, 604800
_MADE_UP_TTL = 60


class ZoneFileError(DiscoveryError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"Zone file {path}: {reason}")
        self.path = path


def load(path: Path) -> StaticZone:
    """The zone in the file; its origin is the file's name without `.zone`. ZoneFileError names file and line."""
    try:
        zone = dns.zone.from_file(str(path), origin=path.name.removesuffix(SUFFIX), relativize=False)
    except (OSError, dns.exception.DNSException, ValueError) as error:
        raise ZoneFileError(path, str(error) or type(error).__name__) from None
    assert zone.origin is not None
    return StaticZone(
        _name(zone.origin), {_name(name): _rrsets(_name(name), node) for name, node in zone.nodes.items()}
    )


def load_all(folder: Path) -> list[StaticZone]:
    """Every `*.zone` in the folder; none when there is no such folder."""
    return [load(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]


def made_up(origin: Name, addresses: Iterable[str], negative_ttl: int) -> StaticZone:
    """An SOA and an NS for a zone without a file. `addresses` are those that this server answers at."""
    host = (b"ns", *origin)
    soa = records.soa(host, (b"hostmaster", *origin), 0, _REFRESH, _RETRY, _EXPIRE, negative_ttl)
    nodes: dict[Name, dict[int, tuple[RR, ...]]] = {
        origin: {
            Type.SOA: (RR(origin, Type.SOA, _MADE_UP_TTL, soa),),
            Type.NS: (RR(origin, Type.NS, _MADE_UP_TTL, to_wire(host)),),
        },
        host: {},
    }
    for ip in addresses:
        if not ipaddress.ip_address(ip).is_unspecified:
            rtype = records.address_type(ip)
            rr = RR(host, rtype, _MADE_UP_TTL, records.address(ip))
            nodes[host][rtype] = (*nodes[host].get(rtype, ()), rr)
    return StaticZone(origin, nodes)


def _name(name: dns.name.Name) -> Name:
    return from_wire(name.to_digestable())


def _rrsets(owner: Name, node: Iterable[dns.rdataset.Rdataset]) -> dict[int, tuple[RR, ...]]:
    return {
        int(rdataset.rdtype): tuple(
            RR(owner, int(rdataset.rdtype), rdataset.ttl, rdata.to_wire()) for rdata in rdataset
        )
        for rdataset in node
    }
