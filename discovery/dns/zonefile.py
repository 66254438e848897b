"""Master files (RFC 1035 §5), read by dnspython, into StaticZones; and the zone made up where there is no file."""

from __future__ import annotations

import ipaddress
import re
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
_MADE_UP_TTL = 60


class ZoneFileError(DiscoveryError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"Zone file {path}: {reason}")
        self.path = path


def load(path: Path) -> StaticZone:
    """The zone in the file; its origin is the file's name without `.zone`. ZoneFileError names file and line."""
    try:
        text = _with_includes(path, path.read_text(encoding="utf-8"))
        origin = path.name.removesuffix(SUFFIX)
        zone = dns.zone.from_text(text, origin, relativize=False, filename=str(path), allow_include=True)
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
    soa = records.soa(host, (b"hostmaster", *origin), 0, negative_ttl)
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


# RFC 1035 §5.1: `$INCLUDE file [origin]`.
_INCLUDE = re.compile(r"^(\s*\$INCLUDE\s+)(\S+)", re.IGNORECASE | re.MULTILINE)


def _with_includes(path: Path, text: str) -> str:
    """The text with included files named in full, relative to the zone file; outside its folder they are refused."""
    folder = path.parent.resolve()

    def in_full(match: re.Match[str]) -> str:
        line = text.count("\n", 0, match.end()) + 1
        included = (folder / match[2].strip('"')).resolve()
        if not included.is_relative_to(folder):
            raise ZoneFileError(
                path, f"line {line}: $INCLUDE {match[2]} lies outside {path.parent}, which is not allowed"
            )
        if not included.is_file():
            raise ZoneFileError(path, f"line {line}: $INCLUDE {match[2]}: there is no such file")
        if _INCLUDE.search(included.read_text(encoding="utf-8")):
            raise ZoneFileError(
                path, f"line {line}: {match[2]} has an $INCLUDE of its own, one level is all that is read"
            )
        return f'{match[1]}"{included}"'

    return _INCLUDE.sub(in_full, text)


def _name(name: dns.name.Name) -> Name:
    return from_wire(name.to_digestable())


def _rrsets(owner: Name, node: Iterable[dns.rdataset.Rdataset]) -> dict[int, tuple[RR, ...]]:
    return {
        int(rdataset.rdtype): tuple(
            RR(owner, int(rdataset.rdtype), rdataset.ttl, rdata.to_wire()) for rdata in rdataset
        )
        for rdataset in node
    }
