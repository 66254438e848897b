"""What the server says of itself, as /openapi.json describes it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from discovery.core.status import Status
from discovery.rest.api.replies import Perhaps, Reply, Time


class BrakeHold(BaseModel):
    """The brake on mass expiry holds the silent instances of a service until then, and lets go of them after that."""

    service_name: str = Field(alias="serviceName")
    suspects: int
    since: Time
    until: Time


class StatsReply(Reply):
    """More may be in it, an object for each part of the server that counts."""

    model_config = ConfigDict(extra="allow")

    total_registrations: int = Field(alias="totalRegistrations")
    total_heartbeats: int = Field(alias="totalHeartbeats")
    total_cleanups: int = Field(alias="totalCleanups")
    active_services: int = Field(alias="activeServices")
    active_instances: int = Field(alias="activeInstances")
    services: list[str]
    uptime: int
    heartbeat_timeout: str = Field(alias="heartbeatTimeout", examples=["10s"])
    cleanup_interval: str = Field(alias="cleanupInterval", examples=["5s"])
    instances_by_status: dict[Status, int] = Field(alias="instancesByStatus")
    services_held_by_the_brake: list[str] = Field(alias="servicesHeldByTheBrake")
    brake_holds: list[BrakeHold] = Field(alias="brakeHolds", description="of the hundred services with most suspects")


class RevokedToken(BaseModel):
    """`name` is empty when the node that was asked had it in no file. `expires` null: never, as far as that node knew."""

    name: str
    sha256: str
    revoked_at: Time = Field(alias="revokedAt")
    revoked_by: str = Field(alias="revokedBy")
    expires: Time | None


class Token(BaseModel):
    """`source`: the setting that it comes from. `register`: patterns of services. `expires` null: never."""

    name: str
    source: Literal["API_TOKEN", "TOKENS_FILE"]
    register_: list[str] = Field(alias="register")
    read: bool
    admin: bool
    expires: Time | None
    expired: bool
    revoked: bool


class TokensReply(Reply):
    """Of the node that is asked, but for `revoked`, which holds on all nodes. `fileFailure`: why TOKENS_FILE was not read anew."""

    tokens: list[Token]
    revoked: list[RevokedToken]
    reads_need_token: bool = Field(alias="readsNeedToken")
    file: str | None
    file_failure: str | None = Field(alias="fileFailure")
    message: Perhaps[str] = Field(None, description="what to set, where there are no tokens")


class TokenReply(Reply):
    message: str
    token: RevokedToken


class HealthReply(Reply):
    status: str
    service: str
    version: str
    uptime: int


class ReadyReply(Reply):
    ready: bool
    not_ready: dict[str, str] = Field(alias="notReady")
    warnings: list[str] = Field(
        description="what is not as it should be, though all can be asked: a zone file that is bad"
    )


class DocumentReply(BaseModel):
    """OpenAPI 3.1."""

    model_config = ConfigDict(extra="allow")

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]
