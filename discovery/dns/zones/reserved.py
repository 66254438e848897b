"""The names that no service may take, because they have other records or another meaning in a zone with services: the SRV records of a
service of that name would point to names that do not exist. And the host names that no instance may have, because they are aliases, may
become some, or have no address.
"""

from __future__ import annotations

from collections.abc import Iterable

from discovery.dns.message.names import Name, from_wire, to_text
from discovery.dns.message.values import Type
from discovery.dns.zones import browse, spellings
from discovery.dns.zones.static_zone import StaticZone
from discovery.dns.zones.zone import Zone

_FIXED = "has fixed records: a zone file's, or those of the zone's name server"
_BROWSING = f"is taken by DNS-SD browsing ({to_text(browse.ROOT)})"
_CONSUL = "is taken by Consul's spelling of names in the zone {}"


def reserved(live: Iterable[StaticZone], origins: Iterable[Name]) -> dict[str, str]:
    """Folded name → why, as the rest of a sentence. `live`: the fixed records of the zones with services; `origins`: of all zones."""
    why: dict[str, str] = {}
    origins = tuple(origins)
    for zone in live:
        why |= dict.fromkeys(map(_text, zone.labels), _FIXED)  # perhaps a hundred thousand
        why[_BROWSED] = _BROWSING
        if spellings.is_consul(zone.origin):
            why |= dict.fromkeys(_CONSULS, _CONSUL.format(to_text(zone.origin)))
        for origin in origins:
            if origin[1:] == zone.origin:
                why[_text(origin[0])] = f"is the label of the zone {to_text(origin)}"
    return why


def why_no_host(zone: Zone, name: Name) -> str | None:
    """Why no instance may have the host name, which is in `zone`, as the rest of a sentence about the field; None: it may.

    So an alias for it leads to addresses, or out of our zones, and never back to itself; and no SRV record has an alias as its target
    (RFC 2782). One that has no records at all yet may get some.
    """
    fixed = zone.fixed.exact(name, Type.A)
    if fixed is None and zone.live.may_be_alias(name[: len(name) - len(zone.origin)]):
        return (
            f"must not be {to_text(name)}: names of services in the zone {to_text(zone.origin)} may become aliases; take an address, or a "
            "name that means one instance alone"
        )
    if fixed is not None and fixed.negative and not zone.fixed.addresses(name):
        return f"must not be {to_text(name)}: it has no address in the zone {to_text(zone.origin)}; take a name that has one"
    found = (fixed or zone.fixed.otherwise(name, Type.A, len(zone.origin))).answer
    if not found or found[-1].type != Type.CNAME:
        return None
    target = to_text(from_wire(found[-1].rdata))
    return f"must not be {to_text(name)}: that is an alias in the zone {to_text(zone.origin)}; take {target}, for which it stands"


def _text(label: bytes) -> str:
    return label.decode("ascii", "replace")


_BROWSED = _text(browse.ROOT[0][1:])
_CONSULS = list(map(_text, spellings.CONSUL_BRANCHES))
