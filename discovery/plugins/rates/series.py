"""Readings of numbers that only grow, once a second, as what came in each second of the last minute and each minute of the last hour. Pure.

A second for which there is no reading (the process stood still, the machine slept) is a gap. What came to the numbers meanwhile counts to
the second that was read next: there it was seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from discovery.dns.server.traffic import SECONDS as DNS_SECONDS
from discovery.rest.api.times import iso
from discovery.rest.http.traffic import SECONDS as HTTP_SECONDS

# Of each: seconds of a minute, minutes of an hour. 1 KB a slot.
SLOTS = 60
_MINUTE = 60


class Counts(NamedTuple):
    queries: int
    nxdomain: int
    requests: int
    heartbeats: int
    registrations: int
    expiries: int
    changes: int


class Reading(NamedTuple):
    """All but `instances` only grow. `dns`, `http`: durations by the bounds of their histograms."""

    counts: Counts
    instances: int
    dns: Sequence[int]
    http: Sequence[int]


class Slot(NamedTuple):
    """What came in `measured` seconds. `instances`: at their end."""

    measured: int
    came: Reading


class Samples:
    """Times are epoch seconds."""

    def __init__(self) -> None:
        self._last: Reading | None = None
        self._seconds: deque[tuple[int, Slot]] = deque(maxlen=SLOTS)
        self._minutes: deque[tuple[int, Slot]] = deque(maxlen=SLOTS + 1)  # the last one runs

    def begin(self, reading: Reading) -> None:
        """What came before is not counted."""
        self._last = reading

    def add(self, second: int, reading: Reading) -> None:
        """`reading` at the end of that second."""
        if self._last is None:
            self.begin(reading)
            return
        came, self._last = _difference(reading, self._last), reading
        _put(self._seconds, second, Slot(1, came))
        _put(self._minutes, second // _MINUTE, Slot(1, came))

    def seconds(self, now: float) -> dict[str, Any]:
        return _shown(self._seconds, int(now), 1)

    def minutes(self, now: float) -> dict[str, Any]:
        """Those that are over."""
        return _shown(self._minutes, int(now) // _MINUTE, _MINUTE)


def _put(slots: deque[tuple[int, Slot]], number: int, slot: Slot) -> None:
    """Added to what is there for that number. A clock that was set back begins anew there."""
    while slots and slots[-1][0] > number:
        slots.pop()
    if slots and slots[-1][0] == number:
        slot = _sum(slots.pop()[1], slot)
    slots.append((number, slot))


def _difference(new: Reading, old: Reading) -> Reading:
    counts = Counts(*[after - before for after, before in zip(new.counts, old.counts, strict=True)])
    return Reading(counts, new.instances, _less(new.dns, old.dns), _less(new.http, old.http))


def _less(new: Sequence[int], old: Sequence[int]) -> list[int]:
    """`old` is empty before anything was counted."""
    return [after - before for after, before in zip_longest(new, old, fillvalue=0)]


def _sum(one: Slot, other: Slot) -> Slot:
    counts = Counts(*_more(one.came.counts, other.came.counts))
    dns, http = _more(one.came.dns, other.came.dns), _more(one.came.http, other.came.http)
    return Slot(one.measured + other.measured, Reading(counts, other.came.instances, dns, http))


def _more(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [a + b for a, b in zip_longest(one, other, fillvalue=0)]


def _shown(slots: deque[tuple[int, Slot]], end: int, step: int) -> dict[str, Any]:
    """The SLOTS before `end`, oldest first."""
    known = dict(slots)
    begin = end - SLOTS
    listed = [known.get(number) for number in range(begin, end)]
    columns = {name: [None if slot is None else of(slot) for slot in listed] for name, of in COLUMNS.items()}
    return {"from": iso(begin * step), "step": step, **columns}


def _per_second(number: Callable[[Counts], int]) -> Callable[[Slot], float]:
    return lambda slot: round(number(slot.came.counts) / slot.measured, 3)


def _percentile(
    share: float, of: Callable[[Reading], Sequence[int]], bounds: Sequence[float]
) -> Callable[[Slot], float | None]:
    return lambda slot: percentile(of(slot.came), bounds, share)


def percentile(counts: Sequence[int], bounds: Sequence[float], share: float) -> float | None:
    """Milliseconds, evenly spread between two bounds, as Prometheus has it; above the last bound that bound. None: nothing was timed."""
    total = sum(counts)
    if not total:
        return None
    left, below = total * share, 0.0
    for count, bound in zip(counts, bounds, strict=False):
        if count and left <= count:
            return round((below + (bound - below) * left / count) * 1000, 4)
        left -= count
        below = bound
    return bounds[-1] * 1000


COLUMNS: dict[str, Callable[[Slot], float | None]] = {
    "measured": lambda slot: slot.measured,
    "dnsQueriesPerSecond": _per_second(lambda came: came.queries),
    "dnsP50Ms": _percentile(0.5, lambda came: came.dns, DNS_SECONDS),
    "dnsP99Ms": _percentile(0.99, lambda came: came.dns, DNS_SECONDS),
    "nxdomainShare": lambda slot: (
        round(slot.came.counts.nxdomain / slot.came.counts.queries, 4) if slot.came.counts.queries else None
    ),
    "httpRequestsPerSecond": _per_second(lambda came: came.requests),
    "httpP50Ms": _percentile(0.5, lambda came: came.http, HTTP_SECONDS),
    "httpP99Ms": _percentile(0.99, lambda came: came.http, HTTP_SECONDS),
    "heartbeatsPerSecond": _per_second(lambda came: came.heartbeats),
    "registrations": lambda slot: slot.came.counts.registrations,
    "expiries": lambda slot: slot.came.counts.expiries,
    "changes": lambda slot: slot.came.counts.changes,
    "instances": lambda slot: slot.came.instances,
}
