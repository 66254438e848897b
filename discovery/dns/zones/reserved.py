"""The names that no service may take, because they have other records or another meaning in a zone with services.

The SRV records of a service of that name would point to names that do not exist.
"""

from __future__ import annotations

from collections.abc import Iterable

from discovery.dns.message.names import Name, to_text
from discovery.dns.zones import browse, spellings
from discovery.dns.zones.static_zone import StaticZone

_FIXED = "has fixed records in a zone file"
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


def _text(label: bytes) -> str:
    return label.decode("ascii", "replace")


_BROWSED = _text(browse.ROOT[0][1:])
_CONSULS = list(map(_text, spellings.CONSUL_BRANCHES))
