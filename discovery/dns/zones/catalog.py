"""Which zone answers: the one with the longest origin at or above the name. Whoever reloads zones puts whole zones here."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from discovery.dns.message.names import Name
from discovery.dns.message.query import Request
from discovery.dns.message.values import Answer, Class, Deferred
from discovery.dns.zones.zone import Zone

# The Lookup seam: a request that has a question, and the time (monotonic seconds); what is true out, or where it is known, or
# None: "not mine", which is not "no". A feature may wrap one Lookup in another.
Lookup = Callable[[Request, float], "Answer | Deferred | None"]


def first_of(*lookups: Lookup) -> Lookup:
    """Asks one after the other."""

    def lookup(request: Request, now: float) -> Answer | Deferred | None:
        for one in lookups:
            if (answer := one(request, now)) is not None:
                return answer
        return None

    return lookup


class Catalog:
    def __init__(self, zones: Iterable[Zone]) -> None:
        self.replace(zones)

    def replace(self, zones: Iterable[Zone]) -> None:
        """All at once: a reader sees the old set or the new one."""
        self._zones = {zone.origin: zone for zone in zones}

    @property
    def zones(self) -> tuple[Zone, ...]:
        return tuple(self._zones.values())

    def zone_of(self, name: Name) -> Zone | None:
        for start in range(len(name) + 1):
            if zone := self._zones.get(name[start:]):
                return zone
        return None

    def lookup(self, request: Request, now: float) -> Answer | None:
        question = request.question
        zone = self.zone_of(question.name) if question.klass == Class.IN else None
        return None if zone is None else zone.lookup(request, now)
