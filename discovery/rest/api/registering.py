"""Registering: POST /register; the bodies of registrations, and what all that registers and beats has in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, Field, StrictBool, StrictInt, StrictStr, WithJsonSchema

from discovery.core import metadata
from discovery.core.address import PORT, parse_ip, parse_port
from discovery.core.errors import DiscoveryError, InvalidField
from discovery.core.health import MAX_OUTPUT, Finding, Health
from discovery.core.instance import Instance, Key, Registration
from discovery.core.lease import MAX_KEEP, MAX_TTL, MIN_TTL
from discovery.core.name import fold, label
from discovery.core.options import (
    DEFAULT_PRIORITY,
    DEFAULT_WARNING_WEIGHT,
    DEFAULT_WEIGHT,
    MAX_IMPORTED_FROM,
    MAX_PORTS,
    MAX_TAG,
    MAX_TAGS,
    NO_HOLD,
    NO_KEEP,
)
from discovery.core.remembered import Change
from discovery.rest.api import views
from discovery.rest.api.answers import Answer, Json, stamped
from discovery.rest.api.example import FIRST, Example
from discovery.rest.api.json_body import json_object
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.services.listing import location
from discovery.rest.api.shapes import (
    LABEL,
    Address,
    Body,
    Check,
    Checks,
    Ip,
    Label,
    Name,
    Perhaps,
    Port,
    PortOrNone,
    Registered,
    Reply,
    Warnings,
)
from discovery.rest.api.times import Times
from discovery.rest.api.unknown_fields import Fields
from discovery.store.engine import Engine
from discovery.store.registrants import native_ttl
from discovery.store.registration import Register
from discovery.store.registry import Registry

HEADING = "Registering"
# What a registration may end in.
CODES = (
    "SERVICE_FULL", "PERMANENT_REFUSED", "NAME_RESERVED", "ID_TAKEN", "REGISTRY_FULL", "TOO_MANY_REGISTRATIONS", "STORAGE_UNAVAILABLE",
    "ENGINE_UNAVAILABLE", "MOVED",
)  # fmt: skip

# What the original routes take.
_MOST_LABELS = 32
Labels = Annotated[list[StrictStr], WithJsonSchema({"type": "array", "items": LABEL, "maxItems": _MOST_LABELS})]
Tags = Annotated[
    list[StrictStr],
    WithJsonSchema(
        {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": MAX_TAG}, "maxItems": MAX_TAGS}
    ),
]
_ONE = {"enum": ["tcp", "udp"]}
Protocol = Annotated[Any, WithJsonSchema({"anyOf": [_ONE, {"type": "array", "items": _ONE, "minItems": 1}]})]
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


def original_key(name: object, ip: object, port: object) -> Key:
    """Of what the original's routes take: a label, an IP address and a port. InvalidField."""
    return Key(fold(label(name, "name")), parse_ip(ip), parse_port(port))


class RegisterBody(Body):
    """POST /register, and POST /heartbeat with `register`."""

    name: Label
    ip: Ip
    port: Port
    metadata: Metadata = None
    tags: Labels = []  # noqa: RUF012 pydantic copies it
    ports: Ports = None
    protocol: Protocol = "tcp"
    weight: Uint16 = DEFAULT_WEIGHT
    priority: Uint16 = DEFAULT_PRIORITY
    warning_weight: Uint16 = Field(DEFAULT_WARNING_WEIGHT, description="its weight while it warns")
    zone: Label | None = None
    ttl: Seconds = None
    max_answers: Annotated[StrictInt, WithJsonSchema(PORT)] | None = None
    check: Check | None = None
    id: Id | None = None
    replace: StrictBool = Field(
        False, description="with `id`: another instance of the service that has this id makes way for this one"
    )

    # Fields that are no part of the registration.
    _besides: ClassVar[tuple[str, ...]] = ("replace",)

    def registration(self) -> Registration:
        """InvalidField when a value breaks a rule."""
        fields = vars(self).copy()  # dict(self) takes 2 µs more
        for name in self._besides:
            del fields[name]
        if self.tags:
            fields["tags"] = self._tags()
        self.check_identity()
        check = fields.pop("check")
        if check is not None and fields.get("checks") is not None:
            raise InvalidField("checks", "cannot stand beside check: name all of them here")
        fields["checks"] = fields.get("checks") or check
        return Registration.of(**fields)

    def check_identity(self) -> None:
        """InvalidField, but for what the original took."""
        original_key(self.name, self.ip, self.port)

    def _tags(self) -> Sequence[str]:
        """Labels, each once."""
        if len(self.tags) > _MOST_LABELS:
            raise InvalidField("tags", f"has {len(self.tags)} entries, at most {_MOST_LABELS} are kept")
        tags = [label(tag, f"tags[{index}]") for index, tag in enumerate(self.tags)]
        return tuple({fold(tag): tag for tag in tags}.values())


OwnHealthOf = Annotated[StrictStr, WithJsonSchema({"type": "string", "enum": list(Health)})]
Output = Annotated[StrictStr, WithJsonSchema({"type": "string", "maxLength": MAX_OUTPUT})]


class InstanceBody(RegisterBody):
    """PUT /instances, and an item of POST /registrations: what the original did not know, besides."""

    name: Name
    ip: Address = Field(
        validation_alias=AliasChoices("ip", "address"), description="or a host name; `address` is the same field"
    )
    port: PortOrNone = Field(None, description="not given, null or empty: it has none, and DNS gives its address alone")
    tags: Tags = []  # noqa: RUF012 pydantic copies it
    lease: Annotated[StrictStr, WithJsonSchema({"const": "none"})] | None = Field(
        None, description="none: it need not beat, and is registered until somebody deregisters it"
    )
    keep: Annotated[Any, WithJsonSchema({"type": "number", "minimum": 0, "maximum": MAX_KEEP})] = Field(
        NO_KEEP, description="seconds for which it is known after its lease, in no answer; a heartbeat brings it back"
    )
    hold: Annotated[Any, WithJsonSchema({"type": "number", "minimum": 0, "maximum": MAX_KEEP})] = Field(
        NO_HOLD,
        description="seconds for which it is a suspect after its lease, behind the healthy; takes the right admin",
    )
    imported_from: Annotated[StrictStr, WithJsonSchema({"type": "string", "maxLength": MAX_IMPORTED_FROM})] | None = (
        Field(None, description="the registry of which it is a copy, until it beats here itself; takes the right admin")
    )
    checks: Checks | None = Field(None, description="in place of `check`: several, of any kind")
    health: OwnHealthOf | None = Field(None, description="what it says of itself; not given: as it was")
    output: Output | None = Field(None, description="what it found, in its words")

    _besides: ClassVar[tuple[str, ...]] = ("replace", "health", "output")

    def check_identity(self) -> None:
        pass  # Registration.of has the rules

    def _tags(self) -> Sequence[str]:
        return self.tags

    def own(self) -> Finding | None:
        """None: it says nothing of it. InvalidField."""
        return own_health(self.health, self.output)


def own_health(health: object, output: object, field: str = "") -> Finding | None:
    """From what was sent: None where there is nothing. InvalidField; `field`: in front of the names."""
    if health is not None:
        return Finding.of(health, output, field)
    if output is not None:
        raise InvalidField(f"{field}output", "stands beside health: passing, warning or failing")
    return None


class Advice(Reply):
    heartbeat_interval_ms: int
    index: int
    warnings: Perhaps[Warnings] = None


class RegisterReply(Advice):
    message: str = Field(examples=["Service registered successfully"])
    instance: Registered


_FIELDS = Fields(RegisterBody)


# What a plugin remembers of an instance that its registry's own words are these of. InvalidField, HttpError.
ImportedAs = Callable[[Any, Registration], Change]


@dataclass(eq=False)
class Registrar:
    """What registering and beating have in common. `clock`: monotonic seconds, the registry's. `random` spreads the heartbeats.

    `count_registration`: is told of each by address and time, and refuses one too many. `note_refused`: is told by request how many items
    of a batch were refused, and why the first. `imported_as`: as of `Seams`.
    """

    registry: Registry
    engine: Engine
    clock: Callable[[], float]
    times: Times
    random: Random
    count_registration: Callable[[str, float], None]
    note_refused: Callable[[Request, int, Sequence[tuple[Any, DiscoveryError]]], None]
    imported_as: Mapping[str, ImportedAs] = field(default_factory=dict)

    def _advice(self, ttl: float, instance: Instance | None = None) -> Json:
        """When to beat next: a third of the timeout, so that two may be lost; ±10 % keep a fleet from beating in step. `instance`: whose
        lease that is, if it is one's alone.
        """
        if ttl > MAX_TTL:  # others may keep it who need not beat
            ttl = (instance and native_ttl(instance, self.registry.lease_ttl)) or MAX_TTL
        interval = ttl * (300 + 200 / 3 * self.random.random())
        return {"heartbeatIntervalMs": int(interval), "index": self.registry.index}


class Registering(Registrar):
    def routes(self) -> list[Route]:
        full = {
            **FIRST, "ports": {"admin": 9001}, "protocol": "tcp", "weight": 50, "priority": 10, "maxAnswers": 3,
            "check": {"http": "/healthz", "interval": 5}, "replace": True,
        }  # fmt: skip
        return [
            Route(
                "POST", "/register", self.register, Right.WRITE, Kind.REGISTRATION, "Register, or register again", HEADING,
                RegisterReply, RegisterBody, status=(201,), codes=CODES, is_small=True,
                examples=(Example(status=201, title="The least"), Example(full, status=201, title="All that there is")),
            ),
        ]  # fmt: skip

    async def register(self, request: Request) -> Answer:
        self.count_registration(request.caller.address, self.clock())
        sent = json_object(request)
        body = RegisterBody.model_validate(sent)
        instance = await self.engine.submit(Register(body.registration(), body.replace), request.caller)
        content = {
            "message": "Service registered successfully",
            "instance": views.registered(instance),
            **self._advice(self.registry.ttl_of(instance.spec), instance),
            **_FIELDS.said_of(sent),
        }
        return Answer(201, stamped(content, self.times), location(instance))
