"""Deregistrations: of one instance, of a service, of everything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from discovery.core.caller import Caller
from discovery.core.instance import Instance, Key
from discovery.core.name import fold, service_name
from discovery.core.options import MAX_IMPORTED_FROM
from discovery.core.schema import TEXT, WHOLE
from discovery.rest.api import views
from discovery.rest.api.answers import Json
from discovery.rest.api.handlers import Handlers
from discovery.rest.api.parameters import AT, text
from discovery.rest.api.query import Table, values_of
from discovery.rest.api.registering import HEADING
from discovery.rest.api.requests import Request
from discovery.rest.api.route import STORED, Kind, Right, Route
from discovery.rest.api.shapes import IDENTITY, reply, said
from discovery.store.operations import MAX_DEREGISTERED, DeregisterMany
from discovery.store.registration import Deregister
from discovery.store.service import Entry
from discovery.system.turns import TURN, turns

# Parts of a deregistration that wait for the disk together: they all end in one turn, and let go of 32 instances each.
_UNDER_WAY = 48


_IMPORTED: Table = {
    "importedFrom": text(MAX_IMPORTED_FROM, "only while it is imported from there: for whoever imports")
}


_INSTANCE_GONE = reply(
    "DeregisterReply", {"message": said("Instance deregistered successfully"), "removedInstance": IDENTITY}
)
_SERVICE_GONE = reply(
    "DeregisterServiceReply",
    {"message": said("Service deregistered successfully"), "serviceName": TEXT, "instancesRemoved": WHOLE},
)
_CLEARED = reply(
    "ClearReply", {"message": said("Registry cleared"), "servicesRemoved": WHOLE, "instancesRemoved": WHOLE}
)


class Removing(Handlers):
    def routes(self) -> list[Route]:
        return [
            Route(
                "DELETE", "/instances/{id}", self.deregister, Right.WRITE, Kind.REMOVAL, "Deregister by id", HEADING,
                _INSTANCE_GONE, codes=("TAKEN_OVER", *STORED), query=_IMPORTED,
            ),
            Route(
                "DELETE", "/services/{name}", self.deregister_service, Right.WRITE, Kind.REMOVAL, "Deregister a whole service",
                HEADING, _SERVICE_GONE, codes=("SERVICE_UNKNOWN", *STORED),
            ),
            Route(
                "DELETE", "/services/{name}/instances", self.deregister, Right.WRITE, Kind.REMOVAL, "Deregister an instance",
                HEADING, _INSTANCE_GONE, codes=("INSTANCE_UNKNOWN", *STORED), query=AT, lenient=True,
            ),
            Route(
                "POST", "/admin/clear", self.clear, Right.ADMIN, Kind.REMOVAL, "Deregister everything", HEADING,
                _CLEARED, codes=STORED,
            ),
        ]  # fmt: skip

    async def deregister(self, request: Request) -> Json:
        origin = values_of(request).get("importedFrom")
        instance = await self.engine.submit(Deregister(instance_in(request), request.reason, origin), request.caller)
        return {"message": "Instance deregistered successfully", "removedInstance": views.identity(instance)}

    async def deregister_service(self, request: Request) -> Json:
        name = service_name(request.names["name"])
        service = self.registry.service(name)
        entries = list(service.entries.values()) if service else []
        _, removed = await self._deregister_all(_in_parts(entries), request.reason, fold(name), request.caller)
        return {
            "message": "Service deregistered successfully",
            "serviceName": service.name if service else name,
            "instancesRemoved": removed,
        }

    async def clear(self, request: Request) -> Json:
        """All that is registered now; what is registered meanwhile may stay."""
        reason = f"cleared, {request.reason}"
        entries = self.registry.in_parts(MAX_DEREGISTERED)
        services, instances = await self._deregister_all(entries, reason, None, request.caller)
        return {
            "message": "Registry cleared",
            "servicesRemoved": services,
            "instancesRemoved": instances,
        }

    async def _deregister_all(
        self, parts: Iterator[list[Entry]], reason: str, service: str | None, caller: Caller
    ) -> tuple[int, int]:
        """How many services, of which nothing is left, and instances. Each part, of at most MAX_DEREGISTERED, in a turn of its own, so that
        a large table does not hold the event loop.
        """
        services, instances, names, under_way = 0, 0, set[str](), list[asyncio.Future[list[Instance]]]()
        part = next(parts, [])  # none at all is a write, too: it says so, or waits for the disk
        while True:
            keys = tuple(entry.instance.spec.key for entry in part)
            names.update(key.service for key in keys)
            write = DeregisterMany(keys, reason, service)
            task = asyncio.ensure_future(self.engine.submit(write, caller))
            # Whoever asked may leave before the last part.
            task.add_done_callback(lambda task: task.cancelled() or task.exception())
            under_way.append(task)
            turns().reserve(TURN)  # its task begins; they are made safe together
            await turns().over()
            part = next(parts, [])
            if not part or len(under_way) == _UNDER_WAY:
                instances += sum(map(len, await asyncio.gather(*under_way)))
                gone = {name for name in names if name not in self.registry.services}
                services += len(gone)
                names -= gone  # the last one may have more instances, in the next part
                under_way.clear()
            if not part:
                return services, instances


def instance_in(request: Request) -> Key | str:
    """Which instance a path means: by id, or by the service's name with `ip` and `port` in the query. InvalidField, HttpError 400."""
    if "id" in request.names:
        return request.names["id"]
    values = values_of(request)
    return Key(fold(service_name(request.names["name"])), values["ip"], values["port"])


def _in_parts(entries: list[Entry]) -> Iterator[list[Entry]]:
    return (entries[start : start + MAX_DEREGISTERED] for start in range(0, len(entries), MAX_DEREGISTERED))
