"""Answers to GET /resolve/NAME without a query that would be the same again but for their time: all instances are healthy, the index, the
leases and what this process believes are as they were, and none of the leases has ended. Who asks is given the same octets, with his time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from discovery.rest.api.answers import Answer
from discovery.rest.api.times import Times
from discovery.store.registry import Registry
from discovery.store.service import Entry, Service

# Names as they are asked for, and octets of an answer, beyond which it is not kept. All are forgotten when they are too many.
MAX_KEPT = 4096
MAX_OCTETS = 4096

# What a body ends with, where nothing is stale.
_END = len('2026-01-31T12:00:00.000Z"}')


@dataclass(eq=False, slots=True)
class _Kept:
    """`beats`: the latest heartbeats of `found`, and `until`: the first end of their leases, on the registry's clock. `offset`: of the
    times that are shown. `start`: of the body, up to its time.
    """

    service: Service
    index: int
    staleness: int
    offset: float
    until: float
    found: list[Entry]
    beats: list[float | None]
    start: bytes
    headers: Mapping[str, str]


class Unchanged:
    def __init__(self, registry: Registry, times: Times) -> None:
        self._registry = registry
        self._times = times
        self._kept: dict[str, _Kept] = {}
        self._latest: dict[str, float] = {}  # heartbeat in the last answer about the name

    def answer(self, name: str, now: float) -> Answer | None:
        kept = self._kept.get(name)
        if kept is None:
            return None
        registry, service, times = self._registry, kept.service, self._times
        if (
            now < kept.until
            and service.index == kept.index
            and registry.services.get(service.folded) is service
            and registry.staleness == kept.staleness
            and not registry.has_own_statuses
            and _beats(kept.found) == kept.beats
            and times.offset(now) == kept.offset
            and not times.stale()
        ):
            return Answer(200, b'%b%b"}' % (kept.start, times.now().encode()), kept.headers, kept.index)
        del self._kept[name]
        return None

    def keep(self, name: str, service: Service, found: list[Entry], now: float, answer: Answer) -> None:
        """`found`: all its instances, the latest heartbeat first, and all are healthy. Kept when the next question comes before the next
        heartbeat: else nobody would be given it.
        """
        latest, body, registry = found[0].lease.renewed_at, answer.body, self._registry
        if self._latest.get(name) != latest:
            if len(self._latest) >= MAX_KEPT:
                self._latest.clear()
                self._kept.clear()
            self._latest[name] = latest
        elif (
            isinstance(body, bytes)
            and len(body) <= MAX_OCTETS
            and None not in (beats := _beats(found))
            and not (registry.is_ahead or registry.has_own_statuses or self._times.stale())
        ):
            until = min(entry.lease.expires_at for entry in found)
            offset = self._times.offset(now)
            self._kept[name] = _Kept(
                service, service.index, registry.staleness, offset, until, found, beats, body[:-_END], answer.headers
            )


def _beats(found: list[Entry]) -> list[float | None]:
    """When they beat last; None for one whose words may change without a heartbeat."""
    return [entry.lease.renewed_at if entry.output is None else None for entry in found]
