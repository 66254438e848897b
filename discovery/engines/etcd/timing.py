"""The leases of the living follow the configuration when it changes: a piece of the table a turn of the event loop."""

from __future__ import annotations

import asyncio

from discovery.store.registry import Registry

# Leases of one turn, 3 µs each.
_PER_TURN = 1000


class Timing:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._work: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Anew, where it is under way."""
        self.stop()
        self._work = asyncio.get_running_loop().create_task(self._time_anew())

    def stop(self) -> None:
        if self._work is not None:
            self._work.cancel()

    async def _time_anew(self) -> None:
        for number, entry in enumerate(list(self._registry), 1):
            if entry.due is not None:  # it is still there
                self._registry.retime(entry)
            if number % _PER_TURN == 0:
                await asyncio.sleep(0)
        self._registry.staleness_changed()
