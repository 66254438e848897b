"""Which instances a client is to use who is in a zone himself: those of his zone, and so many of others that his own are not crushed.

    share of the own zone = min(1, healthy / (known x `least`))

`known`: all that are registered there, healthy or not, and those that fell silent within the hour; not those that are kept after their
leases. While fewer are healthy than `least` of those known, so many others come to them that their part of all is that share, as near as
whole instances can. Nobody is drawn: which others is a rendezvous hash of the service and the zone, so that all who are in a zone get the
same, and one who comes or goes changes one. DNS and HTTP share this. Pure.

Instances that were removed for their silence, or because they failed too long, are missed for an hour while nobody has come in their place:
else a zone that loses most of its instances would seem well as soon as these are removed, and those left in it would be given all that its
clients ask. Whom a zone misses is this process's own.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from discovery.core.client_zones import ClientZones
from discovery.core.event import InstanceEvent, Kind
from discovery.core.instance import Instance
from discovery.core.network import MAX_CLIENTS
from discovery.store.service import Entry, Service

# -- whom a zone misses

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


# A zone with fewer has no preference: there would be nobody to spread the load of one that falters.
MIN_KNOWN = 2
# That are told apart, 0.1 KB each.
MAX_ASKERS = 1000
# That are remembered, 0.3 KB each.
MAX_SCORES = 16_384


class Near(NamedTuple):
    """`healthy` of those `known` in the zone. `front`: whom to use, those of the zone first; `behind`: all others that are served. `until`:
    when one that is missed in the zone is forgotten, monotonic seconds.
    """

    zone: str
    healthy: int
    known: int
    front: list[Entry]
    behind: list[Entry]
    until: float

    @property
    def crosses(self) -> bool:
        """Whether some in front are from elsewhere."""
        return len(self.front) > self.healthy

    @property
    def identities(self) -> frozenset[int]:
        """Of those behind."""
        return frozenset(map(id, self.behind))

    @property
    def text(self) -> str:
        crossing = len(self.front) - self.healthy
        tenths = min(9, max(1, round(10 * crossing / len(self.front))))
        how_many = "none is" if not crossing else "all are" if not self.healthy else f"{tenths} in 10 are"
        are = "is" if self.healthy == 1 else "are"
        return f"from {self.zone}: {self.healthy} of {self.known} {are} healthy here, so {how_many} from elsewhere"


def near(
    zone: str, meant: Iterable[Entry], served: list[Entry], missing: Iterable[Gone], least: float, now: float
) -> Near | None:
    """`meant`: the instances of a service that are asked for, `served` those of them that are in answers at `now`, in order. `missing`: of
    the service in the zone, that are asked for. `least`: part of those known, 0 to 1. None: there is no preference.
    """
    gone = [each.until for each in missing]
    ours = {id(entry) for entry in meant if entry.instance.spec.locality == zone and entry.instance.lapsed_at is None}
    known = len(gone) + len(ours)
    if known < MIN_KNOWN or not served:
        return None
    healthy, rest = served, list[Entry]()  # suspects, or those that flap, which are last
    if not served[-1].healthy(now):
        healthy = [entry for entry in served if entry.healthy(now)]
        rest = served[len(healthy) :]
    here = [entry for entry in healthy if id(entry) in ours]
    there = [entry for entry in healthy if id(entry) not in ours]
    if not there:
        return None
    until = min(gone, default=math.inf)
    if not here:
        return Near(zone, 0, known, served, [], until)
    wanted = _others(len(here), known * least)
    if 0 < wanted < len(there):
        there.sort(key=lambda entry: _score(zone, *entry.instance.spec.key))
    front, behind = here + there[:wanted], there[wanted:] + rest
    if wanted > len(there):  # the healthy do not do
        front, behind = front + behind, []
    return Near(zone, len(here), known, front, behind, until)


class Preference:
    """Of a server whose clients have zones: `zones` are those of now. `answers`: how many with a preference were given to clients of a zone
    over DNS or HTTP, and whether some of it was from elsewhere. `askers`: of each zone, the first MAX_ASKERS addresses that asked.
    """

    def __init__(self, missing: Missing, least: float, zones: ClientZones) -> None:
        self._missing = missing
        self.least = least
        self.answers: Counter[tuple[str, str, bool]] = Counter()
        self.on_change: list[Callable[[], None]] = []
        self.zone_of = lru_cache(MAX_CLIENTS)(self._zone_of)
        self._use(zones)

    async def use(self, zones: ClientZones) -> None:
        """From now on. What is as it was changes nothing."""
        if zones.networks != self.zones.networks:
            self._use(zones)

    def _use(self, zones: ClientZones) -> None:
        self.zones = zones
        self.askers: dict[str, set[str]] = {zone: set() for zone in zones.zones}
        self.zone_of.cache_clear()
        for changed in self.on_change:
            changed()

    def _zone_of(self, client: str) -> str | None:
        zone = self.zones.zone_of(client)
        if zone is not None:
            self.note(zone, client)
        return zone

    def note(self, zone: str, asker: str) -> None:
        """An address or a network, somewhere in the zone."""
        askers = self.askers[zone]
        if len(askers) < MAX_ASKERS:
            askers.add(asker)

    def near(
        self,
        service: Service,
        zone: str,
        meant: Iterable[Entry],
        served: list[Entry],
        means: Callable[[Instance], object],
        now: float,
        over: str | None = None,
    ) -> Near | None:
        """As `near`. `means`: what `meant` was chosen by, truly or falsely. `over`: by what it is answered at once, and counted."""
        missing = [each for each in self._missing.of(service.folded, zone, now) if means(each.instance)]
        found = near(zone, meant, served, missing, self.least, now)
        if found is not None and over is not None:
            self.answers[zone, over, found.crosses] += 1
        return found

    def differs(self, service: Service, meant: Iterable[Entry], served: list[Entry], now: float) -> bool:
        """Whether clients of some zone get another answer than those of others."""
        known = Counter(entry.instance.spec.locality for entry in meant if entry.instance.lapsed_at is None)
        healthy = Counter(entry.instance.spec.locality for entry in served if entry.healthy(now))
        return any(
            number + len(self._missing.of(service.folded, zone, now)) >= MIN_KNOWN
            and 0 < healthy[zone] < healthy.total()
            for zone, number in known.items()
            if zone in self.zones.zones
        )


def _others(own: int, needed: float) -> int:
    """How many come to `own`, so that the part of `own` is as near to own / needed as it can be."""
    if own >= needed:
        return 0
    fewer = math.floor(needed - own)
    return min((fewer, fewer + 1), key=lambda others: abs(own / (own + others) - own / needed))


@lru_cache(MAX_SCORES)
def _score(zone: str, service: str, ip: str, port: int) -> bytes:
    """The same on every node, and for an instance that registers again. 2 µs."""
    return blake2b(f"{service} {zone} {ip} {port}".encode(), digest_size=8).digest()
