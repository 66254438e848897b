"""GET /services: everything, streamed in pieces with the event loop free between them, or a page of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import orjson
from aiohttp import hdrs, web

from discovery.core.status import Status
from discovery.rest.api import parameters, views
from discovery.rest.api.answers import Answer
from discovery.rest.api.counting import count_by_status
from discovery.rest.api.query import Table, parse
from discovery.rest.api.requests import sent
from discovery.rest.api.times import Times
from discovery.store.registry import Registry
from discovery.store.service import Entry, Service

_JSON = "application/json"
# Instances that are listed in one turn of the event loop (10 µs each), by all listings together. The clock is read once for eight.
_PER_TURN = 100
_AT_ONCE = 8
# Octets that are gathered before they are sent. A client that does not read costs us so many, beside what the kernel holds for it.
_PIECE = 16 * 1024
# Services in a page: the default, and the most. 100 with ten instances each take 10 ms.
_PAGE = 100

PARAMETERS: Table = {
    "limit": parameters.whole(1, _PAGE, "a page of at most so many services"),
    "after": parameters.text(64, "a service's name: the page begins behind it"),
}


class Listing:
    """`clock`: monotonic seconds, the registry's."""

    def __init__(self, registry: Registry, clock: Callable[[], float], times: Times) -> None:
        self._registry = registry
        self._clock = clock
        self._times = times
        self._turn = asyncio.Lock()

    async def services(self, request: web.Request) -> web.StreamResponse:
        """All, streamed, or with `limit` (and `after`, a name) a page."""
        asked = parse(sent(request).query, PARAMETERS)
        if "limit" in asked or "after" in asked:
            return await self._page(asked.get("after", ""), asked.get("limit", _PAGE))
        response = web.StreamResponse()
        response.content_type = _JSON
        await response.prepare(request)
        if request.method == hdrs.METH_HEAD:
            return response
        pieces = self._pieces()
        while octets := await self._next(pieces):
            await response.write(octets)
        await response.write_eof()
        return response

    async def _next(self, pieces: Iterator[tuple[bytes, int]]) -> bytes:
        """Some pieces together; empty at the end. One listing at a time: many must not take all turns of the loop."""
        async with self._turn:
            gathered, work = bytearray(), 0
            for piece, cost in pieces:
                gathered += piece
                work += cost
                if work >= _PER_TURN or len(gathered) > _PIECE:
                    break
            await asyncio.sleep(0)
            return bytes(gathered)

    async def _page(self, after: str, size: int) -> web.Response:
        """`next`: what to send as `after` for the following page, null at the end. Totals are the whole registry's."""
        registry = self._registry
        healthy = (await count_by_status(registry, self._clock))[Status.HEALTHY]
        services = registry.page(after, size + 1)
        now = self._clock()
        content = {
            "totalServices": len(registry.services),
            "totalInstances": len(registry),
            "totalHealthyInstances": healthy,
            "services": {each.name: self._service(each, now) for each in services[:size]},
            "next": services[size - 1].name if len(services) > size else None,
            "timestamp": self._times.now(),
        }
        return Answer(200, orjson.dumps(content), index=registry.index).for_aiohttp()

    def _service(self, service: Service, now: float) -> views.Json:
        return {
            "instanceCount": len(service.entries),
            "healthyCount": len(service.healthy(now)),
            "instances": [self._listed(entry, now) for entry in service.entries.values()],
        }

    def _listed(self, entry: Entry, now: float) -> views.Json:
        return views.listed(entry, now, self._times, self._registry.window(entry.instance))

    def _pieces(self) -> Iterator[tuple[bytes, int]]:
        """The list, each piece with the work that it was, counted in instances.

        Totals and counts come after what they count. Services that go or come meanwhile may be in it or not.
        """
        services = instances = healthy = 0
        yield b'{"services":{', 0
        for key in list(self._registry.services):
            service = self._registry.services.get(key)
            if service is None:
                continue
            yield (b"," if services else b"") + orjson.dumps(service.name) + b':{"instances":[', 1
            listed = alive = 0
            for some in self._instances(service):
                yield (b"," if listed else b"") + orjson.dumps(some)[1:-1], len(some)
                listed += len(some)
                alive += sum(view["isHealthy"] for view in some)
            yield b"]," + orjson.dumps({"instanceCount": listed, "healthyCount": alive})[1:], 0
            services, instances, healthy = services + 1, instances + listed, healthy + alive
        totals = {"totalServices": services, "totalInstances": instances, "totalHealthyInstances": healthy}
        yield b"}," + orjson.dumps(totals | {"timestamp": self._times.now()})[1:], 0

    def _instances(self, service: Service) -> Iterator[list[views.Json]]:
        entries = list(service.entries.values())
        for start in range(0, len(entries), _AT_ONCE):
            now = self._clock()
            yield [self._listed(entry, now) for entry in entries[start : start + _AT_ONCE]]
