"""The shapes that several bodies and answers have in common, as the OpenAPI document has them. What the values of a body mean is checked by
`core`, so that every way in has the same rules.

Unknown fields are accepted, as the original did: its clients send more than it reads. `unknown_fields` names them in the reply.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictStr, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic.json_schema import SkipJsonSchema

from discovery.core import check
from discovery.core.address import PORT
from discovery.core.checked import seconds_between
from discovery.core.health import Health
from discovery.core.name import MAX_NAME
from discovery.core.status import Status
from discovery.core.warning import Severity

# The JSON schemas below are for /openapi.json and check nothing; they repeat what `core` checks.
LABEL = {"type": "string", "pattern": "^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$", "examples": ["user-service"]}
NAME = {"type": "string", "minLength": 1, "maxLength": MAX_NAME, "examples": ["user-service"]}
# What is asked over DNS: with escapes, as in a zone file, it may be nearly anything.
DOMAIN = {"type": "string", "pattern": "^[!-~]{1,1004}$", "examples": ["user-service.svc.local"]}
IP = {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}], "examples": ["10.0.0.7"]}
ADDRESS = {
    "type": "string",
    "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}, {"format": "hostname", "pattern": "\\."}],
    "examples": ["10.0.0.7"],
}

Label = Annotated[StrictStr, WithJsonSchema(LABEL)]
Name = Annotated[StrictStr, WithJsonSchema(NAME)]
Ip = Annotated[StrictStr, WithJsonSchema(IP)]
Address = Annotated[StrictStr, WithJsonSchema(ADDRESS)]
# A whole number, or a decimal string as clients have it that read it from their environment.
_DECIMAL = {"type": "string", "pattern": "^[0-9]{1,5}$"}
Port = Annotated[Any, WithJsonSchema({"anyOf": [PORT, _DECIMAL]})]
PortOrNone = Annotated[Any, WithJsonSchema({"anyOf": [PORT, _DECIMAL, {"type": "null"}, {"const": ""}]})]
# Of answers. Null: it has none.
ShownPort = Annotated[int | None, WithJsonSchema({"anyOf": [PORT, {"type": "null"}]})]
_CHECK = {
    check.TTL: seconds_between(check.MIN_REPORT, check.MAX_REPORT)[1],
    check.HTTP: {"type": "string", "pattern": "^/", "maxLength": check.MAX_PATH, "examples": ["/healthz"]},
    check.TCP: {"const": True},
    check.GRPC: {"anyOf": [{"const": True}, check.string(check.MAX_PATH)]},
    **{each.name: each.schema for each in check.FIELDS},
}


def _check(form: check.Form) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: _CHECK[name] for name in form.fields},
        "oneOf": [{"required": [kind]} for kind in check.KINDS if kind in form.fields],
        "additionalProperties": False,
    }


Check = Annotated[dict[str, Any], WithJsonSchema(_check(check.PLAIN_FORM))]
Checks = Annotated[
    list[Any], WithJsonSchema({"type": "array", "maxItems": check.MAX_CHECKS, "items": _check(check.FORM)})
]


class Body(BaseModel):
    """In JSON its fields have the same names in camelCase, as those of answers have."""

    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)


# -- of answers


class Described(BaseModel):
    """An answer as the OpenAPI document has it, and an example is checked by. Built when somebody asks for the document: the server's start
    need not wait for seventy of them.
    """

    model_config = ConfigDict(defer_build=True, alias_generator=to_camel)


Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00Z"]})]

T = TypeVar("T")
# A field that is only there when it has something to say; it is never null.
Perhaps: TypeAlias = T | SkipJsonSchema[None]


class Reply(Described):
    """Every answer says when it was made: ISO 8601, UTC; and, while this node does not hear of what happens at the others, for how many
    seconds.
    """

    timestamp: Time
    stale: Perhaps[int] = Field(None, description="how old what it says is, seconds")


Warnings = Annotated[list[str], Field(examples=[["'tag' is not read here; did you mean tags?"]])]


class Identity(Described):
    id: str
    name: str
    ip: Address
    port: ShownPort


class Registered(Identity):
    status: Status
    registered_at: Time


class Window(Described):
    reason: str
    until: Time


class Options(Described):
    """Where the registration has them, and they are not the default."""

    protocol: Perhaps[str | list[str]] = None
    weight: Perhaps[int] = None
    priority: Perhaps[int] = None
    warning_weight: Perhaps[int] = None
    zone: Perhaps[str] = None
    ttl: Perhaps[float] = None
    lease: Perhaps[Literal["none"]] = Field(None, description="none: it is registered until somebody deregisters it")
    keep: Perhaps[float] = Field(None, description="seconds for which it is known after its lease")
    hold: Perhaps[float] = Field(None, description="seconds for which it is a suspect after its lease")
    imported_from: Perhaps[str] = Field(
        None, description="the registry of which it is a copy; not there once it beats itself"
    )
    check: Perhaps[Check] = None
    checks: Perhaps[Checks] = None
    max_answers: Perhaps[int] = None
    tags: Perhaps[list[str]] = None
    ports: Perhaps[dict[str, int]] = None
    health: Perhaps[Health] = Field(None, description="what it says of itself, where that is not `passing`")
    output: Perhaps[str] = Field(None, description="what it found, in its words")
    warning: Perhaps[bool] = Field(None, description="it or a check of it warns: its weight is its warningWeight")


class Resolved(Options):
    id: str
    ip: Address
    port: ShownPort
    status: Status
    last_heartbeat: Time
    registered_at: Time
    metadata: dict[str, Any]


class CheckState(Described):
    """`since` null: it has always passed."""

    health: Health
    output: str
    since: Time | None


class Decided(Described):
    """Where it is so."""

    draining: Perhaps[bool] = None
    check_failure: Perhaps[str] = None
    check_states: Perhaps[dict[str, CheckState]] = Field(
        None, description="what its checks say, by their ids; one that is not there has always passed"
    )
    lapsed_at: Perhaps[Time] = Field(
        None, description="it is known after its lease, which ended then, and counted as nobody"
    )


class Listed(Resolved, Decided):
    name: str
    is_healthy: bool
    time_since_heartbeat: str = Field(examples=["12s"])
    maintenance: Perhaps[Window] = None


class Heartbeats(Described):
    """`everySeconds`: between two, as it was told at first, and at most so far. `missed`: since the last."""

    every_seconds: float = Field(examples=[3.333])
    next_due: Time
    missed: int


class RefusedHeartbeats(Described):
    """`why`: of the last one; the names of tokens only to admins and to whoever may write the service."""

    since: Time
    count: int
    why: str = Field(examples=["its token expired"])


class LastCheck(Described):
    """Of its active check. `failure` null: it passed."""

    at: Time
    failure: str | None


class Accounted(Described):
    """The account of an instance: `why` it is `served` or not; `since` and `until` of its status: null: not known, or until somebody ends
    it; of a healthy one until its lease ends, and longer with each heartbeat. `by`: who took it out, for admins and whoever may write the
    service. `next`: what happens next; empty of the past. `lastHeartbeat` null: not known.
    """

    served: bool
    why: str = Field(examples=["its lease runs"])
    since: Time | None
    until: Time | None
    by: str | None
    next: str = Field(examples=["without a heartbeat it leaves the answers"])
    last_heartbeat: Time | None
    heartbeats: Perhaps[Heartbeats] = None
    refused_heartbeats: Perhaps[RefusedHeartbeats] = None
    last_check: Perhaps[LastCheck] = None


class Actor(Described):
    """`name`: of the token, "" without one. `address`: the client's, "" of what the server does of itself."""

    name: str
    address: str


class ReadyWarning(Described):
    """What is not as it should be, though all can be asked. `count`: how many there are of this code. Who may not read has each code once,
    without the rest.
    """

    code: str = Field(examples=["zones_failed"])
    severity: Severity
    count: int
    text: Perhaps[str] = Field(None, description="what is wrong, with what, and what to do")
    since: Perhaps[Time] = None
    see: Perhaps[str] = Field(None, description="its entry in Troubleshooting")


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
    service_name: Perhaps[str] = None
    instance_count: Perhaps[int] = None
    instances: Perhaps[list[Any]] = None
    id: Perhaps[str] = None
    index: Perhaps[int] = Field(None, description="the registry's")
    oldest: Perhaps[int] = Field(None, description="the index from which on nothing is missing")
    limit: Perhaps[int] = None
    of: Perhaps[str] = Field(None, description="what the limit is of: services or instances")
    reason: Perhaps[str] = None
    retry_after: Perhaps[int] = Field(None, description="seconds, as in Retry-After")
    retry_after_ms: Perhaps[int] = None
    nodes: Perhaps[list[str]] = Field(None, description="the addresses of those that take writes now")
    since: Perhaps[Time] = Field(None, description="from when on there is a history")
    ready: Perhaps[bool] = None
    not_ready: Perhaps[dict[str, str]] = None
    warnings: Perhaps[list[ReadyWarning]] = None
