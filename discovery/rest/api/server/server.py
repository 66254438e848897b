"""What the server says of itself: whether it lives, whether it can be asked, and its counters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, Field

from discovery import __version__
from discovery.core.caller import Caller
from discovery.core.status import Status
from discovery.core.warning import WarningList
from discovery.rest.api import parameters, views
from discovery.rest.api.answers import Json
from discovery.rest.api.errors import HttpError
from discovery.rest.api.query import Table, values_of
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route, without_query
from discovery.rest.api.server.counting import count_by_status
from discovery.rest.api.shapes import Described, ReadyWarning, Reply, Time
from discovery.rest.api.times import Times
from discovery.store.registration import Register, Upsert
from discovery.store.registry import Registry

HEADING = "The server itself"

# Why something is not ready; None when it is.
Check = Callable[[], "str | None"]


# Of GET /ready. Whoever can answer is ready for reads, however old what it knows is; heartbeats belong to those, too.
_FOR: Table = {"for": parameters.one_of(("writes", "reads"), "what it is to be asked for; writes if it is not given")}
_OF_READS = ("registry",)


class BrakeHold(Described):
    """The brake on mass expiry holds the silent instances of a service until then, and lets go of them after that."""

    service_name: str
    suspects: int
    since: Time
    until: Time


class GoneTogether(Described):
    """Instances that went within the last hour and are not back. `services`: at most eight, by name; `serviceCount`: all."""

    instances: int
    service_count: int
    services: list[str] = Field(examples=[[]])
    since: Time | None
    until: Time | None


class GoneLastHour(Described):
    """`lost`: they fell silent or failed their checks. `ended`: somebody deregistered or drained them."""

    lost: GoneTogether
    ended: GoneTogether


class StatsReply(Reply):
    """More may be in it, an object for each part of the server that counts."""

    model_config = ConfigDict(extra="allow")

    total_registrations: int
    total_heartbeats: int
    total_cleanups: int
    active_services: int
    active_instances: int
    services: list[str]
    uptime: int
    heartbeat_timeout: str = Field(examples=["10s"])
    cleanup_interval: str = Field(examples=["5s"])
    instances_by_status: dict[Status, int]
    gone_last_hour: GoneLastHour
    services_held_by_the_brake: list[str] = Field(examples=[[]])
    brake_holds: list[BrakeHold] = Field(description="of the hundred services with most suspects", examples=[[]])


class HealthReply(Reply):
    status: str
    service: str
    version: str
    uptime: int


class ReadyReply(Reply):
    ready: bool
    not_ready: dict[str, str] = Field(examples=[{}])
    warnings: list[ReadyWarning] = Field(examples=[[]], description="the critical ones first, then the oldest")


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
            Route("GET", "/stats", self.stats, Right.READ, question, "Counters", HEADING, StatsReply, kept=without_query),
            Route("GET", "/health", self.health, anybody, question, "Whether the process lives", HEADING, HealthReply, is_small=True),
            Route(
                "GET", "/ready", self.ready, anybody, question, "Whether it can be asked", HEADING, ReadyReply,
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
                name: views.gone_together(gone) for name, gone in registry.losses.gone(self.times.wall()).items()
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
            raise HttpError(503, "NOT_READY", f"Not ready: {why}", ready=False, notReady=reasons, warnings=warnings)
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
