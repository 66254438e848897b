"""Deregistrations: of one instance, of a service, of everything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import NamedTuple

from aiohttp import web

from discovery.core.caller import Caller
from discovery.core.instance import Instance, Key
from discovery.core.name import fold, label
from discovery.rest.api import views
from discovery.rest.api.answers import Answer, stamped
from discovery.rest.api.requests import Request, asked_by, caller_of, key_in_path, sent
from discovery.rest.api.times import Times
from discovery.store.engine import Engine
from discovery.store.registration import Deregister, DeregisterMany
from discovery.store.registry import Registry
from discovery.store.service import Entry
from discovery.store.transaction import MAX_EVENTS
from discovery.system.turns import turns

# Parts of a deregistration that wait for the disk together: they all end in one turn, and let go of 100 instances each.
_UNDER_WAY = 16
_DELETE_EXAMPLE = "DELETE /services/user-service/instances?ip=127.0.0.1&port=3001"


class Removing:
    """`may_clear`: as `Handlers` has it."""

    def __init__(self, registry: Registry, engine: Engine, times: Times, may_clear: Callable[[Request], None]) -> None:
        self._registry = registry
        self._engine = engine
        self._times = times
        self._may_clear = may_clear

    def routes(self) -> list[web.RouteDef]:
        return [
            web.delete("/instances/{id}", self.deregister_by_id),
            web.delete("/services/{name}", self.deregister_service),
            web.delete("/services/{name}/instances", self.deregister),
            web.post("/admin/clear", self.clear),
        ]

    async def deregister(self, request: web.Request) -> web.Response:
        key = key_in_path(request, _DELETE_EXAMPLE)
        return await self._deregister(key, request)

    async def deregister_by_id(self, request: web.Request) -> web.Response:
        return await self._deregister(request.match_info["id"], request)

    async def _deregister(self, which: Key | str, request: web.Request) -> web.Response:
        instance = await self._engine.submit(Deregister(which, asked_by(request)), caller_of(request))
        content = {"message": "Instance deregistered successfully", "removedInstance": views.identity(instance)}
        return Answer(200, stamped(content, self._times)).for_aiohttp()

    async def deregister_service(self, request: web.Request) -> web.Response:
        name = label(request.match_info["name"], "name")
        service = self._registry.service(name)
        entries = list(service.entries.values()) if service else []
        removed = await self._deregister_all(_in_parts(entries), asked_by(request), fold(name), caller_of(request))
        content = {
            "message": "Service deregistered successfully",
            "serviceName": service.name if service else name,
            "instancesRemoved": removed.instances,
        }
        return Answer(200, stamped(content, self._times)).for_aiohttp()

    async def clear(self, request: web.Request) -> web.Response:
        """All that is registered now; what is registered meanwhile may stay."""
        self._may_clear(sent(request))
        reason = f"cleared, {asked_by(request)}"
        entries = self._registry.in_parts(MAX_EVENTS)
        removed = await self._deregister_all(entries, reason, None, caller_of(request))
        content = {
            "message": "Registry cleared",
            "servicesRemoved": removed.services,
            "instancesRemoved": removed.instances,
        }
        return Answer(200, stamped(content, self._times)).for_aiohttp()

    async def _deregister_all(
        self, parts: Iterator[list[Entry]], reason: str, service: str | None, caller: Caller
    ) -> Removed:
        """Each part, of at most MAX_EVENTS, in a turn of its own, so that a large table does not hold the event loop."""
        removed, names, under_way = Removed(0, 0), set[str](), list[asyncio.Future[list[Instance]]]()
        part = next(parts, [])  # none at all is a write, too: it says so, or waits for the disk
        while True:
            keys = tuple(entry.instance.spec.key for entry in part)
            names.update(key.service for key in keys)
            write = DeregisterMany(keys, reason, service)
            under_way.append(asyncio.ensure_future(self._engine.submit(write, caller)))
            turns().end()  # its task begins; they are made safe together
            await turns().over()
            part = next(parts, [])
            if not part or len(under_way) == _UNDER_WAY:
                instances = sum(map(len, await asyncio.gather(*under_way)))
                gone = {name for name in names if name not in self._registry.services}
                removed = Removed(removed.services + len(gone), removed.instances + instances)
                names -= gone  # the last one may have more instances, in the next part
                under_way.clear()
            if not part:
                return removed


class Removed(NamedTuple):
    """How many; `services`: those of which nothing is left."""

    services: int
    instances: int


def _in_parts(entries: list[Entry]) -> Iterator[list[Entry]]:
    return (entries[start : start + MAX_EVENTS] for start in range(0, len(entries), MAX_EVENTS))
