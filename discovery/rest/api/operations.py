"""What operators do with instances that live: drain them, and take them or their service into maintenance and back."""

from __future__ import annotations

from collections.abc import Callable

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from discovery.core.caller import Caller
from discovery.core.instance import Instance, Key
from discovery.core.maintenance import Scope
from discovery.core.name import fold, label
from discovery.core.status import Status
from discovery.rest.api import views
from discovery.rest.api.requests import asked_by, caller_of, json_object, key_in_path, sent
from discovery.rest.api.schemas import MaintenanceBody
from discovery.rest.api.times import Times, iso
from discovery.rest.api.unknown_fields import Fields
from discovery.store.engine import Engine
from discovery.store.operations import Drain, EndMaintenance, Maintain, Settle
from discovery.store.registry import Registry
from discovery.store.write import Write
from discovery.system.turns import turns

_JSON = "application/json"
_FIELDS = Fields(MaintenanceBody)
_EXAMPLE = "PUT /services/user-service/instances/{}?ip=127.0.0.1&port=3001"


class Operations:
    """`clock`: monotonic seconds, the registry's. `longest_ttl`: the upper bound of TTLs in DNS answers, seconds."""

    def __init__(
        self, registry: Registry, engine: Engine, clock: Callable[[], float], times: Times, longest_ttl: int
    ) -> None:
        self._registry = registry
        self._engine = engine
        self._clock = clock
        self._times = times
        self._longest_ttl = longest_ttl

    def routes(self) -> list[web.RouteDef]:
        routes = [web.get("/maintenance", self.list)]
        for path, which in (
            ("/services/{name}/instances/drain", _at("drain")),
            ("/instances/{id}/drain", _by_id),
        ):
            routes += [web.put(path, self._drain(which, True)), web.delete(path, self._drain(which, False))]
        for path, scope in (
            ("/services/{name}/maintenance", self._service),
            ("/services/{name}/instances/maintenance", self._instance(_at("maintenance"))),
            ("/instances/{id}/maintenance", self._instance(_by_id)),
        ):
            routes += [web.put(path, self._maintain(scope)), web.delete(path, self._end(scope))]
        return routes

    def _drain(self, which: Which, draining: bool) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            write = Drain(which(request), draining, f"{_DRAIN[draining]}, {asked_by(request)}")
            instance = await self._engine.submit(write, caller_of(request))
            content = {"message": f"Instance is {_DRAIN[draining]}", "instance": self._shown(instance)}
            began = instance.draining_since
            # By then no cache can hold an answer with it: none was given since, and no TTL is longer.
            safe_after = {} if began is None else {"safeAfter": iso(began + self._longest_ttl)}
            return self._reply(content | safe_after)

        return handle

    def _maintain(self, scope_of: ScopeOf) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            content = json_object(sent(request))
            body, warnings = MaintenanceBody.model_validate(content), _FIELDS.warnings(content)
            scope, wall = scope_of(request), self._times.wall()
            window = body.window(wall)
            await self._for_all(Maintain(scope, window), scope, caller_of(request))
            begins = {"message": "Maintenance begins", **self._named(scope), **views.maintenance(window)}
            return self._reply(begins | ({"warnings": warnings} if warnings else {}))

        return handle

    def _end(self, scope_of: ScopeOf) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            scope = scope_of(request)
            write = EndMaintenance(scope, f"maintenance ended, {asked_by(request)}")
            await self._for_all(write, scope, caller_of(request))
            return self._reply({"message": "Maintenance has ended", **self._named(scope)})

        return handle

    async def list(self, request: web.Request) -> web.Response:
        windows = self._registry.windows.items()
        return self._reply(
            {"windows": [{**self._named(scope), **views.maintenance(window)} for scope, window in windows]}
        )

    @staticmethod
    def _service(request: web.Request) -> Scope:
        return Scope(fold(label(request.match_info["name"], "name")))

    def _instance(self, which: Which) -> ScopeOf:
        def scope(request: web.Request) -> Scope:
            named = which(request)
            return Scope.of(self._registry.at(named).instance.spec.key if isinstance(named, str) else named)

        return scope

    def _named(self, scope: Scope) -> views.Json:
        service = self._registry.service(scope.service)
        instance = {} if scope.ip is None else {"ip": scope.ip, "port": scope.port}
        return {"serviceName": scope.service if service is None else service.name, **instance}

    async def _for_all(self, write: Write[bool], scope: Scope, caller: Caller) -> None:
        """Returns when all whom the window is for follow it: of a large service some at a time."""
        settled = await self._engine.submit(write, caller)
        while not settled:
            await turns().over()
            settled = await self._engine.submit(Settle(scope), caller)

    def _shown(self, instance: Instance) -> views.Json:
        entry, now = self._registry.find(instance.id), self._clock()
        if entry is None:  # its drain was remembered, and no longer is
            return views.identity(instance) | {"status": Status.UNHEALTHY}
        return views.listed(entry, now, self._times, self._registry.window(entry.instance))

    def _reply(self, content: views.Json) -> web.Response:
        return web.Response(body=orjson.dumps(content | {"timestamp": self._times.now()}), content_type=_JSON)


Which = Callable[[web.Request], "Key | str"]
ScopeOf = Callable[[web.Request], Scope]

_DRAIN = {True: "draining", False: "no longer draining"}


def _by_id(request: web.Request) -> str:
    return request.match_info["id"]


def _at(operation: str) -> Which:
    return lambda request: key_in_path(request, _EXAMPLE.format(operation))
