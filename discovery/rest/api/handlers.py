"""The routes of the original registry and their closest kin, DESIGN's HTTP table. Each reads, asks the engine or the registry,
and shows the result; rules and errors are others' work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from random import Random
from typing import Any

import orjson
from aiohttp import web

from discovery import __version__
from discovery.core.caller import Caller
from discovery.core.errors import InvalidField
from discovery.core.instance import Instance, Key, Registration
from discovery.core.lease import Lease
from discovery.core.name import fold, label
from discovery.rest.api import views
from discovery.rest.api.answers import Answer
from discovery.rest.api.batch import register_all, renew_all
from discovery.rest.api.counting import count_by_status
from discovery.rest.api.errors import HttpError
from discovery.rest.api.listing import Listing
from discovery.rest.api.requests import (
    PlainHandler,
    Request,
    asked_by,
    caller_of,
    json_object,
    key_in_path,
    read,
    route,
    sent,
)
from discovery.rest.api.resolving import Resolving
from discovery.rest.api.schemas import (
    MAX_BATCH,
    MAX_REGISTRATIONS,
    HeartbeatBody,
    HeartbeatsBody,
    RegisterBody,
    RegistrationsBody,
    usual_key,
)
from discovery.rest.api.times import Times
from discovery.store.engine import Engine
from discovery.store.errors import UnknownInstance
from discovery.store.registration import Deregister, DeregisterMany, Register, Upsert
from discovery.store.registry import Registry
from discovery.store.service import Entry
from discovery.store.transaction import MAX_EVENTS

# What is not ready, and why; None when it is.
Check = Callable[[], "str | None"]

# Parts of a deregistration that wait for the disk together: they all end in one turn, and let go of 100 instances each.
_UNDER_WAY = 16
_DELETE_EXAMPLE = "DELETE /services/user-service/instances?ip=127.0.0.1&port=3001"


class Handlers:
    """`clock`: monotonic seconds, the registry's. `checks`: what /ready asks. `more_stats`: what others add to /stats.

    `random`: spreads the heartbeats. `count_registration`: is told of each by address and time, and refuses one too many.
    `note_refused`: is told by request how many items of a batch were refused, and why the first.
    """

    def __init__(
        self,
        registry: Registry,
        engine: Engine,
        clock: Callable[[], float],
        times: Times,
        random: Random,
        checks: Mapping[str, Check],
        more_stats: Callable[[], Mapping[str, Any]] = dict,
        count_registration: Callable[[str, float], None] = lambda address, now: None,
        note_refused: Callable[[Request, int, str], None] = lambda request, count, why: None,
    ) -> None:
        self._registry = registry
        self._engine = engine
        self._clock = clock
        self._times = times
        self._random = random
        self._checks = checks
        self._more_stats = more_stats
        self._count_registration = count_registration
        self._note_refused = note_refused
        self._started_at = clock()
        self._listing = Listing(registry, clock, times)
        self.resolve = Resolving(registry, clock, times, random).resolve

    def routes(self) -> list[web.RouteDef]:
        return [
            *(web.route(method, path, route(handler)) for (method, path), handler in self.plain().items()),
            web.get("/resolve/{name}", self._resolve_of_aiohttp),
            web.get("/instances/{id}", self.instance),
            web.delete("/instances/{id}", self.deregister_by_id),
            web.get("/services", self._listing.services),
            web.delete("/services/{name}", self.deregister_service),
            web.delete("/services/{name}/instances", self.deregister),
            web.post("/admin/clear", self.clear),
            web.get("/stats", self.stats),
            web.get("/health", self.health),
            web.get("/ready", self.ready),
        ]

    def index(self) -> int:
        """The registry's."""
        return self._registry.index

    def plain(self) -> dict[tuple[str, str], PlainHandler]:
        """What services say, by method and path: it never ends, so it is answered without aiohttp where nobody has to see it."""
        return {
            ("POST", "/register"): self.register,
            ("POST", "/registrations"): self.registrations,
            ("POST", "/heartbeat"): self.heartbeat,
            ("POST", "/heartbeats"): self.heartbeats,
            ("PUT", "/instances"): self.upsert,
        }

    # -- what services say

    async def register(self, request: Request) -> Answer:
        self._count_registration(request.caller.address, self._clock())
        spec = read(request, RegisterBody).registration()
        instance = await self._engine.submit(Register(spec), request.caller)
        content = {
            "message": "Service registered successfully",
            "instance": views.registered(instance),
            **self._advice(instance.ttl),
        }
        return Answer(201, self._json(content), {"Location": f"/instances/{instance.id}"})

    async def registrations(self, request: Request) -> Answer:
        """Many at once. One that is refused or malformed is told of in its place and fails nobody else."""
        items = read(request, RegistrationsBody).instances
        if len(items) > MAX_REGISTRATIONS:
            raise InvalidField("instances", f"has {len(items)} entries, at most {MAX_REGISTRATIONS} fit one request")
        count = partial(self._count_registration, request.caller.address)
        results = await register_all(self._engine, items, request.caller, count, self._clock)
        refused = [result for result in results if result["status"] != HTTPStatus.CREATED]
        if refused:
            self._note_refused(request, len(refused), refused[0]["message"])
        content = {
            "registered": len(results) - len(refused),
            "results": results,
            **self._advice(self._registry.lease_ttl),
        }
        return Answer(200, self._json(content))

    def heartbeat(self, request: Request) -> Answer | Awaitable[Answer]:
        content = json_object(request, orjson.loads)  # no number of a heartbeat is longer than a port
        try:  # the usual spelling, found as it is
            key = usual_key(content)
        except (KeyError, TypeError, AttributeError):
            key = None
        if key is not None:
            try:
                entry = self._engine.renew(key, request.caller)
            except UnknownInstance:
                pass  # perhaps in another spelling; `suppress` would take as long as the renewal
            else:
                return Answer(200, self._json(self._renewed(entry)))
        body = HeartbeatBody.model_validate(content)
        if body.with_registration:
            return self.upsert(request)
        return Answer(200, self._json(self._renewed(self._engine.renew(body.key(), request.caller))))

    async def upsert(self, request: Request) -> Answer:
        """A heartbeat that carries the whole registration. One that says nothing new is no write."""
        spec = read(request, RegisterBody).registration()
        known = self._registry.at(spec.key) if self._registry.knows(spec.key) else None
        if known is not None and self._says_nothing_new(known, spec):
            entry = self._engine.renew(spec.key, request.caller)
        else:
            if known is not None:  # a heartbeat all the same, whatever becomes of the rest
                self._engine.renew(spec.key, request.caller)
            self._count_registration(request.caller.address, self._clock())
            instance = await self._engine.submit(Upsert(spec), request.caller)
            # It may be gone again, while the disk was waited for: what was done is answered all the same.
            entry = self._registry.find(instance.id) or Entry(instance, Lease(instance.ttl, self._clock()))
        content = self._renewed(entry)
        content["instance"] |= views.registered(entry.instance)
        if known is not None:
            return Answer(200, self._json(content))
        content["message"] = "Service registered successfully"
        return Answer(201, self._json(content), {"Location": f"/instances/{entry.instance.id}"})

    def _says_nothing_new(self, known: Entry, spec: Registration) -> bool:
        same = known.instance.spec == replace(spec, name=known.instance.spec.name, id=None)
        return same and known.index <= self._engine.safe  # what is not must not be acknowledged as if it were

    async def heartbeats(self, request: Request) -> Answer:
        items = read(request, HeartbeatsBody).instances
        if len(items) > MAX_BATCH:
            raise InvalidField("instances", f"has {len(items)} entries, at most {MAX_BATCH} fit one request")
        renewed = await renew_all(self._engine, items, request.caller)
        if renewed.unknown:
            self._note_refused(request, len(renewed.unknown), renewed.unknown[0]["message"])
        content = {
            "updated": renewed.updated,
            "unknown": renewed.unknown,
            **self._advice(renewed.shortest or self._registry.lease_ttl),
        }
        return Answer(200, self._json(content))

    def _renewed(self, entry: Entry) -> views.Json:
        return {
            "message": "Heartbeat updated",
            "instance": views.renewed(entry, self._clock(), self._times),
            **self._advice(entry.lease.ttl),
        }

    async def deregister(self, request: web.Request) -> web.Response:
        key = key_in_path(request, _DELETE_EXAMPLE)
        return await self._deregister(key, request)

    async def deregister_by_id(self, request: web.Request) -> web.Response:
        return await self._deregister(request.match_info["id"], request)

    async def _deregister(self, which: Key | str, request: web.Request) -> web.Response:
        instance = await self._engine.submit(Deregister(which, asked_by(request)), caller_of(request))
        content = {"message": "Instance deregistered successfully", "removedInstance": views.identity(instance)}
        return self._reply(content)

    async def deregister_service(self, request: web.Request) -> web.Response:
        name = label(request.match_info["name"], "name")
        service = self._registry.service(name)
        entries = list(service.entries.values()) if service else []
        removed = await self._deregister_all(entries, asked_by(request), fold(name), caller_of(request))
        content = {
            "message": "Service deregistered successfully",
            "serviceName": service.name if service else name,
            "instancesRemoved": removed,
        }
        return self._reply(content)

    async def clear(self, request: web.Request) -> web.Response:
        """All that is registered now."""
        services = list(self._registry.services)
        reason = f"cleared, {asked_by(request)}"
        removed = await self._deregister_all(list(self._registry), reason, None, caller_of(request))
        content = {
            "message": "Registry cleared",
            "servicesRemoved": sum(name not in self._registry.services for name in services),
            "instancesRemoved": removed,
        }
        return self._reply(content)

    async def _deregister_all(self, entries: list[Entry], reason: str, service: str | None, caller: Caller) -> int:
        """Some at a time, each in a turn of its own, so that a large table does not hold the event loop. How many there were.

        `entries` is emptied: the last reference to so many must not go in one turn.
        """
        entries.reverse()
        removed, under_way = 0, list[asyncio.Future[list[Instance]]]()
        while True:
            keys = tuple(entry.instance.spec.key for entry in entries[: -MAX_EVENTS - 1 : -1])
            del entries[-MAX_EVENTS:]
            write = DeregisterMany(keys, reason, service)
            under_way.append(asyncio.ensure_future(self._engine.submit(write, caller)))
            await asyncio.sleep(0)  # they are made safe together
            if not entries or len(under_way) == _UNDER_WAY:
                removed += sum(map(len, await asyncio.gather(*under_way)))
                under_way.clear()
            if not entries:
                return removed

    # -- what others ask

    async def _resolve_of_aiohttp(self, request: web.Request) -> web.Response:
        answer = self.resolve(request.match_info["name"], sent(request))
        return (answer if isinstance(answer, Answer) else await answer).for_aiohttp()

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
        return self._reply({"ready": True, "notReady": {}})

    # -- common to several

    def _advice(self, ttl: float) -> dict[str, Any]:
        """When to beat next: a third of the timeout, so that two may be lost; ±10 % keep a fleet from beating in step."""
        interval = ttl * 1000 / 3 * self._random.uniform(0.9, 1.1)
        return {"heartbeatIntervalMs": round(interval), "index": self._registry.index}

    def _uptime(self) -> int:
        """Whole seconds."""
        return int(self._clock() - self._started_at)

    def _reply(self, content: views.Json) -> web.Response:
        return Answer(200, self._json(content)).for_aiohttp()

    def _json(self, content: views.Json) -> bytes:
        content["timestamp"] = self._times.now()
        return orjson.dumps(content)
