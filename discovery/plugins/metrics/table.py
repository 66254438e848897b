"""The registry's numbers as metrics. What takes a look at every instance takes several turns of the event loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice

from discovery.core import event
from discovery.core.event import Commit, InstanceEvent
from discovery.core.metric import Metric, Readings, counter, gauge
from discovery.core.status import Status
from discovery.rest.api.route import Kind
from discovery.rest.api.server.server import count_by_status
from discovery.rest.http.traffic import Traffic
from discovery.store.expiry import Expire
from discovery.store.registration import Register, Upsert
from discovery.store.registry import Registry
from discovery.store.service import Service
from discovery.system.turns import turns

# Services with metrics of their own.
MAX_SERVICES = 1_000
# Of all leases, evenly picked.
_LEASES = 4_096
_PERCENTILES = (50, 90, 99, 100)


def metrics_of_registry(
    registry: Registry, clock: Callable[[], float], wall: Callable[[], float], traffic: Traffic
) -> list[Metric]:
    async def instances() -> Readings:
        counts = await count_by_status(registry, clock)
        return {(status.value,): counts[status] for status in Status}

    def heartbeats() -> Readings:
        # Of those that are refused by 404 the instance is unknown.
        refused = traffic.number(
            Kind.HEARTBEAT, lambda status: status >= "400" and status != "404" and status.isdigit()
        )
        return {
            ("renewed",): registry.renewals,
            ("unknown",): registry.unknown_heartbeats,
            ("refused",): refused,
        }

    def lease_ages() -> Readings:
        now, step = clock(), max(1, len(registry) // _LEASES + (len(registry) > _LEASES))
        ages = sorted([max(0.0, now - entry.lease.renewed_at) for entry in islice(registry, 0, None, step)]) or [0.0]
        return {(str(part),): ages[min(len(ages) - 1, part * len(ages) // 100)] for part in _PERCENTILES}

    def ring_age() -> float:
        first = registry.log.first
        return 0.0 if first is None else max(0.0, wall() - first.wall)

    def held() -> list[float]:
        if not registry.liveness.counts[Status.SUSPECT]:
            return []
        return [service.hold.until for service in registry.services.values() if service.hold is not None]

    def hold_left() -> float:
        return max(0.0, max(held(), default=0.0) - clock())

    def checks() -> Readings:
        return {(health.value,): count for health, count in registry.liveness.checks.items()}

    def imported() -> Readings:
        return {(origin, str(status)): count for (origin, status), count in registry.liveness.copies.items()}

    def registrations() -> int:
        return registry.accepted[Register.action] + registry.accepted[Upsert.action]

    return [
        counter("discovery_registrations", "Registrations.", registrations),
        Metric("counter", "discovery_heartbeats", "Heartbeats.", heartbeats, ("result",)),
        Metric("gauge", "discovery_instances", "Instances.", instances, ("status",)),
        Metric("gauge", "discovery_checks", "Checks of instances.", checks, ("health",)),
        gauge("discovery_instances_warning", "Instances that warn of themselves.", lambda: registry.liveness.warning),
        gauge("discovery_instances_lapsed", "Instances kept after their lease.", lambda: registry.liveness.lapsed),
        gauge(
            "discovery_instances_permanent",
            "Instances without a lease.",
            lambda: sum(registry.liveness.permanent.values()),
        ),
        Metric(
            "gauge",
            "discovery_imported_instances",
            "Copies of other registries' instances.",
            imported,
            ("origin", "status"),
        ),
        gauge("discovery_services", "Services.", lambda: len(registry.services)),
        gauge("discovery_max_instances", "Instances, at the most.", lambda: registry.settings.max_instances),
        gauge("discovery_max_services", "Services, at the most.", lambda: registry.settings.max_services),
        Metric("gauge", "discovery_lease_age_seconds", "Since the last heartbeat.", lease_ages, ("percentile",)),
        gauge("discovery_index", "Index of the last commit.", lambda: registry.index),
        gauge("discovery_ring_age_seconds", "How far back the log of the last commits reaches.", ring_age),
        gauge(
            "discovery_brake_engaged",
            "1 while the brake on mass expiry holds any instance.",
            lambda: int(registry.liveness.counts[Status.SUSPECT] > 0),
        ),
        gauge("discovery_brake_held_services", "Services with instances that the brake holds.", lambda: len(held())),
        gauge("discovery_brake_hold_left_seconds", "Until the brake lets go of the last of them.", hold_left),
    ]


def metrics_per_service(registry: Registry, clock: Callable[[], float]) -> list[Metric]:
    """Of the first services by name."""

    def each(name: str, help: str, count: Callable[[Service], int]) -> Metric:
        async def read() -> Readings:
            counts: dict[tuple[str, ...], int] = {}
            for service in registry.page("", MAX_SERVICES):
                await turns().over()
                counts[service.name,] = count(service)
            return counts

        return Metric("gauge", name, help, read, ("service",))

    return [
        each("discovery_service_instances", "Instances of a service.", lambda service: service.living),
        each(
            "discovery_service_healthy_instances",
            "Healthy instances of a service.",
            lambda service: len(service.healthy(clock())),
        ),
    ]


class Expirations:
    """Counts what silence has come to."""

    def __init__(self) -> None:
        self._counts = Counter[tuple[str, ...]](
            {(reason,): 0 for reason in ("lapsed", "suspect", "removed", "displaced")}
        )
        self.metric = Metric(
            "counter", "discovery_expirations", "Instances whose lease ran out.", lambda: self._counts, ("reason",)
        )

    def follow_commit(self, commit: Commit) -> None:
        for told in commit.events:
            if isinstance(told, InstanceEvent) and (reason := _expiration(told, commit.action)):
                self._counts[reason,] += 1


def _expiration(told: InstanceEvent, action: str) -> str | None:
    if told.kind is event.Kind.EXPIRED:
        return "removed" if action == Expire.action else "displaced"
    return {event.Kind.UNHEALTHY: "lapsed", event.Kind.SUSPECT: "suspect"}.get(told.kind)
