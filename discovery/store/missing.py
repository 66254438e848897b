"""Whom a zone misses: instances that were removed for their silence, or because they failed too long, and nobody has come in their place.

They count among those that the zone is known to have, for an hour: else a zone that loses most of its instances would seem well as soon
as these are removed, and those left in it would be given all that its clients ask. This process's own. Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from discovery.core.event import InstanceEvent, Kind
from discovery.core.instance import Instance

SECONDS = 3600.0
# With what they said of themselves. Beyond so many, some of those that went longest ago are forgotten.
MAX_MISSING = 4096


class Gone(NamedTuple):
    """`until`: for how long it is missed, monotonic seconds."""

    until: float
    instance: Instance


class Missing:
    """False when nobody is missed. Each of a service (its folded name) and a zone."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], deque[Gone]] = {}
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._of)

    def went(self, service: str, instance: Instance, now: float) -> None:
        """It was removed by nobody's wish. One that was to go, or was kept after its lease, is not missed."""
        zone = instance.spec.locality
        if not zone or instance.draining or instance.lapsed_at is not None:
            return
        self._of.setdefault((service, zone), deque()).append(Gone(now + SECONDS, instance))
        self._count += 1
        if self._count > MAX_MISSING:
            self._drop(next(iter(self._of)), 0)

    def came(self, service: str, instance: Instance) -> None:
        """It is back, or in the place of the one that is missed longest."""
        key = (service, instance.spec.locality)
        if (gone := self._of.get(key)) is not None:
            address = instance.spec.key
            self._drop(key, next((at for at, each in enumerate(gone) if each.instance.spec.key == address), 0))

    def recall(self, events: Iterable[tuple[InstanceEvent, float]]) -> None:
        """What happened before this process began, in order, each at its time."""
        for event, at in events:
            if event.kind is Kind.EXPIRED and event.before is not None:
                self.went(event.service, event.before, at)
            elif event.kind is Kind.REGISTERED and event.after is not None:
                self.came(event.service, event.after)

    def of(self, service: str, zone: str, now: float) -> list[Gone]:
        """Those that went longest ago first."""
        key = (service, zone)
        while (gone := self._of.get(key)) is not None and gone[0].until <= now:
            self._drop(key, 0)
        return [] if gone is None else list(gone)

    def _drop(self, key: tuple[str, str], at: int) -> None:
        gone = self._of[key]
        del gone[at]
        self._count -= 1
        if not gone:
            del self._of[key]
