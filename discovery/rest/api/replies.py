"""The bodies of answers, as /openapi.json describes them. The tests hold what is sent to it. Events are in `event_replies`, what the server
says of itself in `server_replies`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from discovery.core.status import Status
from discovery.rest.api.schemas import ADDRESS, PORT, Check

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00Z"]})]
Ip = Annotated[str, WithJsonSchema(ADDRESS)]
Port = Annotated[int, WithJsonSchema(PORT)]

T = TypeVar("T")
# A field that is only there when it has something to say; it is never null.
Perhaps: TypeAlias = T | SkipJsonSchema[None]


class Reply(BaseModel):
    """Every answer says when it was made: ISO 8601, UTC; and, while this node does not hear of what happens at the others, for how many
    seconds.
    """

    timestamp: Time
    stale: Perhaps[int] = Field(None, description="how old what it says is, seconds")


Warnings = Annotated[list[str], Field(examples=[["'tag' is not read here; did you mean tags?"]])]


class Identity(BaseModel):
    id: str
    name: str
    ip: Ip
    port: Port


class Registered(Identity):
    status: Status
    registered_at: Time = Field(alias="registeredAt")


class Renewed(Identity):
    """`registeredAt`: where the heartbeat carried a registration."""

    status: Status
    last_heartbeat: Time = Field(alias="lastHeartbeat")
    registered_at: Perhaps[Time] = Field(None, alias="registeredAt")


class Window(BaseModel):
    reason: str
    until: Time


class Options(BaseModel):
    """Where the registration has them, and they are not the default."""

    protocol: Perhaps[str] = None
    weight: Perhaps[int] = None
    priority: Perhaps[int] = None
    zone: Perhaps[str] = None
    ttl: Perhaps[float] = None
    check: Perhaps[Check] = None
    max_answers: Perhaps[int] = Field(None, alias="maxAnswers")
    tags: Perhaps[list[str]] = None
    ports: Perhaps[dict[str, int]] = None


class Resolved(Options):
    id: str
    ip: Ip
    port: Port
    status: Status
    last_heartbeat: Time = Field(alias="lastHeartbeat")
    registered_at: Time = Field(alias="registeredAt")
    metadata: dict[str, Any]


class Listed(Resolved):
    name: str
    is_healthy: bool = Field(alias="isHealthy")
    time_since_heartbeat: str = Field(alias="timeSinceHeartbeat", examples=["12s"])
    draining: Perhaps[bool] = None
    maintenance: Perhaps[Window] = None
    check_failure: Perhaps[str] = Field(None, alias="checkFailure")


class Advice(Reply):
    message: str
    heartbeat_interval_ms: int = Field(alias="heartbeatIntervalMs")
    index: int
    warnings: Perhaps[Warnings] = None


class RegisterReply(Advice):
    instance: Registered


class HeartbeatReply(Advice):
    instance: Renewed


class Missed(BaseModel):
    """An item of a batch that renewed nothing: what was sent of its name, as it was sent, and why."""

    message: str
    name: Perhaps[Any] = None
    ip: Perhaps[Any] = None
    port: Perhaps[Any] = None
    id: Perhaps[Any] = None


class HeartbeatsReply(Reply):
    updated: int
    unknown: list[Missed]
    heartbeat_interval_ms: int = Field(alias="heartbeatIntervalMs")
    index: int
    warnings: Perhaps[Warnings] = None


class RegistrationResult(BaseModel):
    """One of many: `id` when it was registered (201), else `code` and `message` as the error of POST /register has them."""

    status: int
    id: str | None = None
    code: str | None = None
    message: str | None = None
    warnings: Perhaps[Warnings] = None


class RegistrationsReply(Reply):
    registered: int
    results: list[RegistrationResult]
    heartbeat_interval_ms: int = Field(alias="heartbeatIntervalMs")
    index: int
    warnings: Perhaps[Warnings] = None


class Explained(BaseModel):
    """`since`, `until`: of the status; null: not known, or until somebody ends it. Of a healthy one: until its lease ends, and longer with
    each heartbeat. `lastHeartbeat` null: not known.
    """

    id: str
    ip: Ip
    port: Port
    status: Status
    served: bool
    why: str = Field(examples=["it is in maintenance, somebody asked for it: a new disk"])
    since: Time | None
    until: Time | None
    last_heartbeat: Time | None = Field(alias="lastHeartbeat")


class ResolveReply(Reply):
    service_name: str = Field(alias="serviceName")
    instance_count: int = Field(alias="instanceCount")
    instances: list[Resolved]
    explained: Perhaps[list[Explained]] = Field(None, description="with explain=1: every instance")


class InstanceReply(Listed):
    timestamp: Time
    stale: Perhaps[int] = None


class ServiceView(BaseModel):
    instance_count: int = Field(alias="instanceCount")
    healthy_count: int = Field(alias="healthyCount")
    instances: list[Listed]


class Actor(BaseModel):
    """`name`: of the token, "" without one. `address`: the client's, "" of what the server does of itself."""

    name: str
    address: str


class GoneInstance(Identity):
    """`reason` and `actor`: why it went, and by whom; `timestamp`: when. `actor` null: who asks may not know."""

    kind: Literal["deregistered", "expired"]
    reason: str
    actor: Actor | None
    index: int
    timestamp: Time


class ServicesReply(Reply):
    """`next`: of a page; null at the end. `gone`: the newest first."""

    total_services: int = Field(alias="totalServices")
    total_instances: int = Field(alias="totalInstances")
    total_healthy_instances: int = Field(alias="totalHealthyInstances")
    services: dict[str, ServiceView]
    next: str | None = None
    gone: Perhaps[list[GoneInstance]] = Field(
        None, description="with gone=1: those that have gone lately and not come back"
    )


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
    """`safeAfter`: no cache holds it any more."""

    message: str
    instance: Listed
    safe_after: Perhaps[Time] = Field(None, alias="safeAfter")


class MaintenanceReply(Reply):
    """`reason` and `until`: of one that begins. `ip` and `port`: of an instance's."""

    message: str
    service_name: str = Field(alias="serviceName")
    ip: Perhaps[Ip] = None
    port: Perhaps[Port] = None
    reason: Perhaps[str] = None
    until: Perhaps[Time] = None
    warnings: Perhaps[Warnings] = None


class NamedWindow(Window):
    service_name: str = Field(alias="serviceName")
    ip: Perhaps[Ip] = None
    port: Perhaps[Port] = None


class MaintenancesReply(Reply):
    windows: list[NamedWindow]


class Error(Reply):
    """`error`: the status in words. `message`: what happened, to what, and what to do next. `code`: for programs. The others are facts
    of some codes.
    """

    error: str
    message: str
    code: str
    field: Perhaps[str] = None
    example: Perhaps[str] = None
    missing: Perhaps[str] = Field(None, description="the right that the token lacks")
    suggestion: Perhaps[str] = None
    service_name: Perhaps[str] = Field(None, alias="serviceName")
    instance_count: Perhaps[int] = Field(None, alias="instanceCount")
    instances: Perhaps[list[Any]] = None
    id: Perhaps[str] = None
    index: Perhaps[int] = Field(None, description="the registry's")
    oldest: Perhaps[int] = Field(None, description="the index from which on nothing is missing")
    limit: Perhaps[int] = None
    of: Perhaps[str] = Field(None, description="what the limit is of: services or instances")
    reason: Perhaps[str] = None
    retry_after: Perhaps[int] = Field(None, alias="retryAfter", description="seconds, as in Retry-After")
    retry_after_ms: Perhaps[int] = Field(None, alias="retryAfterMs")
    nodes: Perhaps[list[str]] = Field(None, description="the addresses of those that take writes now")
    since: Perhaps[Time] = Field(None, description="from when on there is a history")
    ready: Perhaps[bool] = None
    not_ready: Perhaps[dict[str, str]] = Field(None, alias="notReady")
