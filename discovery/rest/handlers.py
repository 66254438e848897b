"""The routes of the original registry and their closest kin, DESIGN's HTTP table. Each reads, asks the engine or the registry,
and shows the result; rules and errors are others' work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from random import Random
from typing import Any

import orjson
from aiohttp import hdrs, web

from discovery import __version__
from discovery.core.instance import Key
from discovery.core.name import label
from discovery.rest import views
from discovery.rest.errors import HttpError
from discovery.rest.requests import parameter, read
from discovery.rest.schemas import HeartbeatBody, RegisterBody
from discovery.rest.times import Times
from discovery.store.engine import Engine
from discovery.store.registry import Registry, UnknownService
from discovery.store.service import Entry
from discovery.store.writes import Deregister, DeregisterService, Register, Renew

# What is not ready, and why; None when it is.
Check = Callable[[], "str | None"]

_JSON = "application/json"
_DELETE_EXAMPLE = "DELETE /services/user-service/instances?ip=127.0.0.1&port=3001"
# Services for one turn of the event loop when the whole table is listed or cleared: ten instances each is about 3 ms.
_PER_TURN = 50


class Handlers:
    """`clock`: monotonic seconds, the registry's. `checks`: what /ready asks. `random`: spreads the heartbeats."""

    def __init__(
        self,
        registry: Registry,
        engine: Engine,
        clock: Callable[[], float],
        times: Times,
        random: Random,
        checks: Mapping[str, Check],
    ) -> None:
        self._registry = registry
        self._engine = engine
        self._clock = clock
        self._times = times
        self._random = random
        self._checks = checks
        self._started_at = clock()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/register", self.register),
            web.post("/heartbeat", self.heartbeat),
            web.get("/resolve/{name}", self.resolve),
            web.get("/instances/{id}", self.instance),
            web.get("/services", self.services),
            web.delete("/services/{name}", self.deregister_service),
            web.delete("/services/{name}/instances", self.deregister),
            web.post("/admin/clear", self.clear),
            web.get("/stats", self.stats),
            web.get("/health", self.health),
            web.get("/ready", self.ready),
        ]

    # -- what services say

    async def register(self, request: web.Request) -> web.Response:
        spec = (await read(request, RegisterBody)).registration()
        entry = await self._engine.submit(Register(spec, self._times.wall()))
        content = {
            "message": "Service registered successfully",
            "instance": views.registered(entry, self._clock()),
            **self._advice(entry),
        }
        return self._reply(content, 201, {"Location": f"/instances/{entry.instance.id}"})

    async def heartbeat(self, request: web.Request) -> web.Response:
        key = (await read(request, HeartbeatBody)).key()
        entry = await self._engine.submit(Renew(key))
        content = {
            "message": "Heartbeat updated",
            "instance": views.renewed(entry, self._clock(), self._times),
            **self._advice(entry),
        }
        return self._reply(content)

    async def deregister(self, request: web.Request) -> web.Response:
        ip = parameter(request, "ip", _DELETE_EXAMPLE)
        port = parameter(request, "port", _DELETE_EXAMPLE)
        key = Key.of(request.match_info["name"], ip, port)
        instance = await self._engine.submit(Deregister(key, _asked_by(request)))
        content = {"message": "Instance deregistered successfully", "removedInstance": views.identity(instance)}
        return self._reply(content)

    async def deregister_service(self, request: web.Request) -> web.Response:
        name = label(request.match_info["name"], "name")
        removed = await self._engine.submit(DeregisterService(name, _asked_by(request)))
        content = {
            "message": "Service deregistered successfully",
            "serviceName": removed[0].spec.name if removed else name,
            "instancesRemoved": len(removed),
        }
        return self._reply(content)

    async def clear(self, request: web.Request) -> web.Response:
        """All that is registered now. A service at a time, so a large table does not hold the event loop."""
        services = instances = 0
        for number, name in enumerate(list(self._registry.services), 1):
            try:
                removed = await self._engine.submit(DeregisterService(name, f"cleared, {_asked_by(request)}"))
            except UnknownService:  # it went by itself in between
                continue
            services, instances = services + 1, instances + len(removed)
            if number % _PER_TURN == 0:
                await asyncio.sleep(0)
        content = {"message": "Registry cleared", "servicesRemoved": services, "instancesRemoved": instances}
        return self._reply(content)

    # -- what others ask

    async def resolve(self, request: web.Request) -> web.Response:
        name = label(request.match_info["name"], "name")
        now = self._clock()
        service = self._registry.service(name)
        healthy = service.healthy(now) if service else []
        if service is None or not healthy:
            raise _nobody(name, 0 if service is None else len(service.entries))
        healthy.sort(key=lambda entry: entry.lease.renewed_at, reverse=True)
        content = {
            "serviceName": service.name,
            "instanceCount": len(healthy),
            "instances": [views.resolved(entry, now, self._times) for entry in healthy],
        }
        return self._reply(content)

    async def instance(self, request: web.Request) -> web.Response:
        entry = self._registry.by_id(request.match_info["id"])
        return self._reply(views.listed(entry, self._clock(), self._times))

    async def services(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_type = _JSON
        await response.prepare(request)
        if request.method == hdrs.METH_HEAD:
            return response
        async for piece in self._listing():
            await response.write(piece)
        await response.write_eof()
        return response

    async def _listing(self) -> AsyncIterator[bytes]:
        """The list in pieces; the totals come last, counted from what was listed."""
        services = instances = healthy = 0
        piece = [b'{"services":{']
        for number, key in enumerate(list(self._registry.services)):
            service = self._registry.services.get(key)
            if service is None:
                continue
            view = views.service(service, self._clock(), self._times)
            piece += (b"," if services else b"", orjson.dumps(service.name), b":", orjson.dumps(view))
            services += 1
            instances += view["instanceCount"]
            healthy += view["healthyCount"]
            if number % _PER_TURN == _PER_TURN - 1:
                yield b"".join(piece)
                piece = []
                await asyncio.sleep(0)
        totals = {"totalServices": services, "totalInstances": instances, "totalHealthyInstances": healthy}
        piece += (b"},", orjson.dumps(totals | {"timestamp": self._times.now()})[1:])
        yield b"".join(piece)

    async def stats(self, request: web.Request) -> web.Response:
        registry = self._registry
        content = {
            "totalRegistrations": registry.registrations,
            "totalHeartbeats": registry.renewals,
            "totalCleanups": registry.cleanups,
            "activeServices": len(registry.services),
            "activeInstances": len(registry),
            "services": [service.name for service in registry.services.values()],
            "uptime": self._uptime(),
            "heartbeatTimeout": f"{registry.lease_ttl:g}s",
            "cleanupInterval": f"{registry.cleanup_interval:g}s",
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

    def _advice(self, entry: Entry) -> dict[str, Any]:
        """When to beat next: a third of the timeout, so that two may be lost; ±10 % keep a fleet from beating in step."""
        interval = entry.lease.ttl * 1000 / 3 * self._random.uniform(0.9, 1.1)
        return {"heartbeatIntervalMs": round(interval), "index": self._registry.index}

    def _uptime(self) -> int:
        """Whole seconds."""
        return int(self._clock() - self._started_at)

    def _reply(self, content: views.Json, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
        content["timestamp"] = self._times.now()
        return web.Response(body=orjson.dumps(content), status=status, headers=headers, content_type=_JSON)


def _asked_by(request: web.Request) -> str:
    return f"asked for by {request.remote}"


def _nobody(name: str, known: int) -> HttpError:
    if known:
        message = f"Service {name} is known, but none of its {known} instances is healthy; see GET /services"
        return HttpError(404, "NO_HEALTHY_INSTANCE", message, serviceName=name, instanceCount=0, instances=[])
    message = f"No service {name} is registered; GET /services lists those that are"
    return HttpError(404, "SERVICE_UNKNOWN", message, serviceName=name, instanceCount=0, instances=[])
