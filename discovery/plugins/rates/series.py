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


class Reading(NamedTuple):
    """All but `instances` only grow. `dns`, `http`: durations by the bounds of their histograms; empty before anything was counted."""

    queries: int
    nxdomain: int
    requests: int
    heartbeats: int
    registrations: int
    expiries: int
    changes: int
    instances: int
    dns: Sequence[int]
    http: Sequence[int]


class Slot(NamedTuple):
    """`measured` seconds, from one reading to the other: what came is the difference."""

    measured: int
    before: Reading
    after: Reading


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
        if self._last is not None:
            slot = Slot(1, self._last, reading)
            _put(self._seconds, second, slot)
            _put(self._minutes, second // _MINUTE, slot)
        self._last = reading

    def seconds(self, now: float) -> dict[str, Any]:
        return _shown(self._seconds, int(now), 1)

    def minutes(self, now: float) -> dict[str, Any]:
        """Those that are over."""
        return _shown(self._minutes, int(now) // _MINUTE, _MINUTE)


def _put(slots: deque[tuple[int, Slot]], number: int, slot: Slot) -> None:
    """Goes on what is there for that number. A clock that was set back begins anew there."""
    while slots and slots[-1][0] > number:
        slots.pop()
    if slots and slots[-1][0] == number:
        begun = slots.pop()[1]
        if begun.after is slot.before:  # else what was given up came between them
            slot = Slot(begun.measured + slot.measured, begun.before, slot.after)
    slots.append((number, slot))


def _shown(slots: deque[tuple[int, Slot]], end: int, step: int) -> dict[str, Any]:
    """The SLOTS before `end`, oldest first."""
    known = dict(slots)
    begin = end - SLOTS
    listed = [known.get(number) for number in range(begin, end)]
    columns = {name: [None if slot is None else of(slot) for slot in listed] for name, of in COLUMNS.items()}
    return {"from": iso(begin * step), "step": step, **columns}


def _came(number: Callable[[Reading], int]) -> Callable[[Slot], int]:
    return lambda slot: number(slot.after) - number(slot.before)


def _per_second(number: Callable[[Reading], int]) -> Callable[[Slot], float]:
    came = _came(number)
    return lambda slot: round(came(slot) / slot.measured, 3)


def _nxdomain_share(slot: Slot) -> float | None:
    queries = slot.after.queries - slot.before.queries
    return round((slot.after.nxdomain - slot.before.nxdomain) / queries, 4) if queries else None


def _percentile(
    share: float, of: Callable[[Reading], Sequence[int]], bounds: Sequence[float]
) -> Callable[[Slot], float | None]:
    def found(slot: Slot) -> float | None:
        came = [after - before for after, before in zip_longest(of(slot.after), of(slot.before), fillvalue=0)]
        return percentile(came, bounds, share)

    return found


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
    "dnsQueriesPerSecond": _per_second(lambda reading: reading.queries),
    "dnsP50Ms": _percentile(0.5, lambda reading: reading.dns, DNS_SECONDS),
    "dnsP99Ms": _percentile(0.99, lambda reading: reading.dns, DNS_SECONDS),
    "nxdomainShare": _nxdomain_share,
    "httpRequestsPerSecond": _per_second(lambda reading: reading.requests),
    "httpP50Ms": _percentile(0.5, lambda reading: reading.http, HTTP_SECONDS),
    "httpP99Ms": _percentile(0.99, lambda reading: reading.http, HTTP_SECONDS),
    "heartbeatsPerSecond": _per_second(lambda reading: reading.heartbeats),
    "registrations": _came(lambda reading: reading.registrations),
    "expiries": _came(lambda reading: reading.expiries),
    "changes": _came(lambda reading: reading.changes),
    "instances": lambda slot: slot.after.instances,
}
