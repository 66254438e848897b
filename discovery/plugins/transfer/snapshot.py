"""What all services offer at one moment, taken in pieces with the loop free in between.

Every service is read once; those that changed meanwhile are read again, and so on, until a round was so short that nothing could
change. What is there then is true at that very moment, however long it took.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from discovery.dns.message.query import CutShort
from discovery.dns.zones.offered import Offered, offered
from discovery.store.registry import Registry
from discovery.system.turns import turns

# A round reads what changed during the round before, so it is shorter, unless things change faster than they can be read.
MAX_ROUNDS = 100
# Seconds until the index follows the table, after which the transfer is given up; one is usual.
MAX_WAIT = 30.0


class Snapshot:
    """`offered`: by folded name of the service, those that offer nothing left out. `max_ttl` in seconds."""

    def __init__(self, registry: Registry, max_ttl: int) -> None:
        self.offered: dict[str, Offered] = {}
        self._registry = registry
        self._max_ttl = max_ttl
        self._changed: set[str] = set()
        self._published = asyncio.Event()

    def changed(self, service: str) -> None:
        """Something about the service (its folded name) has changed."""
        self._changed.add(service)

    def published(self) -> None:
        """The index tells of all that has changed."""
        self._published.set()

    async def take(self, clock: Callable[[], float]) -> None:
        """When it returns, `offered` is as the registry is at its index, until somebody awaits. CutShort: it changes too fast."""
        names: Collection[str] = tuple(self._registry.services)
        for _ in range(MAX_ROUNDS):
            self._changed = set()
            for name in names:
                await turns().over()
                self._read(name, clock())
            if self._registry.is_ahead:
                await self._wait()
            elif not self._changed:
                return
            names = self._changed
        raise CutShort

    async def _wait(self) -> None:
        self._published.clear()
        try:
            async with asyncio.timeout(MAX_WAIT):
                await self._published.wait()
        except TimeoutError:
            raise CutShort from None

    def _read(self, name: str, now: float) -> None:
        service = self._registry.service(name)
        found = None if service is None else offered(service, self._max_ttl, now)
        if found is None:
            self.offered.pop(name, None)
        else:
            self.offered[name] = found
