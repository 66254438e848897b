"""What was asked over HTTP and how it ended, counted in plain numbers: each request once, by route, method and status.

Requests that were refused count for the route that their path is of.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from random import Random

from discovery.core.metric import Histogram, Metric, Readings
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Route
from discovery.rest.http import access_log

_log = logging.getLogger("discovery.rest")
_is_logged = access_log.logger.isEnabledFor

# Of methods that are not known, as `route.OTHER` is of paths.
OTHER = "other"
# The client left before its answer.
NO_STATUS = "none"
# One request of so many, on average, is shown to those that look at some.
SAMPLE = 16
# Seconds: a heartbeat takes tens of microseconds, a registration a few milliseconds, a long poll minutes.
SECONDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0, 60.0)

# A request with its status, the client's address, and the seconds from one to the other.
See = Callable[[Request, str, float], None]


class _Count:
    """Of requests of one route, method and status."""

    __slots__ = ("is_sampled", "kind", "level", "method", "number", "route", "seconds", "status")

    def __init__(self, route: Route, method: str, status: str, seconds: Histogram) -> None:
        self.route = route.template
        self.kind = route.kind
        self.level, self.is_sampled = route.kind.level, route.kind.endless
        self.method = method
        self.status = status
        self.seconds = seconds
        self.number = 0


class Traffic:
    """`methods`: of all routes. `wanted`: somebody reads these numbers, so requests are counted. `samples` see one request of SAMPLE,
    `watch`ers each.
    """

    def __init__(self, random: Random | None = None) -> None:
        self.wanted = False
        self.scheme = "http"
        self.methods: Collection[str] = ()
        self.samples: list[See] = []
        self._random = random or Random()
        self._watchers: list[See] = []
        self._left = 0
        self._known: dict[tuple[Route, str, int], _Count] = {}
        self._counts: dict[tuple[str, str, str], _Count] = {}  # by path, method and status
        self._seconds: dict[tuple[str, ...], Histogram] = {}

    def note(self, request: Request, address: str, seconds: float) -> None:
        """`request.status` 0: it has no answer, its client left."""
        route = request.route
        count = self._known.get((route, request.method, request.status)) or self._first(request)
        count.number += 1
        if not count.is_sampled and not request.waited:
            count.seconds.observe(seconds)
        self._left -= 1
        if self._left < 0:
            self._show(count, request, address, seconds)
        if _is_logged(count.level):
            access_log.log(request, address, seconds)

    def _first(self, request: Request) -> _Count:
        """Of a method that is not known there are as many as strangers think of, so these are looked up each time."""
        route, method = request.route, request.method if request.method in self.methods else OTHER
        key = (route.template, method, str(request.status) if request.status else NO_STATUS)
        count = self._counts.get(key)
        if count is None:
            seconds = self._seconds.setdefault((route.template, method), Histogram(SECONDS))
            count = self._counts[key] = _Count(route, *key[1:], seconds)
        if method != OTHER:
            self._known[route, method, request.status] = count
        return count

    # -- who looks closer

    def watch(self, see: See) -> None:
        """From the next request on."""
        self._watchers.append(see)
        self._left = 0

    def unwatch(self, see: See) -> None:
        self._watchers.remove(see)

    def _show(self, count: _Count, request: Request, address: str, seconds: float) -> None:
        if self._watchers:
            self._left = 0
            self._tell(self._watchers, request, address, seconds)
            if self._random.random() >= 1 / SAMPLE:
                return
        else:
            self._left = int(self._random.random() * (2 * SAMPLE - 1))
        if count.is_sampled and not request.waited:
            count.seconds.observe(seconds)
        self._tell(self.samples, request, address, seconds)

    def _tell(self, whom: Iterable[See], request: Request, address: str, seconds: float) -> None:
        for see in list(whom):
            try:
                see(request, address, seconds)
            except Exception:  # the answer has been sent
                _log.exception("a request could not be looked at", {"event": "traffic.failed"})

    # -- what was counted

    def number(self, kind: Kind, statuses: Callable[[str], bool]) -> int:
        """Of requests of this kind with such a status."""
        return sum(each.number for each in self._counts.values() if each.kind is kind and statuses(each.status))

    @property
    def requests(self) -> int:
        return sum(each.number for each in self._counts.values())

    @property
    def seconds_of_answers(self) -> list[Histogram]:
        """Without those that waited for a change, and streams."""
        streams = {(each.route, each.method) for each in self._counts.values() if each.kind is Kind.STREAM}
        return [each for key, each in self._seconds.items() if key not in streams]

    def metrics(self) -> list[Metric]:
        def requests() -> Readings:
            return Counter({key: count.number for key, count in self._counts.items()})

        return [
            Metric("counter", "discovery_http_requests", "HTTP requests.", requests, ("route", "method", "status")),
            Metric(
                "histogram", "discovery_http_duration_seconds", "From a whole request to its whole answer; heartbeats, resolves: sampled.",
                lambda: self._seconds, ("route", "method"),
            ),
        ]  # fmt: skip
