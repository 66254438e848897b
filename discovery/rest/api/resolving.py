"""GET /resolve/NAME: the instances to use, all of them or those that a filter means.

Without a query the answer is made at once. With one, metadata may have to be searched: that is done in several turns, and what it found
is joined to the leases in the last of them, so that an answer is as fresh as one without a query.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

import orjson

from discovery.core.instance import Registration
from discovery.core.name import label
from discovery.rest.api import parameters, views
from discovery.rest.api.answers import Answer
from discovery.rest.api.errors import HttpError
from discovery.rest.api.filters import FILTERS, Filter
from discovery.rest.api.query import Table, parse
from discovery.rest.api.requests import Request
from discovery.rest.api.times import Times
from discovery.store.registry import Registry
from discovery.store.service import Entry, Service, served

# The name as it stands in the path, decoded; the answer at once, or when it has been searched for.
Resolve = Callable[[str, Request], "Answer | Awaitable[Answer]"]

# The most instances a service may have.
MAX_LIMIT = 1000
# Of `Filter.work`, for one turn of the event loop.
_WORK_PER_TURN = 200

PARAMETERS: Table = {
    **FILTERS,
    "limit": parameters.whole(1, MAX_LIMIT, "at most so many instances"),
}


class Resolving:
    """`clock`: monotonic seconds, the registry's."""

    def __init__(self, registry: Registry, clock: Callable[[], float], times: Times) -> None:
        self._registry = registry
        self._clock = clock
        self._times = times

    def resolve(self, name: str, request: Request) -> Answer | Awaitable[Answer]:
        name = label(name, "name")
        if "?" in request.target:
            return self._asked(name, request.query)
        now = self._clock()
        service = self._registry.service(name)
        found = service.served(now) if service else []
        if service is None or not found:
            raise _nobody(name, service, now)
        return self._answer(service, found, now)

    async def _asked(self, name: str, query: str) -> Answer:
        values = parse(query, PARAMETERS)
        asked = Filter.of(values)
        matching = await self._matching(name, asked)
        now = self._clock()
        service = self._registry.service(name)
        found = served(matching, now)
        if service is None or not found:
            raise _nobody(name, service, now, matching if asked else None)
        return self._answer(service, found, now, values.get("limit"))

    async def _matching(self, name: str, asked: Filter) -> list[Entry]:
        """In several turns. A registration that comes or changes meanwhile is asked about too, before all are joined in one turn."""
        known: dict[int, tuple[Registration, bool]] = {}  # by identity, which it has as long as it is kept here
        while True:
            service = self._registry.service(name)
            entries = [] if service is None else list(service.entries.values())
            if not asked:
                return entries
            work = 0
            for entry in entries:
                spec = entry.instance.spec
                if id(spec) not in known:
                    known[id(spec)] = spec, asked.matches(entry.instance)
                    work += asked.work(entry.instance)
                    if work > _WORK_PER_TURN:
                        break
            else:
                return [entry for entry in entries if known[id(entry.instance.spec)][1]]
            await asyncio.sleep(0)

    def _answer(self, service: Service, found: list[Entry], now: float, limit: int | None = None) -> Answer:
        """Suspects last, then by the latest heartbeat."""
        found.sort(key=lambda entry: (entry.suspect, -entry.lease.renewed_at))
        if limit is not None:
            del found[limit:]
        content = {
            "serviceName": service.name,
            "instanceCount": len(found),
            "instances": [views.resolved(entry, now, self._times) for entry in found],
            "timestamp": self._times.now(),
        }
        return Answer(200, orjson.dumps(content), index=service.index)


def _nobody(name: str, service: Service | None, now: float, matching: Iterable[Entry] | None = None) -> HttpError:
    """`matching`: those that the filter meant; None: there was no filter."""
    if service is None:
        message = f"No service {name} is registered; GET /services lists those that are"
        return HttpError(404, "SERVICE_UNKNOWN", message, serviceName=name, instanceCount=0, instances=[])
    meant = list(service.entries.values() if matching is None else matching)
    known = Counter(entry.status_at(now) for entry in meant)
    each = ", ".join(f"{count} {status}" for status, count in known.items())
    if matching is None:
        why = f"none of its {len(meant)} instances is healthy ({each})"
    elif meant:
        why = f"none of the {len(meant)} of its {len(service.entries)} instances that match is healthy ({each})"
    else:
        why = f"none of its {len(service.entries)} instances matches"
    message = f"Service {name} is known, but {why}; see GET /services"
    error = HttpError(404, "NO_HEALTHY_INSTANCE", message, serviceName=name, instanceCount=0, instances=[])
    error.index = service.index
    return error
