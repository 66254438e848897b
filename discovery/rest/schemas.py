"""The bodies of requests: their shape. What the values mean is checked by `core`, so that every way in has the same rules.

Unknown fields are ignored, as the original did: its clients send more than it reads.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, WithJsonSchema

from discovery.core.instance import DEFAULT_PRIORITY, DEFAULT_WEIGHT, Key, Registration
from discovery.core.lease import MAX_TTL, MIN_TTL
from discovery.core.maintenance import MAX_SECONDS, Window
from discovery.core.name import fold

# A whole number, or a decimal string as clients have it that read it from their environment. `core` tells good from bad.
Port = Annotated[
    Any, WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": "string"}]})
]
Seconds = Annotated[Any, WithJsonSchema({"type": "number", "minimum": MIN_TTL, "maximum": MAX_TTL})]


class Body(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class RegisterBody(Body):
    """POST /register, PUT /instances, and POST /heartbeat with `register`."""

    name: StrictStr
    ip: StrictStr
    port: Port
    metadata: dict[str, Any] | None = None
    tags: list[StrictStr] = []
    ports: dict[str, Port] | None = None
    protocol: StrictStr = "tcp"
    weight: StrictInt = DEFAULT_WEIGHT
    priority: StrictInt = DEFAULT_PRIORITY
    zone: StrictStr | None = None
    ttl: Seconds = None
    max_answers: StrictInt | None = Field(None, alias="maxAnswers")
    check: dict[str, Any] | None = None
    id: StrictStr | None = None

    def registration(self) -> Registration:
        """InvalidField when a value breaks a rule."""
        return Registration.of(**dict(self))


class HeartbeatBody(Body):
    """POST /heartbeat. `register` true: the body is a whole RegisterBody, for a server that has forgotten."""

    name: StrictStr
    ip: StrictStr
    port: Port
    with_registration: StrictBool = Field(False, alias="register")

    def key(self) -> Key:
        return Key.of(self.name, self.ip, self.port)


def usual_key(item: Any) -> Key:
    """The key of an instance in its usual spelling, unchecked but for what would pass for another: it is looked up, no more.

    KeyError, TypeError or AttributeError for every other spelling, for what carries a registration, and for nonsense.
    """
    name, port = item["name"], item["port"]
    if type(port) is not int or not name.isascii() or "register" in item:
        raise TypeError
    return Key(fold(name), item["ip"], port)


# About 1 MB of JSON, and 20 ms of work in pieces.
MAX_BATCH = 10_000


class MaintenanceBody(Body):
    """PUT …/maintenance: why, and until when (ISO 8601) or for how many seconds."""

    reason: StrictStr
    until: StrictStr | None = None
    seconds: Annotated[Any, WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": MAX_SECONDS})] = None

    def window(self, wall: float) -> Window:
        """InvalidField when a value breaks a rule."""
        return Window.of(self.reason, self.until, self.seconds, wall)


class HeartbeatsBody(Body):
    """POST /heartbeats. The items are checked one by one, so that one of them fails nobody else."""

    instances: Annotated[list[Any], WithJsonSchema({"type": "array", "maxItems": MAX_BATCH})]
