"""What the server says of itself: whether it lives, whether it can be asked, its counters; and what its plugins remember."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson

from discovery import __version__
from discovery.core.caller import Caller
from discovery.core.schema import ANY, FLAG, TEXT, WHOLE, by_name, described, list_of, or_null
from discovery.core.status import Status
from discovery.core.warning import WarningList
from discovery.rest.api import parameters, views
from discovery.rest.api.answers import Json
from discovery.rest.api.errors import HttpError
from discovery.rest.api.example import Example
from discovery.rest.api.handlers import Handlers
from discovery.rest.api.parameters import text, whole
from discovery.rest.api.query import Table, values_of
from discovery.rest.api.requests import Request
from discovery.rest.api.route import STORED, Kind, Right, Route, without_query
from discovery.rest.api.shapes import READY_WARNING, STATUS, TIME, Shape, like, reply, said
from discovery.rest.api.times import Times
from discovery.store.operations import MAX_KEY, PutDocument
from discovery.store.registration import Register, Upsert
from discovery.store.registry import Registry
from discovery.system.turns import turns

HEADING = "The server itself"

# Why something is not ready; None when it is.
Check = Callable[[], "str | None"]


# Of GET /ready. Whoever can answer is ready for reads, however old what it knows is; heartbeats belong to those, too.
_FOR: Table = {"for": parameters.one_of(("writes", "reads"), "what it is to be asked for; writes if it is not given")}
_OF_READS = ("registry",)


_HOLD = Shape(
    "BrakeHold",
    {"serviceName": TEXT, "suspects": WHOLE, "since": TIME, "until": TIME},
    "The brake on mass expiry holds the silent instances of a service until then, and lets go of them after that.",
)
_GONE = Shape(
    "GoneTogether",
    {
        "instances": WHOLE, "serviceCount": WHOLE, "services": like(list_of(TEXT), []), "removed": like(by_name(WHOLE), {}),
        "since": or_null(TIME), "until": or_null(TIME),
    },
    "Instances that went within the last hour and are not back. `services`: at most eight, by name; `serviceCount`: all. `removed`: how "
    "many of them are listed no more, of the hundred services with most that have others.",
)  # fmt: skip
_GONE_LAST_HOUR = Shape(
    "GoneLastHour",
    {"lost": _GONE, "ended": _GONE},
    "`lost`: they fell silent or failed their checks. `ended`: somebody deregistered or drained them.",
)
_STATS = reply(
    "StatsReply",
    {
        "totalRegistrations": WHOLE, "totalHeartbeats": WHOLE, "totalCleanups": WHOLE, "activeServices": WHOLE, "activeInstances": WHOLE,
        "services": list_of(TEXT), "uptime": WHOLE, "heartbeatTimeout": like(TEXT, "10s"), "cleanupInterval": like(TEXT, "5s"),
        "instancesByStatus": {**by_name(WHOLE), "propertyNames": STATUS},
        "goneLastHour": _GONE_LAST_HOUR,
        "servicesHeldByTheBrake": like(list_of(TEXT), []),
        "brakeHolds": described(like(list_of(_HOLD), []), "of the hundred services with most suspects"),
    },
    "More may be in it, an object for each part of the server that counts.",
    more=True,
)  # fmt: skip
_HEALTH = reply("HealthReply", {"status": TEXT, "service": TEXT, "version": TEXT, "uptime": WHOLE})
_READY = reply(
    "ReadyReply",
    {
        "ready": FLAG,
        "notReady": like(by_name(TEXT), {}),
        "warnings": described(like(list_of(READY_WARNING), []), "the critical ones first, then the oldest"),
    },
)


@dataclass(eq=False)
class ServerItself:
    """`clock`: monotonic seconds, the registry's. `checks`: what /ready asks; `warnings`: what it warns of, though all can be asked.
    `sees_names`: who is told more of these than what kinds there are. `more_stats`: what others add to /stats.
    """

    registry: Registry
    clock: Callable[[], float]
    times: Times
    checks: Mapping[str, Check]
    warnings: WarningList
    sees_names: Callable[[Caller], bool]
    more_stats: Callable[[], Mapping[str, Any]] = dict

    def __post_init__(self) -> None:
        self._started_at = self.clock()

    def routes(self) -> list[Route]:
        question, anybody = Kind.QUESTION, Right.NONE
        return [
            Route("GET", "/stats", self.stats, Right.READ, question, "Counters", HEADING, _STATS, kept=without_query),
            Route("GET", "/health", self.health, anybody, question, "Whether the process lives", HEADING, _HEALTH, is_small=True),
            Route(
                "GET", "/ready", self.ready, anybody, question, "Whether it can be asked", HEADING, _READY,
                codes=("NOT_READY",), query=_FOR, lenient=True, is_small=True,
            ),
        ]  # fmt: skip

    async def stats(self, request: Request) -> Json:
        registry = self.registry
        counts = await count_by_status(registry, self.clock)
        return {
            "totalRegistrations": registry.accepted[Register.action] + registry.accepted[Upsert.action],
            "totalHeartbeats": registry.renewals,
            "totalCleanups": registry.cleanups,
            "activeServices": len(registry.services),
            "activeInstances": registry.living,
            "services": [service.name for service in registry.services.values()],
            "uptime": self._uptime(),
            "heartbeatTimeout": f"{registry.lease_ttl:g}s",
            "cleanupInterval": f"{registry.cleanup_interval:g}s",
            "instancesByStatus": {status.value: count for status, count in counts.items()},
            "goneLastHour": {
                name: views.gone_together(gone, registry.services)
                for name, gone in registry.losses.gone(self.times.wall()).items()
            },
            "servicesHeldByTheBrake": [service.name for service in registry.services.values() if service.hold],
            "brakeHolds": views.brake_holds(registry.services.values(), self.times),
            **self.more_stats(),
        }

    def health(self, request: Request) -> Json:
        return {
            "status": "healthy",
            "service": "service-registry",
            "version": __version__,
            "uptime": self._uptime(),
        }

    def ready(self, request: Request) -> Json:
        checks = self.checks
        if values_of(request).get("for") == "reads":
            checks = {name: check for name, check in checks.items() if name in _OF_READS}
        warnings = self._warned(request.caller)
        reasons = {name: reason for name, check in checks.items() if (reason := check()) is not None}
        if reasons:
            why = "; ".join(reasons.values())
            raise HttpError("NOT_READY", f"Not ready: {why}", ready=False, notReady=reasons, warnings=warnings)
        return {"ready": True, "notReady": {}, "warnings": warnings}

    def _warned(self, caller: Caller) -> list[Json]:
        held = self.warnings.at(self.clock())
        if not self.sees_names(caller):
            kinds = {each.code: {"code": each.code, "severity": each.severity, "count": each.total} for each in held}
            return list(kinds.values())
        return [
            {
                "code": each.code,
                "severity": each.severity,
                "count": each.total,
                "text": each.text,
                "since": self.times.of(each.since),
                "see": each.see,
            }
            for each in held
        ]

    def _uptime(self) -> int:
        """Whole seconds."""
        return int(self.clock() - self._started_at)


async def count_by_status(registry: Registry, clock: Callable[[], float]) -> Mapping[Status, int]:
    """At once when everybody was told; while a mass of leases runs out, or a node is silent, one by one, in several turns."""
    deadline = registry.liveness.next
    if not registry.has_own_statuses and (deadline is None or deadline > clock()):
        return registry.liveness.counts
    counts = Counter(dict.fromkeys(Status, 0))
    for entries in registry.in_parts():
        now = clock()
        counts.update([entry.status_at(now) for entry in entries if entry.instance.lapsed_at is None])
        await turns().over()
    return counts


# -- what plugins remember besides instances: an admin looks at it, and removes what belongs to a plugin that is no more

_NO_DOCUMENT = "There was no such document"
# Documents of one answer, 8 KiB each at the most.
_MOST_DOCUMENTS = 100
_DOCUMENTS_PAGE: Table = {
    "limit": whole(1, _MOST_DOCUMENTS, "at most so many"),
    "after": text(MAX_KEY, "a document's key: those behind it, in the order of the keys"),
}


_DOCUMENT = Shape(
    "ShownDocument",
    {"owner": described(or_null(TEXT), "the service whose owners may change it; null: an admin"), "content": ANY},
)
_DOCUMENTS = reply(
    "DocumentsReply",
    {"total": WHOLE, "documents": like(by_name(_DOCUMENT), {}), "next": or_null(TEXT)},
    "`total`: of the plugin. `next`: what to send as `after`; null at the end.",
)
_DOCUMENT_GONE = reply("RemovedReply", {"message": said("Document removed")})


class Documents(Handlers):
    def routes(self) -> list[Route]:
        return [
            Route(
                "GET", "/admin/documents/{plugin}", self.listed, Right.ADMIN, Kind.OPERATION, "What a plugin remembers besides instances",
                HEADING, _DOCUMENTS, query=_DOCUMENTS_PAGE, examples=(Example(more={"total": 0, "next": None}),),
            ),
            Route(
                "DELETE", "/admin/documents/{plugin}/{key}", self.remove, Right.ADMIN, Kind.OPERATION, "Remove what a plugin remembers",
                HEADING, _DOCUMENT_GONE, codes=STORED, examples=(Example(more={"message": _NO_DOCUMENT}),),
            ),
        ]  # fmt: skip

    def listed(self, request: Request) -> Json:
        documents, asked = self.registry.documents(request.names["plugin"]), values_of(request)
        limit, after = asked.get("limit", _MOST_DOCUMENTS), asked.get("after", "")
        page = list(islice((key for key in sorted(documents) if key > after), limit + 1))
        shown = {
            key: {"owner": documents[key].owner, "content": orjson.Fragment(documents[key].content)}
            for key in page[:limit]
        }
        return {"total": len(documents), "documents": shown, "next": page[limit - 1] if len(page) > limit else None}

    async def remove(self, request: Request) -> Json:
        """Also of one that is not there: it is not there afterwards."""
        plugin, key = request.names["plugin"], request.names["key"]
        known = key in self.registry.documents(plugin)
        await self.engine.submit(PutDocument(plugin, key, None, reason=request.reason), request.caller)
        return {"message": "Document removed" if known else _NO_DOCUMENT}
