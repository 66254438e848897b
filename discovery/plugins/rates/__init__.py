"""GET /stats/history: what went on in each second of the last minute and in each minute of the last hour. README.md beside this file.

Once a second the numbers that others count anyway are read, and what came to them since the last time is kept. Nothing is counted here
but commits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from discovery.core.event import RESTORE, Commit, InstanceEvent
from discovery.core.metric import Histogram
from discovery.core.schema import NUMBER, WHOLE, Schema, described, list_of, or_null
from discovery.dns.server.traffic import Traffic as DnsTraffic
from discovery.plugins import Plugin, Seams
from discovery.plugins.rates.series import Reading, Samples
from discovery.rest.api.answers import Json
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.server.server import HEADING
from discovery.rest.api.shapes import TIME, Shape, reply
from discovery.rest.http.traffic import Traffic as HttpTraffic
from discovery.store.engine import Engine
from discovery.store.registration import Register, Upsert
from discovery.store.registry import Registry


def _sixty(values: Schema) -> Schema:
    return {**list_of(or_null(values), 60), "minItems": 60}


_NUMBERS, _COUNTS = _sixty(NUMBER), _sixty(WHOLE)
_SERIES = Shape(
    "Series",
    {
        "from": TIME,
        "step": WHOLE,
        "measured": described(_COUNTS, "seconds of the step that were measured"),
        "dnsQueriesPerSecond": _NUMBERS, "dnsP50Ms": _NUMBERS, "dnsP99Ms": _NUMBERS,
        "nxdomainShare": described(_NUMBERS, "of the queries, 0 to 1"),
        "httpRequestsPerSecond": _NUMBERS, "httpP50Ms": _NUMBERS, "httpP99Ms": _NUMBERS, "heartbeatsPerSecond": _NUMBERS,
        "registrations": _COUNTS,
        "expiries": described(_COUNTS, "leases that ran out"),
        "changes": described(_COUNTS, "events: registrations, changes of status, windows, …"),
        "instances": described(_COUNTS, "at the end of the step"),
    },
    "60 values in each list, oldest first, `step` seconds apart, from `from` on. null: not measured, or nothing to measure. What is not "
    "`PerSecond` is a number in the whole step.",
)  # fmt: skip
REPLY = reply(
    "StatsHistoryReply",
    {"seconds": _SERIES, "minutes": _SERIES},
    "Of the node that is asked: seconds of the last minute, whole minutes of the last hour.",
)
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
                "How much and how fast, by second and by minute", HEADING, REPLY,
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
