"""The zones that are served: built from the zone files and the service domains, swapped in whole, built anew on change.

A bad file is reported with its line and keeps every zone as it was. Each new set moves the registry's index, and with it the
SOA serial.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from threading import Thread

import watchfiles

from discovery.core.log_fields import fields
from discovery.core.warning import Concern, one, warning
from discovery.dns.message.names import Name, from_text, to_text
from discovery.dns.zones import zonefile
from discovery.dns.zones.catalog import MAX_CHAIN, Catalog
from discovery.dns.zones.reserved import reserved
from discovery.dns.zones.reverse import ReverseNames, ReverseZoneNames
from discovery.dns.zones.service_zone import ServiceZone
from discovery.dns.zones.static_zone import StaticZone
from discovery.dns.zones.zone import LiveNames, NoLiveNames, Zone
from discovery.store.registry import Registry
from discovery.system.threads import in_daemon_thread, start_in_daemon_thread

_log = logging.getLogger("discovery.zones")

_ARPA = (b"arpa",)
# A folder that is not there cannot be watched; this is how often it is looked for.
_FOLDER_SECONDS = 2.0
# Within which 100,000 records are read, so that whoever asked for it can be told that it is done.
SLOW_SECONDS = 10.0
# Of the folder at a time: when so many hang, one more will hang too.
MAX_READERS = 3


async def _nothing() -> None:
    pass


class Zones:
    """`origins`: the zones with services. TTLs in seconds. `most_answers`: by zone's name, `""` for the others.

    `addresses`: where this server answers, for zones without a file.
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
    ) -> None:
        self._registry = registry
        self._catalog = catalog
        self._reverse = reverse
        self._folder = folder
        self._negative_ttl = negative_ttl
        self._addresses = addresses
        self._live: dict[Name, LiveNames] = {
            origin: ServiceZone(origin, registry, ttl, most_answers.get(to_text(origin), most_answers.get("")))
            for origin in origins
        }
        self.on_change: Callable[[Sequence[Zone]], None] = lambda zones: None  # is given each new set
        self.on_reload: Callable[[], Awaitable[None]] = _nothing  # moves the index, and with it the serials
        self._reserved: Mapping[str, str] = {}
        self._threads: list[Thread] = []  # that read files
        self._begun = self._served = 0  # readings, by number
        self.failure: str | None = None  # why what was read last is not what is served
        self.failures = 0  # readings whose zones are not served
        self._serving: set[asyncio.Task[None]] = set()
        self._watching: list[asyncio.Task[None]] = []

    def load(self) -> None:
        """ZoneFileError when a file is bad; nothing has changed then. Reads files: at start, before anybody waits."""
        self._serve(zonefile.load_all(self._folder))

    async def reload(self) -> None:
        """Loads again; a bad file is logged and nothing changes.

        The files are read in a thread. When that takes longer than SLOW_SECONDS, this returns, and the zones change when it is done.
        """
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if len(self._threads) >= MAX_READERS:
            _log.error(
                "%d earlier readings of %s have not come to an end (does a mount hang?); the zones stay as they were",
                len(self._threads),
                self._folder,
                extra=fields("zones.stuck", folder=self._folder),
            )
            return
        thread, files = start_in_daemon_thread(self._read)
        self._threads.append(thread)
        self._begun += 1
        serving = asyncio.get_running_loop().create_task(self._serve_when_read(files, self._begun))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        await asyncio.wait([serving], timeout=SLOW_SECONDS)
        if not serving.done():
            _log.warning(
                "%s is still being read; until that is done the zones stay as they are",
                self._folder,
                extra=fields("zones.slow", folder=self._folder),
            )

    def _read(self) -> list[StaticZone] | None:
        """None when there is no folder. What takes long is done here, in a thread."""
        files = zonefile.load_all(self._folder) if self._folder.is_dir() else None
        for zone in files or ():
            _ = zone.digest
        return files

    async def _serve_when_read(self, reading: asyncio.Future[list[StaticZone] | None], number: int) -> None:
        """`number`: of the reading. One that is overtaken by a later one comes too late."""
        try:
            files = await reading
            if number < self._served:
                return
            if files is None:
                self._fail(f"there is no folder {self._folder} (ZONES_DIR) any more")
                _log.warning(
                    "there is no folder %s (ZONES_DIR) any more; the zones stay as they are",
                    self._folder,
                    extra=fields("zones.no_folder", folder=self._folder),
                )
                return
            self._serve(files)
            self._served = number
            self.failure = None
            await self.on_reload()
            origins = [to_text(zone.origin) for zone in self._catalog.zones]
            _log.info("zones read again: %s", ", ".join(origins), extra=fields("zones.reloaded", zones=origins))
        except zonefile.ZoneFileError as error:
            self._fail(str(error))
            _log.error(
                "%s; the zones stay as they were",
                error,
                extra=fields("zones.failed", folder=self._folder, reason=str(error)),
            )
        except Exception:
            self._fail(f"reading {self._folder} failed; the log has the details")
            _log.exception(
                "reading %s failed; the zones stay as they were",
                self._folder,
                extra=fields("zones.failed", folder=self._folder, reason="unforeseen"),
            )

    def _fail(self, reason: str) -> None:
        self.failure = reason
        self.failures += 1

    def concerns(self) -> Sequence[Concern]:
        def bad() -> str | None:
            return None if self.failure is None else f"{self.failure}; the zones are served as they were before"

        return [warning("zone_file", one(bad))]

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

    def watch(self) -> None:
        """Reloads whenever a zone file changes, until `close`. Call it when everything is restored."""
        self._warn()
        self._watching.append(asyncio.get_running_loop().create_task(self._watch()))

    async def close(self) -> None:
        """Files that are still being read are left alone."""
        for task in (*self._watching, *self._serving):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _watch(self) -> None:
        """The folder may be missing, and may be replaced by another one: then it is looked for again."""
        missed = False
        while True:
            try:
                if await in_daemon_thread(self._folder.is_dir):
                    if missed:
                        await self.reload()
                    async for _ in watchfiles.awatch(self._folder):
                        await self.reload()
                        if not await in_daemon_thread(self._folder.is_dir):
                            break
                elif not missed:
                    _log.warning(
                        "ZONES_DIR: there is no folder %s, so there are no fixed records, and the zones of DNS_DOMAIN have an SOA and an "
                        "NS made up; zone files are read as soon as there is one",
                        self._folder.absolute(),
                        extra=fields("zones.no_folder", folder=self._folder),
                    )
            except FileNotFoundError:
                pass  # it went away between the look and the watch
            except Exception:
                _log.exception(
                    "watching %s failed; it begins anew in %g s",
                    self._folder,
                    _FOLDER_SECONDS,
                    extra=fields("zones.watch_failed", folder=self._folder),
                )
            missed = True
            await asyncio.sleep(_FOLDER_SECONDS)

    def _serve(self, files: Iterable[StaticZone]) -> None:
        """Swaps all zones in at once."""
        by_origin = {zone.origin: zone for zone in files}
        fixed = {origin: by_origin.get(origin) or self._made_up(origin) for origin in self._live}
        every = by_origin | fixed
        zones = [self._zone(zone, every) for zone in every.values()]
        self._reserved = reserved(fixed.values(), every)
        self._registry.reserved = self._reserved
        self._registry.zones = {
            to_text(origin): by_origin[origin].digest if origin in by_origin else "" for origin in every
        }
        self._warn()
        self._catalog.replace(zones)
        self.on_change(zones)

    def _warn(self) -> None:
        """Of services that had their names before these were reserved, or in an earlier life of the server."""
        for name in self._reserved.keys() & self._registry.services.keys():
            _log.warning(
                "service %s: its name %s, so DNS does not find all of it; register it under another name",
                name,
                self._reserved[name],
                extra=fields("service.name_reserved", service=name),
            )

    def _made_up(self, origin: Name) -> StaticZone:
        return zonefile.made_up(origin, self._addresses, self._negative_ttl)

    def _zone(self, fixed: StaticZone, origins: Iterable[Name]) -> Zone:
        return Zone(fixed, self._live_names(fixed.origin), self._serial, self._negative_ttl, origins)

    def _live_names(self, origin: Name) -> LiveNames:
        if origin in self._live:
            return self._live[origin]
        return ReverseZoneNames(origin, self._reverse) if origin[-1:] == _ARPA else NoLiveNames()

    def _serial(self) -> int:
        return self._registry.index
