"""Registering: POST /register, and many at once by POST /registrations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from random import Random
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError, WithJsonSchema

from discovery.core import metadata
from discovery.core.address import parse_ip, parse_port
from discovery.core.caller import Caller
from discovery.core.errors import DiscoveryError, InvalidField
from discovery.core.health import MAX_OUTPUT, Finding, Health
from discovery.core.instance import (
    DEFAULT_PRIORITY,
    DEFAULT_WARNING_WEIGHT,
    DEFAULT_WEIGHT,
    MAX_IMPORTED_FROM,
    MAX_PORTS,
    MAX_TAG,
    MAX_TAGS,
    NO_HOLD,
    NO_KEEP,
    Instance,
    Key,
    Registration,
)
from discovery.core.lease import MAX_KEEP, MAX_TTL, MIN_TTL
from discovery.core.name import fold, label
from discovery.core.remembered import Change
from discovery.rest.api import views
from discovery.rest.api.answers import Answer, stamped
from discovery.rest.api.errors import described
from discovery.rest.api.example import FIRST, LEAST, Example
from discovery.rest.api.json_body import MAX_BODY, json_object
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.services.listing import location
from discovery.rest.api.shapes import (
    LABEL,
    PORT,
    Address,
    Body,
    Check,
    Checks,
    Described,
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
from discovery.rest.api.views import Json
from discovery.store.engine import Engine
from discovery.store.registrants import native_ttl
from discovery.store.registration import Register
from discovery.store.registry import Registry
from discovery.system.turns import turns

HEADING = "Registering"
# As many as fit 2 MiB with 2 KiB of metadata each, and 40 ms of work in pieces.
MAX_REGISTRATIONS = 1000
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
    warning_weight: Uint16 = Field(
        DEFAULT_WARNING_WEIGHT, alias="warningWeight", description="its weight while it warns"
    )
    zone: Label | None = None
    ttl: Seconds = None
    max_answers: Annotated[StrictInt, WithJsonSchema(PORT)] | None = Field(None, alias="maxAnswers")
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
        Field(
            None,
            alias="importedFrom",
            description="the registry of which it is a copy, until it beats here itself; takes the right admin",
        )
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


# What a plugin remembers of an instance that its registry's own words are these of. InvalidField, HttpError.
ImportedAs = Callable[[Any, Registration], Change]


class ItemBody(InstanceBody):
    """An item of POST /registrations."""

    imported_as: dict[StrictStr, Any] = Field(
        {},
        alias="importedAs",
        description="of a copy, by the name of a plugin (consul, eureka): what the other registry says of it, for that registry's clients",
    )

    _besides: ClassVar[tuple[str, ...]] = (*InstanceBody._besides, "imported_as")

    def attachments(self, spec: Registration, imported_as: Mapping[str, ImportedAs]) -> dict[str, Change]:
        """Of plugins that are off nothing is kept. InvalidField, HttpError."""
        if self.imported_as and spec.imported_from is None:  # which takes an admin
            raise InvalidField(
                "importedAs", "stands beside importedFrom: only what an import brings has words of others"
            )
        return {name: imported_as[name](said, spec) for name, said in self.imported_as.items() if name in imported_as}


class RegistrationsBody(Body):
    """POST /registrations. The items are bodies of PUT /instances, checked one by one, so that one of them fails nobody else."""

    instances: Annotated[list[Any], WithJsonSchema({"type": "array", "maxItems": MAX_REGISTRATIONS})]


class Advice(Reply):
    heartbeat_interval_ms: int = Field(alias="heartbeatIntervalMs")
    index: int
    warnings: Perhaps[Warnings] = None


class RegisterReply(Advice):
    message: str = Field(examples=["Service registered successfully"])
    instance: Registered


class RegistrationResult(Described):
    """One of many: `id` when it was registered (201), else what the error of POST /register says: `code`, `message` and its facts."""

    model_config = ConfigDict(defer_build=True, extra="allow")

    status: int
    id: str | None = None
    code: str | None = None
    message: str | None = None
    warnings: Perhaps[Warnings] = None


class RegistrationsReply(Advice):
    registered: int
    results: list[RegistrationResult]


_FIELDS = Fields(RegisterBody)
_ITEM = Fields(ItemBody)
_MANY = Fields(RegistrationsBody)


class Registrar:
    """What registering and beating have in common. `clock`: monotonic seconds, the registry's. `random` spreads the heartbeats.

    `count_registration`: is told of each by address and time, and refuses one too many. `note_refused`: is told by request how many items
    of a batch were refused, and why the first. `imported_as`: as of `Seams`.
    """

    def __init__(
        self,
        registry: Registry,
        engine: Engine,
        clock: Callable[[], float],
        times: Times,
        random: Random,
        count_registration: Callable[[str, float], None],
        note_refused: Callable[[Request, int, Sequence[tuple[Any, DiscoveryError]]], None],
        imported_as: Mapping[str, ImportedAs] = MappingProxyType({}),
    ) -> None:
        self._registry = registry
        self._engine = engine
        self._clock = clock
        self._times = times
        self._random = random
        self._count_registration = count_registration
        self._note_refused = note_refused
        self._imported_as = imported_as

    def _advice(self, ttl: float, instance: Instance | None = None) -> Json:
        """When to beat next: a third of the timeout, so that two may be lost; ±10 % keep a fleet from beating in step. `instance`: whose
        lease that is, if it is one's alone.
        """
        if ttl > MAX_TTL:  # others may keep it who need not beat
            ttl = (instance and native_ttl(instance, self._registry.lease_ttl)) or MAX_TTL
        interval = ttl * (300 + 200 / 3 * self._random.random())
        return {"heartbeatIntervalMs": int(interval), "index": self._registry.index}


class Registering(Registrar):
    def routes(self) -> list[Route]:
        full = {
            **FIRST, "ports": {"admin": 9001}, "protocol": "tcp", "weight": 50, "priority": 10, "maxAnswers": 3,
            "check": {"http": "/healthz", "interval": 5}, "replace": True,
        }  # fmt: skip
        many = {"instances": [FIRST, LEAST | {"ip": "10.0.0.9"}, LEAST | {"port": 0}]}
        return [
            Route(
                "POST", "/register", self.register, Right.WRITE, Kind.REGISTRATION, "Register, or register again", HEADING,
                RegisterReply, RegisterBody, status=(201,), codes=CODES, is_small=True,
                examples=(Example(status=201, title="The least"), Example(full, status=201, title="All that there is")),
            ),
            Route(
                "POST", "/registrations", self.registrations, Right.WRITE, Kind.REGISTRATION, "Register many instances", HEADING,
                RegistrationsReply, RegistrationsBody, codes=("STORAGE_UNAVAILABLE",),  # of all; others are told of each
                examples=(Example(many),), max_body=MAX_BODY,
            ),
        ]  # fmt: skip

    async def register(self, request: Request) -> Answer:
        self._count_registration(request.caller.address, self._clock())
        sent = json_object(request)
        body = RegisterBody.model_validate(sent)
        instance = await self._engine.submit(Register(body.registration(), body.replace), request.caller)
        content = {
            "message": "Service registered successfully",
            "instance": views.registered(instance),
            **self._advice(self._registry.ttl_of(instance.spec), instance),
            **_FIELDS.said_of(sent),
        }
        return Answer(201, stamped(content, self._times), location(instance))

    async def registrations(self, request: Request) -> Answer:
        """Many at once. One that is refused or malformed is told of in its place and fails nobody else."""
        sent = json_object(request)
        items = RegistrationsBody.model_validate(sent).instances
        if len(items) > MAX_REGISTRATIONS:
            raise InvalidField("instances", f"has {len(items)} entries, at most {MAX_REGISTRATIONS} fit one request")
        count = partial(self._count_registration, request.caller.address)
        results, specs = await self._register_all(items, request.caller, count)
        refused = [result for result in results if result["status"] != HTTPStatus.CREATED]
        if refused:
            self._note_refused(request, len(refused), [({}, DiscoveryError(refused[0]["message"]))])
        content = {
            "registered": len(results) - len(refused),
            "results": results,
            **self._advice(min(map(self._registry.ttl_of, specs), default=self._registry.lease_ttl)),
            **_MANY.said_of(sent),
        }
        return Answer(200, stamped(content, self._times))

    async def _register_all(
        self, items: Sequence[Any], by: Caller, count: Callable[[float], None]
    ) -> tuple[list[Json], list[Registration]]:
        """A result for each item, in order: `status` (as POST /register has it), `id` and perhaps `warnings`, or what its error says; and
        what was registered.

        `count`: is told of each registration by its time, and refuses one too many.
        """
        results: list[Json] = [{}] * len(items)
        places, writes, specs = [], [], []
        for place, item in enumerate(items):
            await turns().over()
            try:
                count(self._clock())
                body = ItemBody.model_validate(item)
                spec = body.registration()
                writes.append(Register(spec, body.replace, body.own(), body.attachments(spec, self._imported_as)))
                places.append(place)
            except (DiscoveryError, ValidationError) as error:
                results[place] = _refused(error)
        for place, result in zip(places, await self._engine.submit_all(writes, by), strict=True):
            if isinstance(result, DiscoveryError):
                results[place] = _refused(result)
            else:
                results[place] = {"status": HTTPStatus.CREATED, "id": result.id, **_ITEM.said_of(items[place])}
                specs.append(result.spec)
        return results, specs


def _refused(error: DiscoveryError | ValidationError) -> Json:
    failure = described(error)
    if failure is None:
        raise error
    return {**failure.facts, "status": failure.status, "code": failure.code, "message": failure.message}
