"""What was asked over HTTP and how it ended, counted in plain numbers: each request once, by route, method and status.

A route is known by the path alone, so that requests that were refused before anybody looked for a handler count for theirs.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from random import Random
from urllib.parse import unquote

from discovery.core.log_fields import fields
from discovery.core.metric import Histogram, Metric, Readings
from discovery.rest.api.requests import Request
from discovery.rest.http import access_log

_log = logging.getLogger("discovery.rest")
_is_logged = access_log.logger.isEnabledFor

OTHER = "other"
# The client left before its answer.
NO_STATUS = "none"
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"))
# One request of so many, on average, is shown to those that look at some.
SAMPLE = 16
# Seconds: a heartbeat takes tens of microseconds, a registration a few milliseconds, a long poll minutes.
SECONDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0, 60.0)

# `{name}`, and `{name:what it may be}`.
_PLACE = re.compile(r"\{(\w+)(?::([^{}]*))?\}")
_ONE_NAME = re.compile(r"([^{}]*)/\{[^{}]*\}")

# A request with its status, the client's address, and the seconds from one to the other.
See = Callable[[Request, str, float], None]


class _Count:
    """`level`: at which such requests are logged; None: each path of them has its own. `endless`: there are so many that only the samples
    of them are timed.
    """

    __slots__ = ("endless", "level", "method", "number", "route", "seconds", "see", "status")

    def __init__(self, route: str, method: str, status: str, seconds: Histogram, see: See | None) -> None:
        self.route = route
        self.method = method
        self.status = status
        self.seconds = seconds
        self.number = 0
        self.see = see
        self.level = None if route == OTHER else access_log.level_of(route)
        self.endless = self.level == logging.DEBUG


class Traffic:
    """`wanted`: somebody reads these numbers, so requests are counted. `samples` see one request of SAMPLE, `watch`ers each."""

    def __init__(self, random: Random | None = None) -> None:
        self.wanted = False
        self.scheme = "http"
        self.samples: list[See] = []
        self._random = random or Random()
        self._watchers: list[See] = []
        self._left = 0
        self._known: dict[tuple[str, str, int], _Count] = {}  # by route, method and status
        self._counts: dict[tuple[str, str, str], _Count] = {}
        self._followed: dict[tuple[str, str, str], See] = {}
        self._seconds: dict[tuple[str, ...], Histogram] = {}
        self._plain: frozenset[str] = frozenset()
        self._with_one_name: dict[str, str] = {}  # `/resolve/{name}` and its like, by what stands before the last slash
        self._patterns = re.compile("(?!)")
        self._routes: tuple[str, ...] = ()

    def begin(self, routes: Iterable[str], scheme: str = "http") -> None:
        """`routes`: `/resolve/{name}`, `/ui/{file:.+}` and the like: all that there are. `scheme`: http or https."""
        self.scheme = scheme
        every = {_PLACE.sub(r"{\1}", route): route for route in routes}
        self._plain = frozenset(route for route in every if "{" not in route)
        self._routes = tuple(sorted(every.keys() - self._plain))
        heads = {route: _ONE_NAME.fullmatch(route) for route in self._routes}
        self._with_one_name = {match[1]: route for route, match in heads.items() if match is not None}
        self._patterns = re.compile("|".join(f"({_pattern(every[route])})" for route in self._routes) or "(?!)")

    def route_of(self, path: str) -> str:
        """`path` as it was sent: aiohttp finds /%72egister too."""
        found = self._route_of(path)
        return self._route_of(unquote(path)) if found == OTHER and "%" in path else found

    def _route_of(self, path: str) -> str:
        if path in self._plain:
            return path
        head, _, name = path.rpartition("/")
        if name and head in self._with_one_name:  # as the patterns below, in a fifth of the time
            return self._with_one_name[head]
        match = self._patterns.fullmatch(path)
        return OTHER if match is None or match.lastindex is None else self._routes[match.lastindex - 1]

    def note(self, request: Request, address: str, seconds: float) -> None:
        """`request.status` 0: it has no answer, its client left."""
        path = request.path
        route = path if path in self._plain else self.route_of(path)
        count = self._known.get((route, request.method, request.status)) or self._first(route, request)
        count.number += 1
        if not count.endless and not request.waited:
            count.seconds.observe(seconds)
        if count.see is not None:
            self._tell((count.see,), request, address, seconds)
        self._left -= 1
        if self._left < 0:
            self._show(count, request, address, seconds)
        if count.level is None or _is_logged(count.level):
            access_log.log(request, address, seconds)

    def _first(self, route: str, request: Request) -> _Count:
        """Of a method that is not known there are as many as strangers think of, so these are looked up each time."""
        method = request.method if request.method in METHODS else OTHER
        key = (route, method, str(request.status) if request.status else NO_STATUS)
        count = self._counts.get(key)
        if count is None:
            seconds = self._seconds.setdefault((route, method), Histogram(SECONDS))
            count = self._counts[key] = _Count(*key, seconds, self._followed.get(key))
        if method != OTHER:
            self._known[route, method, request.status] = count
        return count

    # -- who looks closer

    def follow(self, method: str, route: str, status: str, see: See) -> None:
        """`see` is shown each request of this kind, and those of other kinds cost nothing. Before the first request."""
        self._followed[route, method, status] = see

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
        if count.endless and not request.waited:
            count.seconds.observe(seconds)
        self._tell(self.samples, request, address, seconds)

    def _tell(self, whom: Iterable[See], request: Request, address: str, seconds: float) -> None:
        for see in list(whom):
            try:
                see(request, address, seconds)
            except Exception:  # the answer has been sent
                _log.exception("a request could not be looked at", extra=fields("traffic.failed"))

    # -- what was counted

    def number(self, routes: Iterable[str], statuses: Callable[[str], bool]) -> int:
        """Of requests to these routes with such a status."""
        wanted = set(routes)
        return sum(each.number for each in self._counts.values() if each.route in wanted and statuses(each.status))

    @property
    def requests(self) -> int:
        return sum(each.number for each in self._counts.values())

    @property
    def seconds(self) -> Mapping[tuple[str, ...], Histogram]:
        """By route and method; those that waited for a change are not in it."""
        return self._seconds

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


def _pattern(route: str) -> str:
    pattern, end = "", 0
    for place in _PLACE.finditer(route):
        pattern += re.escape(route[end : place.start()]) + (place[2] or "[^/]+")
        end = place.end()
    return pattern + re.escape(route[end:])
