"""GET /services: everything, a page of it, or what a filter means; streamed in pieces with the event loop free between them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import orjson

from discovery.core.instance import Instance
from discovery.core.name import fold
from discovery.core.schema import ANY, TEXT, WHOLE, by_name, described, list_of, or_null
from discovery.core.status import Status
from discovery.rest.api import parameters, views
from discovery.rest.api.answers import Answer, DeferredAnswer, Json, Pieces
from discovery.rest.api.etag import etag, headers, is_known
from discovery.rest.api.example import Example
from discovery.rest.api.following.filters import FILTERS, Filter
from discovery.rest.api.following.waiting import WAITING, Wait, without_wait
from discovery.rest.api.handlers import Handlers
from discovery.rest.api.query import Table, Values, values_of
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.server.server import count_by_status
from discovery.rest.api.shapes import ACCOUNTED, LISTED, TIME, Shape, reply
from discovery.rest.api.times import iso
from discovery.store.explain import account, any_better
from discovery.store.service import Entry, Service

HEADING = "Finding instances"
_INSTANCE = "/instances/{id}"
# Instances that are listed at a time, 10 µs each: the clock is read once for them.
_AT_ONCE = 8
# Services in a page: the default, and the most.
_PAGE = 100

# What is no status, and is asked for as one.
_BESIDES: Mapping[str, Callable[[Instance], bool]] = {
    "warning": lambda instance: instance.warns,
    "lapsed": lambda instance: instance.lapsed_at is not None,
    "permanent": lambda instance: instance.spec.lease is not None,
}

PARAMETERS: Table = {
    **FILTERS,
    "status": parameters.some_of(
        (*Status, *_BESIDES),
        "the instances of these statuses; warning: those that say so of themselves, or a check of them; lapsed: those that are kept after "
        "their lease; permanent: those that have none",
    ),
    "limit": parameters.whole(1, _PAGE, "a page of at most so many services"),
    **WAITING,
    "after": parameters.text(64, "a service's name: the page begins behind it", example="user-service"),
}


def location(instance: Instance) -> dict[str, str]:
    """The header that tells where it is."""
    return {"Location": _INSTANCE.format(id=instance.id)}


_INSTANCE_REPLY = reply(
    "InstanceReply",
    {**LISTED.fields, **ACCOUNTED, "attachments?": described(by_name(ANY), "what plugins remember of it, by their names")},
)  # fmt: skip
_SERVICE = Shape(
    "ServiceView",
    {
        "instanceCount": WHOLE,
        "healthyCount": WHOLE,
        "changedAt": described(or_null(TIME), "when it changed last; null: before the start, as far as is known"),
        "instances": list_of(LISTED),
    },
    "`instanceCount`: without those of `instances` that are known after their lease.",
)
_REPLY = reply(
    "ServicesReply",
    {
        "totalServices": WHOLE,
        "totalInstances": WHOLE,
        "totalHealthyInstances": WHOLE,
        "services": by_name(_SERVICE),
        "next?": described(or_null(TEXT), "of a page; null at the end"),
    },
)


# The queries of the whole list, and of its first pages.
_SAME_FOR_ALL = re.compile(r"(limit=[0-9]{1,3})?")


def _form(request: Request) -> str | None:
    return request.query if _SAME_FOR_ALL.fullmatch(request.query) else None


class Wanted(NamedTuple):
    """Which instances a request wants to see. `statuses` None: of any."""

    filter: Filter
    statuses: frozenset[str] | None

    def has(self, entry: Entry, now: float) -> bool:
        statuses = self.statuses
        if statuses is not None and entry.status_at(now) not in statuses:
            instance = entry.instance
            if not any(name in statuses and is_so(instance) for name, is_so in _BESIDES.items()):
                return False
        return self.filter.matches(entry.instance)


class Listing(Handlers):
    def routes(self) -> list[Route]:
        return [
            Route(
                "GET", "/services", self.services, Right.READ, Kind.QUESTION, "All services, streamed, or a page", HEADING,
                _REPLY, status=(200, 304), codes=("TOO_MANY_WATCHERS",), query=PARAMETERS, kept=_form,
                examples=(
                    Example(title="All"),
                    Example(query={"limit": "10"}, title="A page", more={"next": None}),
                ),
            ),
            Route(
                "GET", _INSTANCE, self.instance, Right.READ, Kind.QUESTION, "One instance", HEADING, _INSTANCE_REPLY, is_small=True
            ),
        ]  # fmt: skip

    def instance(self, request: Request) -> Json:
        """With its account."""
        registry, id = self.registry, request.names["id"]
        entry, now = registry.at(id), self.clock()
        name = entry.instance.spec.key.service
        service, sees_names = registry.services[name], self.sees_names(request.caller, name)
        better = any_better(each.status_at(now) for each in service.entries.values())
        found = views.accounted(
            account(registry, service, entry, now, registry.walls(), better, sees_names), sees_names
        )
        attachments = {plugin: orjson.Fragment(text) for plugin, text in entry.instance.attachments}
        more: Json = {"attachments": attachments} if attachments else {}
        return self._listed(entry, now) | found | more

    def services(self, request: Request) -> Answer | Awaitable[Answer] | DeferredAnswer:
        """All, or with `limit` (and `after`, a name) a page; streamed. Of a filter, the services that have an instance it means."""
        asked = values_of(request)
        wait = Wait.of(asked)
        if wait is not None and not request.waited:
            return self.polls.of_services(wait)
        tag = self._tag(asked)
        if tag is not None and is_known(request, tag):
            return Answer(304, b"", headers(tag))
        return self._listed_by(asked, tag)

    async def _listed_by(self, asked: Values, tag: str | None) -> Answer:
        wanted = Wanted(Filter.of(asked), asked.get("status"))
        if "limit" in asked or "after" in asked:
            healthy = (await count_by_status(self.registry, self.clock))[Status.HEALTHY]
            pieces = self._page(asked.get("after", ""), asked.get("limit", _PAGE), wanted, healthy)
        else:
            pieces = self._all(wanted)
        return Answer(200, pieces, headers(tag))

    def _tag(self, asked: Values) -> str | None:
        """None while the index does not say all: the table is ahead of it, or leases have run out of which nobody was told."""
        registry = self.registry
        due = registry.liveness.next
        if (
            registry.is_ahead
            or registry.has_own_statuses
            or registry.stale_seconds()
            or (due is not None and due <= self.clock())
        ):
            return None
        return etag(self.registry.index, without_wait(asked))

    def _all(self, wanted: Wanted) -> Pieces:
        """Totals and counts come after what they count. Services that go or come meanwhile may be in it or not."""
        text = Text()
        yield from self._services(list(self.registry.services), wanted, None, text)
        totals = {
            "totalServices": text.services,
            "totalInstances": text.instances,
            "totalHealthyInstances": text.healthy,
        }
        yield self._end(totals)

    def _page(self, after: str, size: int, wanted: Wanted, healthy: int) -> Pieces:
        """`next`: what to send as `after` for the following page, null at the end. Totals are the whole registry's."""
        text = Text()
        yield from self._services(self._behind(after), wanted, size, text)
        totals = {
            "totalServices": len(self.registry.services),
            "totalInstances": self.registry.living,
            "totalHealthyInstances": healthy,
            "next": text.last if text.is_cut else None,
        }
        yield self._end(totals)

    def _behind(self, after: str) -> Iterator[str]:
        """Folded names in their order, whatever comes or goes meanwhile."""
        while services := self.registry.page(after, _PAGE):
            for service in services:
                yield (after := fold(service.name))

    def _end(self, totals: Json) -> bytes:
        return b"}," + orjson.dumps(self.times.stamp(totals))[1:]

    def _services(self, names: Iterable[str], wanted: Wanted, most: int | None, text: Text) -> Pieces:
        """`names`: folded. `most`: so many services and no more, None: all."""
        yield b'{"services":{'
        for name in names:
            service = self.registry.services.get(name)
            if service is None:
                continue
            for some in self._instances(service, wanted):
                if some and not text.is_open and text.services == most:
                    text.is_cut = True
                    return
                yield text.instances_of(service.name, some)
            yield text.end_of_service(service)

    def _instances(self, service: Service, wanted: Wanted) -> Iterator[list[Json]]:
        """Some at a time."""
        entries, at_once = list(service.entries.values()), 1 if wanted.filter.meta else _AT_ONCE
        for start in range(0, len(entries), at_once):
            now, some = self.clock(), entries[start : start + at_once]
            if wanted != _EVERYTHING:
                some = [entry for entry in some if wanted.has(entry, now)]
            yield [self._listed(entry, now) for entry in some]

    def _listed(self, entry: Entry, now: float) -> Json:
        return views.listed(entry, now, self.times, self.registry.window(entry.instance))


_EVERYTHING = Wanted(Filter(), None)


class Text:
    """The services as JSON, and how many of what. `last`: the name of the last one. `is_open`: some of its instances have been listed, and
    it has not ended. `is_cut`: there are more that would belong here.
    """

    def __init__(self) -> None:
        self.services = self.instances = self.healthy = 0
        self.last = ""
        self.is_open = self.is_cut = False
        self._living = self._healthy = 0

    def instances_of(self, name: str, some: list[Json]) -> bytes:
        """Some of its instances; a service without any is not listed."""
        if not some:
            return b""
        before = b","
        if not self.is_open:
            before = (b"," if self.services else b"") + orjson.dumps(name) + b':{"instances":['
            self.is_open, self.last, self._living, self._healthy = True, name, 0, 0
            self.services += 1
        self._living += living(some)
        self._healthy += sum(view["isHealthy"] for view in some)
        return before + orjson.dumps(some)[1:-1]

    def end_of_service(self, service: Service) -> bytes:
        if not self.is_open:
            return b""
        self.is_open = False
        self.instances += self._living
        self.healthy += self._healthy
        at = None if service.changed_at is None else iso(service.changed_at)
        counts = {"instanceCount": self._living, "healthyCount": self._healthy, "changedAt": at}
        return b"]," + orjson.dumps(counts)[1:]


def living(shown: Iterable[Json]) -> int:
    """How many there are, without those that are known for some time after their lease."""
    return sum("lapsedAt" not in each for each in shown)
