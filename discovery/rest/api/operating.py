"""What operators do with instances that live: drain them, and take them or their service into maintenance and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discovery.core.caller import Caller
from discovery.core.instance import Instance
from discovery.core.maintenance import MAX_REASON, MAX_SECONDS, Scope, Window
from discovery.core.name import fold, service_name
from discovery.core.schema import TEXT, Schema, described, list_of, or_null
from discovery.core.status import Status
from discovery.rest.api import views
from discovery.rest.api.answers import Json
from discovery.rest.api.example import Example
from discovery.rest.api.handlers import Handlers
from discovery.rest.api.parameters import AT
from discovery.rest.api.requests import Request, json_object
from discovery.rest.api.route import STORED, Kind, Right, Route
from discovery.rest.api.services.removing import instance_in
from discovery.rest.api.shapes import ADDRESS, LISTED, SHOWN_PORT, TIME, WARNINGS, WINDOW, Fields, Shape, reply, said
from discovery.rest.api.times import iso
from discovery.store.operations import Drain, EndMaintenance, Maintain, Settle
from discovery.store.write import Write
from discovery.system.turns import turns

# Seconds. A cache whose clock has whole seconds (Unbound 1.17 of Debian 12) holds an answer for almost so much longer than its TTL.
_CACHE_CLOCK = 1

_BODY = Shape(
    "MaintenanceBody",
    {
        "reason": {"type": "string", "pattern": "\\S", "maxLength": MAX_REASON},
        "until?": or_null({"type": "string", "format": "date-time"}),
        "seconds?": or_null({"type": "number", "exclusiveMinimum": 0, "maximum": MAX_SECONDS}),
    },
    "PUT …/maintenance: why, and until when (ISO 8601) or for how many seconds.",
)
_DRAINED = reply(
    "DrainReply",
    {"message": said("Instance is draining"), "instance": LISTED, "safeAfter?": described(TIME, "no cache holds it any more")},
)  # fmt: skip
_NAMED: Mapping[str, Schema] = {"serviceName": TEXT, "ip?": ADDRESS, "port?": SHOWN_PORT}
_MAINTAINED = reply(
    "MaintenanceReply",
    {"message": said("Maintenance begins"), **_NAMED, "reason?": TEXT, "until?": TIME, "warnings?": WARNINGS},
    "`reason` and `until`: of one that begins. `ip` and `port`: of an instance's.",
)
_WINDOWS = reply("MaintenancesReply", {"windows": list_of(WINDOW.also("NamedWindow", _NAMED))})
_FIELDS = Fields(_BODY)
HEADING = "Taking instances out, and back"
_WINDOW = {"reason": "a new disk", "seconds": 3600}


class Operations(Handlers):
    def routes(self) -> list[Route]:
        write, operation = Right.WRITE, Kind.OPERATION
        begun, unknown = ("PUT /instances/user-1/maintenance",), ("INSTANCE_UNKNOWN", *STORED)
        routes = [
            Route(
                "GET", "/maintenance", self.list, Right.READ, operation, "All maintenance windows", HEADING, _WINDOWS,
                examples=(Example(after=begun),),
            )
        ]  # fmt: skip
        for path, query in (("/services/{name}/instances", AT), ("/instances/{id}", {})):
            more: dict[str, Any] = {
                "heading": HEADING,
                "reply": _DRAINED,
                "codes": unknown,
                "query": query,
                "lenient": True,
            }
            ends = Example(after=("PUT /instances/user-1/drain",), more={"message": "Instance is no longer draining"})
            routes += [
                Route("PUT", f"{path}/drain", self.drain, write, operation, "Out of new answers, still alive", **more),
                Route(
                    "DELETE", f"{path}/drain", self.undrain, write, operation, "Back into answers", examples=(ends,), **more
                ),
            ]  # fmt: skip
        for path, query, codes in (
            ("/services/{name}", {}, ("SERVICE_UNKNOWN", *STORED)),
            ("/services/{name}/instances", AT, unknown),
            ("/instances/{id}", {}, unknown),
        ):
            more = {"heading": HEADING, "reply": _MAINTAINED, "query": query, "lenient": True}
            of_service = path == "/services/{name}"
            ends = Example(
                after=("PUT /services/user-service/maintenance",) if of_service else begun,
                more={"message": "Maintenance has ended"},
            )
            routes += [
                Route(
                    "PUT", f"{path}/maintenance", self.maintain, write, operation, "Begin maintenance", body=_BODY,
                    codes=(*codes, "TOO_MANY_WINDOWS"), examples=(Example(_WINDOW),), **more,
                ),
                Route(
                    "DELETE", f"{path}/maintenance", self.end, write, operation, "End maintenance",
                    codes=(*STORED, "NO_MAINTENANCE"), examples=(ends,), **more,
                ),
            ]  # fmt: skip
        return routes

    async def drain(self, request: Request) -> Json:
        return await self._drain(request, True)

    async def undrain(self, request: Request) -> Json:
        return await self._drain(request, False)

    async def _drain(self, request: Request, draining: bool) -> Json:
        what = "draining" if draining else "no longer draining"
        write = Drain(instance_in(request), draining, f"{what}, {request.reason}")
        instance = await self.engine.submit(write, request.caller)
        content = {"message": f"Instance is {what}", "instance": self._shown(instance)}
        if instance.draining_since is not None:
            # By then no cache can hold an answer with it: none was given since, and no TTL is longer.
            content["safeAfter"] = iso(instance.draining_since + self.longest_ttl + _CACHE_CLOCK)
        return content

    async def maintain(self, request: Request) -> Json:
        sent = json_object(request)
        window = Window.of(sent.get("reason"), sent.get("until"), sent.get("seconds"), self.times.wall())
        scope = self._scope(request)
        await self._for_all(Maintain(scope, window), scope, request.caller)
        begins = {"message": "Maintenance begins", **self._named(scope), **views.maintenance(window)}
        return begins | _FIELDS.said_of(sent)

    async def end(self, request: Request) -> Json:
        scope = self._scope(request)
        await self._for_all(EndMaintenance(scope, f"maintenance ended, {request.reason}"), scope, request.caller)
        return {"message": "Maintenance has ended", **self._named(scope)}

    def list(self, request: Request) -> Json:
        windows = self.registry.windows.items()
        shown = [{**self._named(scope), **views.maintenance(window)} for scope, window in windows]
        return {"windows": shown}

    def _scope(self, request: Request) -> Scope:
        """Of an instance, or of a whole service."""
        if "id" not in request.names and not request.route.query:
            return Scope(fold(service_name(request.names["name"])))
        named = instance_in(request)
        return Scope.of(self.registry.at(named).instance.spec.key if isinstance(named, str) else named)

    def _named(self, scope: Scope) -> Json:
        service = self.registry.service(scope.service)
        instance = {} if scope.ip is None else {"ip": scope.ip, "port": scope.port or None}
        return {"serviceName": scope.service if service is None else service.name, **instance}

    async def _for_all(self, write: Write[bool], scope: Scope, caller: Caller) -> None:
        """Returns when all whom the window is for follow it: of a large service some at a time."""
        settled = await self.engine.submit(write, caller)
        while not settled:
            await turns().over()
            settled = await self.engine.submit(Settle(scope), caller)

    def _shown(self, instance: Instance) -> Json:
        entry, now = self.registry.find(instance.id), self.clock()
        if entry is None:  # its drain was remembered, and no longer is
            return views.identity(instance) | {"status": Status.UNHEALTHY}
        return views.listed(entry, now, self.times, self.registry.window(entry.instance))
