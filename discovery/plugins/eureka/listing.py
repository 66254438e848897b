"""What Eureka's clients read: all applications, what changed lately, one of them, those of a vip, one instance.

An answer is made in pieces, in turns with all that the server does. What all ask for is kept until the next commit or the end of the
shortest lease (`rest.http.kept_bodies`), in gzip too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from math import inf
from typing import NamedTuple

from discovery.core.event import InstanceEvent
from discovery.core.instance import Instance
from discovery.core.name import fold
from discovery.core.status import Status
from discovery.plugins.eureka.forms import Form, form_of, wanted_form
from discovery.plugins.eureka.ids import Ids, records_of
from discovery.plugins.eureka.info import DELETED, Info, hashcode, info, native, statuses
from discovery.plugins.eureka.record import UNKNOWN, UP, Record
from discovery.rest.api.answers import Answer
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route
from discovery.store.errors import UnknownInstance, UnknownService
from discovery.store.registry import Registry
from discovery.store.service import Entry, Service
from discovery.system.turns import turns

HEADING = "Eureka"
# Seconds for which a change is in the delta. Clients ask every 30.
DELTA_SECONDS = 180.0
# Seconds by which it may be longer in it, as there: until then the answer is kept, unless something changes.
DELTA_KEPT = 30.0
# Instances of one piece: 10 µs each, 40 in XML.
_AT_ONCE = 25
# Services that are looked at in one step.
_PAGE = 100


class Shown(NamedTuple):
    """An id with what is said of it now."""

    id: str
    record: Record
    status: str
    override: str


class Listing:
    """`clock`: monotonic seconds, the registry's; `wall`: epoch seconds."""

    def __init__(self, registry: Registry, clock: Callable[[], float], wall: Callable[[], float], ids: Ids) -> None:
        self.registry = registry
        self._clock = clock
        self._wall = wall
        self._ids = ids

    def routes(self) -> list[Route]:
        def get(path: str, handler: Callable[[Request], object], summary: str, **more: object) -> Route:
            return Route("GET", path, handler, Right.READ, Kind.QUESTION, summary, HEADING, lenient=True, **more)  # type: ignore[arg-type]

        return [
            get("/apps", self.apps, "All applications", kept=_kept, kept_seconds=inf),
            get("/apps/delta", self.delta, "What changed within three minutes", kept=_kept, kept_seconds=DELTA_KEPT),
            get("/apps/{app}", self.app, "An application"),
            get("/apps/{app}/{id}", self.instance, "An instance"),
            get("/instances/{id}", self.instance, "An instance"),
            get("/vips/{vip}", lambda request: self.vip(request, "vipAddress"), "Who has a vip"),
            get("/svips/{vip}", lambda request: self.vip(request, "secureVipAddress"), "Who has a secure vip"),
        ]

    # -- answers

    def apps(self, request: Request) -> Answer:
        form, counts = wanted_form(request), Counter[str]()
        last = lambda: {"versions__delta": "1", "apps__hashcode": hashcode(counts)}  # noqa: E731 they are counted by then
        return Answer(200, form.applications(self._apps(counts), last), media=form.media)

    async def delta(self, request: Request) -> Answer:
        form, counts = wanted_form(request), Counter[str]()
        for service in self._services():
            for some in self._some(service):
                counts.update([shown.status for entry in some for shown in self._shown(entry)])
                await turns().over()
        last = {"versions__delta": str(self.registry.index), "apps__hashcode": hashcode(counts)}
        return Answer(200, form.applications(self._changed(await self._touched()), lambda: last), media=form.media)

    def app(self, request: Request) -> Answer:
        form, app = wanted_form(request), request.names["app"]
        service = self.registry.service(app)
        infos = iter(()) if service is None else self._infos(service, Counter())
        first = next((some for some in infos if some), None)
        if first is None:
            raise UnknownService(app)
        return Answer(200, form.application(app.upper(), chain([first], infos)), media=form.media)

    def vip(self, request: Request, name: str) -> Answer:
        form, vip, counts = wanted_form(request), request.names["vip"], Counter[str]()
        found = self._apps(counts, lambda record: vip in record.get(name, "").split(","))
        last = lambda: {"versions__delta": "-1", "apps__hashcode": hashcode(counts)}  # noqa: E731 they are counted by then
        return Answer(200, form.applications(found, last), media=form.media)

    def instance(self, request: Request) -> Answer:
        form, id = wanted_form(request)._replace(is_compact=False), request.names["id"]
        services = [fold(request.names["app"])] if "app" in request.names else self._ids.services(id)
        entry = next((found for name in services if (found := self.find(name, id)) is not None), None)
        entry = entry or (self.registry.find(id) if "app" not in request.names else None)
        for shown in () if entry is None else self._shown(entry):
            if shown.id == id and entry is not None:
                return form.one("instance", self._info(entry, shown))
        raise UnknownInstance(id)

    def find(self, service: str, id: str) -> Entry | None:
        """By its id in Eureka, or here where it has none there. `service`: its folded name."""
        place = self._ids.place(service, id)
        if place is not None:
            return self.registry.find(place.key)
        entry = self.registry.find(id)
        return entry if entry is not None and entry.instance.spec.key.service == service else None

    # -- what is in them

    def _services(self) -> Iterator[Service]:
        """In the order of their names, whatever comes or goes meanwhile."""
        after = ""
        while services := self.registry.page(after, _PAGE):
            yield from services
            after = fold(services[-1].name)

    def _apps(
        self, counts: Counter[str], has: Callable[[Record], bool] | None = None
    ) -> Iterator[tuple[str, list[Info]]]:
        for service in self._services():
            for some in self._infos(service, counts, has):
                yield service.name.upper(), some

    def _infos(
        self, service: Service, counts: Counter[str], has: Callable[[Record], bool] | None = None
    ) -> Iterator[list[Info]]:
        """Some at a time, perhaps none. `counts`: of statuses; they are added. `has`: which of them; None: all."""
        for entries in self._some(service):
            some = [
                (entry, each) for entry in entries for each in self._shown(entry) if has is None or has(each.record)
            ]
            counts.update([shown.status for _, shown in some])
            yield [self._info(entry, shown) for entry, shown in some]

    @staticmethod
    def _some(service: Service) -> Iterator[list[Entry]]:
        entries = list(service.entries.values())
        return (entries[start : start + _AT_ONCE] for start in range(0, len(entries), _AT_ONCE))

    def _shown(self, entry: Entry) -> list[Shown]:
        """The ids of an instance; none when its lease is over."""
        now, instance = self._clock(), entry.instance
        status = entry.status_at(now)
        if status is Status.UNHEALTHY:
            return []
        records = records_of(instance) or native(instance)
        silent = self._ids.silent(instance.spec.key, entry.lease.ttl) if len(records) > 1 else ()
        is_served = status in _SERVED or (status is Status.FLAPPING and not self._has_better(entry, now))
        return [
            Shown(id, record, *statuses(status, is_served, len(records) == 1, record))
            for id, record in records.items()
            if id not in silent or len(silent) == len(records)  # it lives: who of them beats is not known
        ]

    def _has_better(self, entry: Entry, now: float) -> bool:
        """Whether its service has any that do not flap."""
        entries = self.registry.services[entry.instance.spec.key.service].entries.values()
        return any(each.status_at(now) in _SERVED for each in entries)

    def _info(self, entry: Entry, shown: Shown) -> Info:
        renewed_at = self.registry.walls()(entry.lease.renewed_at)
        ttl = self.registry.ttl_of(entry.instance.spec)
        return info(shown.id, shown.record, entry.instance, shown.status, shown.override, ttl, renewed_at)

    # -- what changed

    async def _touched(self) -> dict[str, dict[str, Instance]]:
        """By service, the ids that commits were about lately, with their last state."""
        log, since = self.registry.log, self._wall() - DELTA_SECONDS
        commits = log.read(log.position_after(log.oldest))
        found: dict[str, dict[str, Instance]] = {}
        for _, commit in commits[bisect_left(commits, since, key=lambda each: each[1].wall) :]:
            for event in commit.events:
                for instance in (event.before, event.after) if isinstance(event, InstanceEvent) else ():
                    if isinstance(instance, Instance):
                        ids = dict.fromkeys(records_of(instance) or native(instance), instance)
                        found.setdefault(instance.spec.key.service, {}).update(ids)
            await turns().over()
        return found

    def _changed(self, touched: Mapping[str, Mapping[str, Instance]]) -> Iterator[tuple[str, list[Info]]]:
        """Each once: as it is now, or as it was when it went."""
        for service, ids in touched.items():
            left = list(ids.items())
            for start in range(0, len(left), _AT_ONCE):
                some = left[start : start + _AT_ONCE]
                yield service.upper(), [self._now_or_last(service, id, last) for id, last in some]

    def _now_or_last(self, service: str, id: str, last: Instance) -> Info:
        entry = self.find(service, id)
        for shown in () if entry is None else self._shown(entry):
            if entry is not None and shown.id == id:
                return self._info(entry, shown)
        record = (records_of(last) or native(last))[id]
        ttl, wall = self.registry.ttl_of(last.spec), self._wall()
        return info(id, record, last, record.get("status", UP), UNKNOWN, ttl, wall, DELETED)


_SERVED = (Status.HEALTHY, Status.SUSPECT)


def _kept(request: Request) -> Form | None:
    """Whatever the query says: no client sends one that means something here."""
    return form_of(request)
