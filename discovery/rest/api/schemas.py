"""The bodies of requests: their shape. What the values mean is checked by `core`, so that every way in has the same rules.

Unknown fields are accepted, as the original did: its clients send more than it reads. `unknown_fields` names them in the reply.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, WithJsonSchema

from discovery.core import check, metadata
from discovery.core.instance import DEFAULT_PRIORITY, DEFAULT_WEIGHT, MAX_PORTS, MAX_TAGS, Key, Registration
from discovery.core.lease import MAX_TTL, MIN_TTL
from discovery.core.maintenance import MAX_REASON, MAX_SECONDS, Window
from discovery.core.name import fold

# The JSON schemas below are for /openapi.json and check nothing; they repeat what `core` checks.
LABEL = {"type": "string", "pattern": "^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$", "examples": ["user-service"]}
# What is asked over DNS: with escapes, as in a zone file, it may be nearly anything.
DOMAIN = {"type": "string", "pattern": "^[!-~]{1,1004}$", "examples": ["user-service.svc.local"]}
ADDRESS = {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}], "examples": ["10.0.0.7"]}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}

Name = Annotated[StrictStr, WithJsonSchema(LABEL)]
Ip = Annotated[StrictStr, WithJsonSchema(ADDRESS)]
# A whole number, or a decimal string as clients have it that read it from their environment.
Port = Annotated[Any, WithJsonSchema({"anyOf": [PORT, {"type": "string", "pattern": "^[0-9]{1,5}$"}]})]
Tags = Annotated[list[StrictStr], WithJsonSchema({"type": "array", "items": LABEL, "maxItems": MAX_TAGS})]
Protocol = Annotated[StrictStr, WithJsonSchema({"enum": ["tcp", "udp"]})]
Uint16 = Annotated[StrictInt, WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 65535})]
Seconds = Annotated[Any, WithJsonSchema({"type": ["number", "null"], "minimum": MIN_TTL, "maximum": MAX_TTL})]
Metadata = Annotated[
    dict[str, Any] | None,
    WithJsonSchema(
        {
            "type": ["object", "null"],
            "description": f"at most {metadata.MAX_BYTES} octets of JSON, {metadata.MAX_DEPTH} levels deep",
        }
    ),
]
Ports = Annotated[
    dict[str, Port] | None,
    WithJsonSchema(
        {
            "type": ["object", "null"],
            "propertyNames": {"pattern": LABEL["pattern"]},
            "additionalProperties": PORT,
            "maxProperties": MAX_PORTS,
        }
    ),
]
Id = Annotated[StrictStr, WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$"})]
_COUNT = {"type": "integer", "minimum": 1, "maximum": check.MAX_COUNT}
Check = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                "http": {"type": "string", "pattern": "^/", "maxLength": check.MAX_PATH, "examples": ["/health"]},
                "tcp": {"const": True},
                "interval": {"type": "number", "minimum": check.MIN_INTERVAL, "maximum": check.MAX_INTERVAL},
                "timeout": {"type": "number", "minimum": 0.1, "maximum": check.MAX_TIMEOUT},
                "failures": _COUNT,
                "successes": _COUNT,
            },
            "oneOf": [{"required": ["http"]}, {"required": ["tcp"]}],
            "additionalProperties": False,
        }
    ),
]


class Body(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class RegisterBody(Body):
    """POST /register, PUT /instances, and POST /heartbeat with `register`."""

    name: Name
    ip: Ip
    port: Port
    metadata: Metadata = None
    tags: Tags = []
    ports: Ports = None
    protocol: Protocol = "tcp"
    weight: Uint16 = DEFAULT_WEIGHT
    priority: Uint16 = DEFAULT_PRIORITY
    zone: Name | None = None
    ttl: Seconds = None
    max_answers: Annotated[StrictInt, WithJsonSchema(PORT)] | None = Field(None, alias="maxAnswers")
    check: Check | None = None
    id: Id | None = None
    replace: StrictBool = Field(
        False, description="with `id`: another instance of the service that has this id makes way for this one"
    )

    def registration(self) -> Registration:
        """InvalidField when a value breaks a rule."""
        fields = vars(self).copy()  # dict(self) takes 2 µs more
        del fields["replace"]
        return Registration.of(**fields)


class HeartbeatBody(Body):
    """POST /heartbeat. `register` true: the body is a whole RegisterBody, for a server that has forgotten."""

    name: Name
    ip: Ip
    port: Port
    with_registration: StrictBool = Field(False, alias="register")

    def key(self) -> Key:
        return Key.of(self.name, self.ip, self.port)


def usual_key(item: Any) -> Key:
    """The key of an instance in its usual spelling, unchecked but for what would pass for another: it is looked up, no more.

    KeyError, TypeError or AttributeError for every other spelling, for what carries a registration, and for nonsense.
    """
    name, ip, port = item["name"], item["ip"], item["port"]
    if type(port) is not int or type(ip) is not str or not name.isascii() or "register" in item:
        raise TypeError
    return Key(fold(name), ip, port)


# About 1 MB of JSON, and 20 ms of work in pieces.
MAX_BATCH = 10_000


# As many as fit 2 MiB with 2 KiB of metadata each, and 40 ms of work in pieces.
MAX_REGISTRATIONS = 1000


class RegistrationsBody(Body):
    """POST /registrations. The items are bodies of POST /register, checked one by one, so that one of them fails nobody else."""

    instances: Annotated[list[Any], WithJsonSchema({"type": "array", "maxItems": MAX_REGISTRATIONS})]


class MaintenanceBody(Body):
    """PUT …/maintenance: why, and until when (ISO 8601) or for how many seconds."""

    reason: Annotated[StrictStr, WithJsonSchema({"type": "string", "pattern": "\\S", "maxLength": MAX_REASON})]
    until: Annotated[StrictStr, WithJsonSchema({"type": "string", "format": "date-time"})] | None = None
    seconds: Annotated[
        Any, WithJsonSchema({"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": MAX_SECONDS})
    ] = None

    def window(self, wall: float) -> Window:
        """InvalidField when a value breaks a rule."""
        return Window.of(self.reason, self.until, self.seconds, wall)


class HeartbeatsBody(Body):
    """POST /heartbeats. The items are checked one by one, so that one of them fails nobody else."""

    instances: Annotated[list[Any], WithJsonSchema({"type": "array", "maxItems": MAX_BATCH})]
