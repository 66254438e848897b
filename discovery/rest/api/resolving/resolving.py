"""GET /resolve/NAME: the instances to use, all of them or those that a filter means, and why the others are not among them.

Without a query the answer is made at once. With one, metadata may have to be searched: that is done in several turns, and what it found
is joined to the leases in the last of them, so that an answer is as fresh as one without a query.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import partial
from operator import attrgetter
from urllib.parse import quote

import orjson

from discovery.core.instance import Registration
from discovery.core.name import service_name
from discovery.core.schema import TEXT, WHOLE, described, list_of
from discovery.core.status import Status
from discovery.rest.api import parameters, views
from discovery.rest.api.answers import Answer, DeferredAnswer, Json
from discovery.rest.api.errors import HttpError
from discovery.rest.api.etag import headers, tag_of
from discovery.rest.api.example import Example
from discovery.rest.api.following.filters import FILTERS, NO_FILTER, Filter
from discovery.rest.api.following.waiting import WAITING, Asked, Wait, without_wait
from discovery.rest.api.handlers import Handlers
from discovery.rest.api.query import Table, Values, values_of
from discovery.rest.api.requests import Request
from discovery.rest.api.resolving.shown import Shown
from discovery.rest.api.resolving.strategies import LATEST, STRATEGIES, Strategies
from discovery.rest.api.resolving.unchanged import Unchanged
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.shapes import (
    ACCOUNTED,
    ADDRESS,
    CHECK_STATES,
    RESOLVED,
    SHOWN_PORT,
    STATUS,
    Shape,
    like,
    reply,
)
from discovery.store.absent import absent, why_none
from discovery.store.explain import Account, account, any_better
from discovery.store.nearness import Near
from discovery.store.service import Entry, Service, served
from discovery.system.turns import turns

# The most instances a service may have.
MAX_LIMIT = 1000
# Beside the parameters' values: whether the answer may name tokens, actors and clients; and the zone that the caller is in.
_NAMES, _FROM = "names", "from"
_RENEWED_AT = attrgetter("lease.renewed_at")

PARAMETERS: Table = {
    **FILTERS,
    "limit": parameters.whole(1, MAX_LIMIT, "at most so many instances"),
    "strategy": parameters.one_of(STRATEGIES, f"their order; {LATEST} heartbeat first if it is not given"),
    **WAITING,
    "explain": parameters.flag("why each instance is in the answer or not, since when and until when"),
}


EXPLAINED = Shape(
    "Explained",
    {**ACCOUNTED, "id": TEXT, "ip": ADDRESS, "port": SHOWN_PORT, "status": STATUS, "checkStates?": CHECK_STATES},
)
_OWN_ZONE = Shape(
    "OwnZone",
    {
        "name": TEXT,
        "healthy": WHOLE,
        "known": WHOLE,
        "first": described(WHOLE, "so many at the head of the list are to be used, the others when these fail"),
        "why": like(TEXT, "from eu-a: 3 of 5 are healthy here, so 2 in 10 are from elsewhere"),
    },
    "Where the caller's zone (CLIENT_ZONES) is preferred.",
)
_REPLY = reply(
    "ResolveReply",
    {
        "serviceName": TEXT,
        "instanceCount": WHOLE,
        "instances": list_of(RESOLVED),
        "zone?": _OWN_ZONE,
        "explained?": described(list_of(EXPLAINED), "with explain=1: every instance"),
    },
)
_SERVED = {
    "id": "user-1", "ip": "10.0.0.7", "port": 3001, "status": "healthy", "served": True, "why": "its lease runs",
    "since": "2026-01-31T11:00:00.000Z", "until": "2026-01-31T12:00:28.000Z", "by": None,
    "next": "without a heartbeat it leaves the answers", "lastHeartbeat": "2026-01-31T11:59:58.000Z",
    "heartbeats": {"everySeconds": 10.0, "nextDue": "2026-01-31T12:00:08.000Z", "missed": 0},
}  # fmt: skip


class Resolving(Handlers):
    def __post_init__(self) -> None:
        self._shown = Shown(self.times)
        self._unchanged = Unchanged(self.registry, self.times)
        self._strategies = Strategies(self.random)

    def routes(self) -> list[Route]:
        return [
            Route(
                "GET", "/resolve/{name}", self.resolve, Right.READ, Kind.QUESTION, "The instances to use", "Finding instances",
                _REPLY, status=(200, 304), codes=("SERVICE_UNKNOWN", "NO_HEALTHY_INSTANCE", "TOO_MANY_WATCHERS"),
                query=PARAMETERS, is_small=True,
                examples=(
                    Example(title="The healthy"),
                    Example(
                        query={"explain": "1"}, title="Why each is in the answer or not", after=("PUT /instances/user-2/drain",),
                        more={"explained": [_SERVED]},
                    ),
                ),
            )
        ]  # fmt: skip

    def resolve(self, request: Request) -> Answer | Awaitable[Answer] | DeferredAnswer:
        """At once, when it has been searched for, or when something has changed."""
        sent = request.names["name"]
        zone = None if self.preference is None else self.preference.zone_of(request.address)
        is_asked, now = "?" in request.target, self.clock()
        if zone is None and not is_asked and (unchanged := self._unchanged.answer(sent, now)) is not None:
            return unchanged
        name = service_name(sent)
        if is_asked:
            values = values_of(request)
            if zone is not None and "zone" not in values:
                values[_FROM] = zone
            if values.get("explain"):  # among the values, so that whoever waits shares an answer with his like alone
                values[_NAMES] = self.sees_names(request.caller, name)
            wait = Wait.of(values)
            if wait is None:
                return self._asked(name, values)
            is_drawn = values.get("strategy", LATEST) != LATEST  # each client's order is its own
            return self.polls.of_service(name, wait, without_wait(values), partial(self._asked, name, values), is_drawn)
        service = self.registry.service(name)
        found = service.served(now) if service else []
        if service is None or not found:
            raise self._nobody(name, service, now)
        near: Near | None = None
        asked: Asked = ()
        if zone is not None and self.preference is not None:
            near = self.preference.near(service, zone, service.entries.values(), found, NO_FILTER.matches, now, "http")
            asked = without_wait({_FROM: zone})
        is_plain = found[-1].healthy(now)  # all are: they come first
        if len(found) > 1:
            found.sort(key=_RENEWED_AT, reverse=True)
            if not is_plain:
                found.sort(key=lambda entry: entry.rank(now))
            if near is not None and near.behind:
                behind = near.identities
                found.sort(key=lambda entry: id(entry) in behind)
        body = orjson.dumps(self._resolved(service, found, now, near, Status.HEALTHY if is_plain else None))
        tag = self._tag(service, found, now, asked, near)
        answer = Answer(200, body, headers(tag), min(service.index, self.registry.index))
        if is_plain and zone is None and sent == name and len(found) == len(service.entries):
            self._unchanged.keep(name, service, found, now, answer)
        return answer

    async def _asked(self, name: str, values: Values) -> Answer:
        asked, limit, explains = Filter.of(values), values.get("limit"), values.get("explain", False)
        matching = await self._matching(name, asked)
        now = self.clock()
        service = self.registry.service(name)
        found = served(matching, now)
        if service is None or not (found or explains):
            raise self._nobody(name, service, now, matching if asked else None, values.get(_NAMES, False))
        strategy, zone = values.get("strategy", LATEST), values.get(_FROM)
        near = None
        if zone is not None and self.preference is not None:
            near = self.preference.near(service, zone, matching, found, asked.matches, now, "http")
        behind = frozenset[int]()
        if near is not None:
            found, behind = near.front + near.behind, near.identities
        ordered = self._strategies.order(strategy, found, (service.folded, asked, zone), limit, now, behind)
        content, index = self._resolved(service, ordered, now, near), self.registry.index_of(name)
        # With `explain`, accounts change with every heartbeat.
        tag = None if explains else self._tag(service, ordered, now, without_wait(values), near)
        if explains:
            explained = self._explained(service, matching, ordered, now, values[_NAMES], near)
            await turns().over()  # for 1,000 instances it was 5 ms to here, and is 3 from here
            content["explained"] = [views.explained(each, values[_NAMES]) for each in explained]
        return Answer(200, orjson.dumps(content), headers(tag), index)

    def _tag(self, service: Service, ordered: list[Entry], now: float, asked: Asked, near: Near | None) -> str | None:
        if self.registry.is_ahead:
            return None
        of = asked if near is None else (*asked, len(near.front))
        return tag_of(service, ordered, now, self.registry.view(), of)

    def _explained(
        self,
        service: Service,
        matching: list[Entry],
        ordered: list[Entry],
        now: float,
        sees_names: bool,
        near: Near | None,
    ) -> list[Account]:
        """Of every instance of the service, in the order of registration."""
        behind = frozenset[int]() if near is None else near.identities
        meant, given = {id(entry) for entry in matching}, {id(entry) for entry in ordered}
        better, wall_of = any_better(entry.status_at(now) for entry in matching), self.registry.walls()
        found = []
        for entry in service.entries.values():
            each = account(self.registry, service, entry, now, wall_of, better, sees_names)
            if id(entry) not in meant:
                each = each._replace(served=False, why="the query does not mean it", since=None, until=None, next="")
            elif each.served and id(entry) not in given:
                each = each._replace(served=False, why=f"{each.why}; there is no room for it within the limit")
            if near is not None and each.served and id(entry) in behind:
                each = each._replace(why=f"{each.why}; {near.text}: it is behind those")
            found.append(each)
        return found

    async def _matching(self, name: str, asked: Filter) -> list[Entry]:
        """In several turns. A registration that comes or changes meanwhile is asked about too, before all are joined in one turn."""
        known: dict[int, tuple[Registration, bool]] = {}  # by identity, which it has as long as it is kept here
        while True:
            service = self.registry.service(name)
            entries = [] if service is None else list(service.entries.values())
            if not asked:
                return entries
            for entry in entries:
                spec = entry.instance.spec
                if id(spec) not in known:
                    known[id(spec)] = spec, asked.matches(entry.instance)
                    if turns().is_over():
                        break
            else:
                return [entry for entry in entries if known[id(entry.instance.spec)][1]]
            await turns().over()

    def _resolved(
        self, service: Service, ordered: list[Entry], now: float, near: Near | None, status: Status | None = None
    ) -> Json:
        """`status`: that of all of them, where it is one and known."""
        content: Json = {
            "serviceName": service.name,
            "instanceCount": len(ordered),
            "instances": self._shown.all(ordered, now, status),
        }
        if near is not None:
            content["zone"] = {
                "name": near.zone,
                "healthy": near.healthy,
                "known": near.known,
                "first": min(len(near.front), len(ordered)),
                "why": near.text,
            }
        return self.times.stamp(content)

    def _nobody(
        self,
        name: str,
        service: Service | None,
        now: float,
        matching: Sequence[Entry] | None = None,
        sees_names: bool = False,
    ) -> HttpError:
        """`matching`: those that the filter meant; None: there was no filter."""
        if service is None:
            known = absent(self.registry, name, now, sees_names)
            message = (
                f"No service {name} is registered{f'; {known}' if known else ''}; GET /services lists those that are, "
                f"GET /history?service={quote(name, safe='')} what became of it"
            )
            more = {"known": known} if known else {}
            return HttpError("SERVICE_UNKNOWN", message, serviceName=name, instanceCount=0, instances=[], **more)
        meant = list(service.entries.values()) if matching is None else matching
        of_all = f"its {len(service.entries)} instances"
        if not meant:
            why = f"none of {of_all} matches"
        else:
            which = of_all if matching is None else f"the {len(meant)} of {of_all} that match"
            why = f"none of {which} is healthy{why_none(self.registry, service, meant, now)}"
        message = f"Service {name} is known, but {why}; see GET /services/{quote(name, safe='')}"
        error = HttpError("NO_HEALTHY_INSTANCE", message, serviceName=name, instanceCount=0, instances=[])
        error.index = self.registry.index_of(name)
        return error
