"""GET /stats/history: what went on in each second of the last minute and in each minute of the last hour. README.md beside this file.

Once a second the numbers that others count anyway are read, and what came to them since the last time is kept. Nothing is counted here
but commits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Annotated

from pydantic import Field

from discovery.core.event import RESTORE, Commit, InstanceEvent
from discovery.core.metric import Histogram
from discovery.dns.server.traffic import Traffic as DnsTraffic
from discovery.plugins import Plugin, Seams
from discovery.plugins.rates.series import Reading, Samples
from discovery.rest.api.answers import Json
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.server.server import HEADING
from discovery.rest.api.shapes import Described, Reply, Time
from discovery.rest.http.traffic import Traffic as HttpTraffic
from discovery.store.engine import Engine
from discovery.store.registration import Register, Upsert
from discovery.store.registry import Registry

_Numbers = Annotated[list[float | None], Field(min_length=60, max_length=60)]
_Counts = Annotated[list[int | None], Field(min_length=60, max_length=60)]


class Series(Described):
    """60 values in each list, oldest first, `step` seconds apart, from `from` on. null: not measured, or nothing to measure. What is not
    `PerSecond` is a number in the whole step.
    """

    from_: Time = Field(alias="from")
    step: int
    measured: _Counts = Field(description="seconds of the step that were measured")
    dns_queries_per_second: _Numbers
    dns_p50_ms: _Numbers
    dns_p99_ms: _Numbers
    nxdomain_share: _Numbers = Field(description="of the queries, 0 to 1")
    http_requests_per_second: _Numbers
    http_p50_ms: _Numbers
    http_p99_ms: _Numbers
    heartbeats_per_second: _Numbers
    registrations: _Counts
    expiries: _Counts = Field(description="leases that ran out")
    changes: _Counts = Field(description="events: registrations, changes of status, windows, …")
    instances: _Counts = Field(description="at the end of the step")


class StatsHistoryReply(Reply):
    """Of the node that is asked: seconds of the last minute, whole minutes of the last hour."""

    seconds: Series
    minutes: Series


_NXDOMAIN = "NXDOMAIN"
# Seconds after the full one, so that a timer that is early does not look at the second before.
_AFTER = 0.002


class Rates(Plugin):
    """`wall`: epoch seconds."""

    def __init__(self, registry: Registry, wall: Callable[[], float] = time.time) -> None:
        self._registry = registry
        self._wall = wall
        self._dns, self._http = DnsTraffic(), HttpTraffic()
        self._series = Samples()
        self._expiries = self._changes = 0
        self._timer: asyncio.TimerHandle | None = None

    def install(self, seams: Seams) -> None:
        self._dns, self._http = seams.dns_traffic, seams.http_traffic
        self._dns.wanted = self._http.wanted = True
        seams.followers.append(self.follow_commit)
        seams.routes.append(
            Route(
                "GET", "/stats/history", self.show, Right.READ, Kind.QUESTION,
                "How much and how fast, by second and by minute", HEADING, StatsHistoryReply,
            )
        )  # fmt: skip

    async def open(self, engine: Engine) -> None:
        self._series.begin(self._read())
        self._wait()

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def follow_commit(self, commit: Commit) -> None:
        if commit.action == RESTORE:
            return
        self._changes += len(commit.events)
        for event in commit.events:
            if isinstance(event, InstanceEvent) and event.lapsed_at is not None:
                self._expiries += 1

    def show(self, request: Request) -> Json:
        now = self._wall()
        return {"seconds": self._series.seconds(now), "minutes": self._series.minutes(now)}

    def _wait(self) -> None:
        left = 1 - self._wall() % 1
        self._timer = asyncio.get_running_loop().call_later(left + _AFTER, self._tick)

    def _tick(self) -> None:
        """For the second that is over."""
        self.sample(self._wall())
        self._wait()

    def sample(self, now: float) -> None:
        self._series.add(int(now) - 1, self._read())

    def _read(self) -> Reading:
        registry = self._registry
        asked = missing = 0
        for outcome in self._dns.outcomes:
            sent = sum(outcome.sent)
            asked += sent
            if outcome.rcode == _NXDOMAIN:
                missing += sent
        registrations = registry.accepted[Register.action] + registry.accepted[Upsert.action]
        return Reading(
            asked, missing, self._http.requests, registry.renewals, registrations, self._expiries, self._changes,
            registry.living, _added(self._dns.seconds.values()), _added(self._http.seconds_of_answers),
        )  # fmt: skip


def _added(histograms: Iterable[Histogram]) -> list[int]:
    return [sum(counts) for counts in zip(*(each.counts for each in histograms), strict=True)]


def make(registry: Registry, clock: Callable[[], float]) -> Rates:
    return Rates(registry)
