"""The routes of the original registry and their closest kin, DESIGN's HTTP table, put together; here are those that tell of the server
itself and of one instance. Each reads, asks the engine or the registry, and shows the result; rules and errors are others' work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from aiohttp import web

from discovery import __version__
from discovery.core.caller import Caller
from discovery.rest.api import views
from discovery.rest.api.answers import Answer, stamped
from discovery.rest.api.counting import count_by_status
from discovery.rest.api.errors import HttpError
from discovery.rest.api.etag import conditional
from discovery.rest.api.held import ForConnection, Held
from discovery.rest.api.listing import Listing
from discovery.rest.api.registering import Registering
from discovery.rest.api.removing import Removing
from discovery.rest.api.requests import PlainHandler, Request, route, sent
from discovery.rest.api.resolving import Resolving
from discovery.rest.api.times import Times
from discovery.rest.api.waiting import LongPolls
from discovery.store.engine import Engine
from discovery.store.registration import Register, Upsert
from discovery.store.registry import Registry

# What is not ready (or not as it should be), and why; None when it is.
Check = Callable[[], "str | None"]


class Handlers:
    """`clock`: monotonic seconds, the registry's. `checks`: what /ready asks. `more_stats`: what others add to /stats.

    `random`: spreads the heartbeats. `polls`: lets requests wait. `count_registration`: is told of each by address and time, and
    refuses one too many. `note_refused`: is told by request how many items of a batch were refused, and why the first.
    `sees_actors`: who may know who did what. `concerns`: what /ready warns of, though all can be asked.
    `may_clear`: raises Forbidden or HttpError 403.
    """

    def __init__(
        self,
        registry: Registry,
        engine: Engine,
        clock: Callable[[], float],
        times: Times,
        random: Random,
        polls: LongPolls,
        checks: Mapping[str, Check],
        more_stats: Callable[[], Mapping[str, Any]] = dict,
        count_registration: Callable[[str, float], None] = lambda address, now: None,
        note_refused: Callable[[Request, int, str], None] = lambda request, count, why: None,
        sees_actors: Callable[[Caller], bool] = lambda caller: False,
        concerns: Sequence[Check] = (),
        may_clear: Callable[[Request], None] = lambda request: None,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._times = times
        self._checks = checks
        self._concerns = concerns
        self._more_stats = more_stats
        self._started_at = clock()
        self._registering = Registering(registry, engine, clock, times, random, count_registration, note_refused)
        self._removing = Removing(registry, engine, times, may_clear)
        self._listing = Listing(registry, clock, times, polls, sees_actors)
        self.services_held = self._listing.held
        self.resolve = Resolving(registry, clock, times, random, polls, sees_actors).resolve

    def routes(self) -> list[web.RouteDef]:
        return [
            *(web.route(method, path, route(handler)) for (method, path), handler in self.plain().items()),
            web.get("/resolve/{name}", self._resolve_of_aiohttp),
            web.get("/instances/{id}", self.instance),
            web.get("/services", self._listing.services),
            *self._removing.routes(),
            web.get("/stats", self.stats),
            web.get("/health", self.health),
            web.get("/ready", self.ready),
        ]

    def index(self) -> int:
        """The registry's."""
        return self._registry.index

    def plain(self) -> dict[tuple[str, str], PlainHandler]:
        """Handlers that are called without aiohttp where nobody has to see every request, by method and path."""
        return self._registering.plain()

    async def _resolve_of_aiohttp(self, request: web.Request) -> web.Response:
        ours = sent(request)
        answer = self.resolve(request.match_info["name"], ours)
        if isinstance(answer, Held):
            return ForConnection(answer)
        return conditional(ours, answer if isinstance(answer, Answer) else await answer).for_aiohttp()

    async def instance(self, request: web.Request) -> web.Response:
        entry = self._registry.by_id(request.match_info["id"])
        window = self._registry.window(entry.instance)
        return self._reply(views.listed(entry, self._clock(), self._times, window))

    async def stats(self, request: web.Request) -> web.Response:
        registry = self._registry
        counts = await count_by_status(registry, self._clock)
        content = {
            "totalRegistrations": registry.accepted[Register.action] + registry.accepted[Upsert.action],
            "totalHeartbeats": registry.renewals,
            "totalCleanups": registry.cleanups,
            "activeServices": len(registry.services),
            "activeInstances": len(registry),
            "services": [service.name for service in registry.services.values()],
            "uptime": self._uptime(),
            "heartbeatTimeout": f"{registry.lease_ttl:g}s",
            "cleanupInterval": f"{registry.cleanup_interval:g}s",
            "instancesByStatus": {status.value: count for status, count in counts.items()},
            "servicesHeldByTheBrake": [service.name for service in registry.services.values() if service.hold],
            "brakeHolds": views.brake_holds(
                registry.services.values(), registry.liveness.brake.max_seconds, self._times
            ),
            **self._more_stats(),
        }
        return self._reply(content)

    async def health(self, request: web.Request) -> web.Response:
        content = {
            "status": "healthy",
            "service": "service-registry",
            "version": __version__,
            "uptime": self._uptime(),
        }
        return self._reply(content)

    async def ready(self, request: web.Request) -> web.Response:
        reasons = {name: reason for name, check in self._checks.items() if (reason := check()) is not None}
        if reasons:
            raise HttpError(
                503, "NOT_READY", f"Not ready: {'; '.join(reasons.values())}", ready=False, notReady=reasons
            )
        warnings = [warning for concern in self._concerns if (warning := concern()) is not None]
        return self._reply({"ready": True, "notReady": {}, "warnings": warnings})

    def _uptime(self) -> int:
        """Whole seconds."""
        return int(self._clock() - self._started_at)

    def _reply(self, content: views.Json) -> web.Response:
        return Answer(200, stamped(content, self._times)).for_aiohttp()
