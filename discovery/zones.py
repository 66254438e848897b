"""The zones that are served: built from the zone files and the service domains, swapped in whole, built anew on change.

A bad file is reported with its line and keeps every zone as it was. Each new set moves the registry's index, and with it the
SOA serial.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path

from discovery.core.errors import DiscoveryError
from discovery.dns.message.names import Name, from_text, to_text
from discovery.dns.zones import zonefile
from discovery.dns.zones.catalog import MAX_CHAIN, Catalog
from discovery.dns.zones.reserved import reserved, why_no_host
from discovery.dns.zones.reverse import ReverseNames, ReverseZoneNames
from discovery.dns.zones.service_zone import ServiceZone
from discovery.dns.zones.static_zone import StaticZone
from discovery.dns.zones.zone import LiveNames, Zone
from discovery.store.nearness import Preference
from discovery.store.registry import Registry
from discovery.system.files import Reloaded

_log = logging.getLogger("discovery.zones")

_ARPA = (b"arpa",)


async def _nothing() -> None:
    pass


class Zones:
    """`origins`: the zones with services. TTLs in seconds. `most_answers`: by zone's name, `""` for the others.

    `addresses`: where this server answers, for zones without a file. `preference`: as a ServiceZone has it. `live_names`: of other zones.
    """

    def __init__(
        self,
        registry: Registry,
        catalog: Catalog,
        reverse: ReverseNames,
        folder: Path,
        origins: Sequence[Name],
        ttl: int,
        negative_ttl: int,
        most_answers: Mapping[str, int],
        addresses: Sequence[str],
        preference: Preference | None = None,
        live_names: Mapping[Name, LiveNames] = {},
    ) -> None:
        self._registry = registry
        self._catalog = catalog
        self._reverse = reverse
        self._folder = folder
        self._negative_ttl = negative_ttl
        self._addresses = addresses
        self._live: dict[Name, LiveNames] = {
            origin: ServiceZone(
                origin, registry, ttl, most_answers.get(to_text(origin), most_answers.get("")), preference
            )
            for origin in origins
        }
        self._origins = origins
        self._live |= live_names
        self.on_change: Callable[[Sequence[Zone]], None] = lambda zones: None  # is given each new set
        self.on_reload: Callable[[], Awaitable[None]] = _nothing  # moves the index, and with it the serials
        self._reserved: Mapping[str, str] = {}
        self._is_loaded = False
        registry.why_no_host = self.why_no_host
        self.files = Reloaded("zones", [folder], self._read)  # who starts them builds the zones anew on change
        self.files.on_change = self._use

    def load(self) -> None:
        """ZoneFileError when a file is bad; nothing has changed then. Reads files: at start, before anybody waits."""
        self._serve(self.files.load())
        self._is_loaded = True

    def _read(self) -> list[StaticZone]:
        """What takes long is done here, in a thread. DiscoveryError."""
        if self._is_loaded and not self._folder.is_dir():
            raise DiscoveryError(f"there is no folder {self._folder} (ZONES_DIR) any more")
        files = zonefile.load_all(self._folder)
        for zone in files:
            _ = zone.digest
        return files

    async def _use(self, files: Sequence[StaticZone]) -> None:
        self._serve(files)
        await self.on_reload()

    def is_fixed_host(self, host: str) -> bool:
        """Whether zone files alone decide where this host name points: it has an address there, or is an alias for such a name
        or for one outside our zones. Where a live name points, whoever registers decides.
        """
        try:
            name = from_text(host)
        except ValueError:
            return False
        zone = self._catalog.zone_of(name)
        if zone is None:
            return False
        for _ in range(MAX_CHAIN):
            if zone is None or zone.fixed.addresses(name):
                return True
            alias = zone.fixed.alias(name)
            if alias is None:
                return False
            name, zone = alias, self._catalog.zone_of(alias)
        return False

    def why_no_host(self, host: str) -> str | None:
        """Why no instance may have that host name, as `reserved.why_no_host` has it. None: it may."""
        name = from_text(host)
        zone = self._catalog.zone_of(name)
        return None if zone is None else why_no_host(zone, name)

    def warn(self) -> None:
        """Once everything is restored: of a folder that is missing, and of names."""
        self._warn_of_names()
        if not self._folder.is_dir():
            _log.warning(
                "ZONES_DIR: there is no folder %(folder)s, so there are no fixed records, and the zones of DNS_DOMAIN have an SOA and an "
                "NS made up; zone files are read as soon as there is one",
                {"event": "zones.no_folder", "folder": self._folder.absolute()},
            )

    def _serve(self, files: Iterable[StaticZone]) -> None:
        """Swaps all zones in at once."""
        by_origin = {zone.origin: zone for zone in files}
        fixed = {origin: by_origin.get(origin) or self._made_up(origin) for origin in self._live}
        every = by_origin | fixed
        zones = [self._zone(zone, every) for zone in every.values()]
        self._reserved = reserved([fixed[origin] for origin in self._origins], every)
        self._registry.reserved = self._reserved
        self._registry.zones = {
            to_text(origin): by_origin[origin].digest if origin in by_origin else "" for origin in every
        }
        self._warn_of_names()
        self._catalog.replace(zones)
        self.on_change(zones)

    def _warn_of_names(self) -> None:
        """Of services that had their names before these were reserved, or in an earlier life of the server."""
        for name in self._reserved.keys() & self._registry.services.keys():
            _log.warning(
                "service %(service)s: its name %(reason)s, so DNS does not find all of it; register it under another name",
                {"event": "service.name_reserved", "service": name, "reason": self._reserved[name]},
            )

    def _made_up(self, origin: Name) -> StaticZone:
        return zonefile.made_up(origin, self._addresses, self._negative_ttl)

    def _zone(self, fixed: StaticZone, origins: Iterable[Name]) -> Zone:
        return Zone(fixed, self._live_names(fixed.origin), self._serial, self._negative_ttl, origins)

    def _live_names(self, origin: Name) -> LiveNames:
        if origin in self._live:
            return self._live[origin]
        return ReverseZoneNames(origin, self._reverse) if origin[-1:] == _ARPA else LiveNames()

    def _serial(self) -> int:
        return self._registry.index
