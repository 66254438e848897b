"""The bodies of answers, as /openapi.json describes them. The tests hold what is sent to it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from discovery.core.status import Status


class Reply(BaseModel):
    """Every answer says when it was made: ISO 8601, UTC."""

    model_config = ConfigDict(extra="allow")

    timestamp: str


class Identity(BaseModel):
    id: str
    name: str
    ip: str
    port: int


class Registered(Identity):
    status: Status
    registered_at: str = Field(alias="registeredAt")


class Renewed(Identity):
    status: Status
    last_heartbeat: str = Field(alias="lastHeartbeat")


class Window(BaseModel):
    reason: str
    until: str


class Resolved(BaseModel):
    model_config = ConfigDict(extra="allow")  # protocol, weight, tags, …: where the registration has them

    id: str
    ip: str
    port: int
    status: Status
    last_heartbeat: str = Field(alias="lastHeartbeat")
    registered_at: str = Field(alias="registeredAt")
    metadata: dict[str, Any]


class Listed(Resolved):
    name: str
    is_healthy: bool = Field(alias="isHealthy")
    time_since_heartbeat: str = Field(alias="timeSinceHeartbeat")
    draining: bool = False
    maintenance: Window | None = None
    check_failure: str | None = Field(None, alias="checkFailure")


class Advice(Reply):
    message: str
    heartbeat_interval_ms: int = Field(alias="heartbeatIntervalMs")
    index: int


class RegisterReply(Advice):
    instance: Registered


class HeartbeatReply(Advice):
    instance: Renewed


class HeartbeatsReply(Reply):
    updated: int
    unknown: list[dict[str, Any]]
    heartbeat_interval_ms: int = Field(alias="heartbeatIntervalMs")
    index: int


class ResolveReply(Reply):
    service_name: str = Field(alias="serviceName")
    instance_count: int = Field(alias="instanceCount")
    instances: list[Resolved]


class InstanceReply(Listed):
    timestamp: str


class ServiceView(BaseModel):
    instance_count: int = Field(alias="instanceCount")
    healthy_count: int = Field(alias="healthyCount")
    instances: list[Listed]


class ServicesReply(Reply):
    total_services: int = Field(alias="totalServices")
    total_instances: int = Field(alias="totalInstances")
    total_healthy_instances: int = Field(alias="totalHealthyInstances")
    services: dict[str, ServiceView]
    next: str | None = None


class DeregisterReply(Reply):
    message: str
    removed_instance: Identity = Field(alias="removedInstance")


class DeregisterServiceReply(Reply):
    message: str
    service_name: str = Field(alias="serviceName")
    instances_removed: int = Field(alias="instancesRemoved")


class ClearReply(Reply):
    message: str
    services_removed: int = Field(alias="servicesRemoved")
    instances_removed: int = Field(alias="instancesRemoved")


class DrainReply(Reply):
    message: str
    instance: Listed
    safe_after: str | None = Field(None, alias="safeAfter")


class MaintenanceReply(Reply):
    message: str
    service_name: str = Field(alias="serviceName")
    ip: str | None = None
    port: int | None = None
    reason: str | None = None
    until: str | None = None


class NamedWindow(Window):
    service_name: str = Field(alias="serviceName")
    ip: str | None = None
    port: int | None = None


class MaintenancesReply(Reply):
    windows: list[NamedWindow]


class StatsReply(Reply):
    total_registrations: int = Field(alias="totalRegistrations")
    total_heartbeats: int = Field(alias="totalHeartbeats")
    total_cleanups: int = Field(alias="totalCleanups")
    active_services: int = Field(alias="activeServices")
    active_instances: int = Field(alias="activeInstances")
    services: list[str]
    uptime: int
    heartbeat_timeout: str = Field(alias="heartbeatTimeout")
    cleanup_interval: str = Field(alias="cleanupInterval")
    instances_by_status: dict[Status, int] = Field(alias="instancesByStatus")
    services_held_by_the_brake: list[str] = Field(alias="servicesHeldByTheBrake")


class HealthReply(Reply):
    status: str
    service: str
    version: str
    uptime: int


class ReadyReply(Reply):
    ready: bool
    not_ready: dict[str, str] = Field(alias="notReady")


class Error(Reply):
    """`error`: the status in words. `message`: what happened, to what, and what to do next. `code`: for programs."""

    error: str
    message: str
    code: str
