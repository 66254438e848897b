"""Which secondary has which serial of which zone, as far as its transfers tell: for whoever asks how far behind they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from discovery.dns.message.names import Name, to_text
from discovery.dns.zones.zone import Zone
from discovery.rest.api.times import iso

# Pairs of secondary and zone that are remembered, the latest. Only who has a key of ours gets here.
MAX_TAKEN = 256


class _Transfer(NamedTuple):
    serial: int
    wall: float


class Taken:
    """`wall`: epoch seconds."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._latest: dict[tuple[str, Name], _Transfer] = {}

    def note(self, client: str, zone: Name, serial: int) -> None:
        """A whole transfer has gone there."""
        self._latest.pop((client, zone), None)
        self._latest[client, zone] = _Transfer(serial, self._wall())
        if len(self._latest) > MAX_TAKEN:
            del self._latest[next(iter(self._latest))]

    def shown(self, zones: Mapping[Name, Zone]) -> list[dict[str, Any]]:
        """`behind`: changes of the registry since then; null where the zone is served no longer. Serials wrap (RFC 1982)."""
        return [
            {
                "client": client,
                "zone": to_text(zone),
                "serial": taken.serial,
                "behind": (zones[zone].negative_soa()[0] - taken.serial) % 2**32 if zone in zones else None,
                "takenAt": iso(taken.wall),
            }
            for (client, zone), taken in sorted(self._latest.items())
        ]
