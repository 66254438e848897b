"""Beating: a heartbeat renews a lease, alone or with others, or carries the whole registration (PUT /instances). It never ends, so what is
usual is looked up as it was sent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any

import orjson
from pydantic import Field, StrictBool, WithJsonSchema

from discovery.core.address import is_host_name
from discovery.core.caller import Caller
from discovery.core.errors import DiscoveryError, InvalidField
from discovery.core.health import Finding
from discovery.core.instance import Key, Registration
from discovery.core.lease import MAX_TTL, Lease
from discovery.core.name import MAX_NAME, fold, is_label
from discovery.core.status import Status
from discovery.rest.api import views
from discovery.rest.api.answers import Answer, stamped
from discovery.rest.api.example import FIRST, LEAST, Example
from discovery.rest.api.json_body import MAX_BODY, check_media, json_object
from discovery.rest.api.registering import (
    CODES,
    HEADING,
    Advice,
    InstanceBody,
    RegisterBody,
    Registrar,
    original_key,
    own_health,
)
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.services.listing import location
from discovery.rest.api.shapes import Body, Described, Identity, Ip, Label, Perhaps, Port, Time
from discovery.rest.api.unknown_fields import Fields
from discovery.rest.api.views import Json
from discovery.store.engine import Engine
from discovery.store.errors import Deregistered, EngineAway, Moved, UnknownForNow, UnknownInstance
from discovery.store.registrants import is_said, native_ttl
from discovery.store.registration import Report, ReportCheck, Upsert
from discovery.store.registry import Registry
from discovery.store.service import Entry
from discovery.system.turns import turns

# About 1 MB of JSON, and 20 ms of work in pieces.
MAX_BATCH = 10_000
# Heartbeats of one piece: 2 µs each, 15 when they are unknown, 40 when they revive one that was silent.
_PIECE = 20
# Bodies of single heartbeats that are remembered with what they name, and octets of each: half a kilobyte.
_MAX_USUAL, _MAX_USUAL_OCTETS = 16_384, 256
# Of a batch, so many are noted each as an instance whose heartbeats are refused: 4 µs each.
_MAX_NOTED = 100
# What is echoed of an item, and octets of JSON of each.
_NAMING = ("name", "ip", "port", "id")
_MAX_SHOWN = 128


class HeartbeatBody(Body):
    """POST /heartbeat. `register` true: the body is a whole RegisterBody, for a server that has forgotten."""

    name: Label
    ip: Ip
    port: Port
    with_registration: StrictBool = Field(False, alias="register")

    def key(self) -> Key:
        return original_key(self.name, self.ip, self.port)


def usual_key(item: Any) -> Key:
    """The key of an instance in its usual spelling, unchecked but for what would pass for another: it is looked up, no more.

    KeyError, TypeError or AttributeError for every other spelling, for what carries a registration, and for nonsense.
    """
    name, ip, port = item["name"], item["ip"], item["port"]
    if (
        type(port) is not int
        or not port
        or type(ip) is not str
        or len(name) > MAX_NAME
        or not name.isascii()
        or "register" in item
    ):
        raise TypeError
    return Key(fold(name), ip, port)


@lru_cache(maxsize=_MAX_USUAL)  # an instance's heartbeats are the same octets again and again
def usual_heartbeat(body: bytes) -> tuple[Key, Json] | None:
    """The instance that the body of POST /heartbeat names in the usual spelling, and what its reply says of other fields."""
    try:
        content = orjson.loads(body)  # no number of a heartbeat is longer than a port
        key = usual_key(content)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if is_host_name(key.ip) or not is_label(key.service):  # the original knew none such
        return None
    return key, _HEARTBEAT.said_of(content)


class HeartbeatsBody(Body):
    """POST /heartbeats. The items are checked one by one, so that one of them fails nobody else."""

    instances: Annotated[list[Any], WithJsonSchema({"type": "array", "maxItems": MAX_BATCH})]


class Renewed(Identity):
    """`registeredAt`: where the heartbeat carried a registration."""

    status: Status
    last_heartbeat: Time = Field(alias="lastHeartbeat")
    registered_at: Perhaps[Time] = Field(None, alias="registeredAt")


class HeartbeatReply(Advice):
    message: str = Field(examples=["Heartbeat updated"])
    instance: Renewed


class Missed(Described):
    """An item of a batch that renewed nothing: what was sent of its name, as it was sent, and why."""

    message: str
    name: Perhaps[Any] = None
    ip: Perhaps[Any] = None
    port: Perhaps[Any] = None
    id: Perhaps[Any] = None


class HeartbeatsReply(Advice):
    updated: int
    unknown: list[Missed]


_UPSERT = Fields(InstanceBody, HeartbeatBody)
_WITH_REGISTRATION = Fields(RegisterBody, HeartbeatBody)
_HEARTBEAT = Fields(HeartbeatBody)
_MANY = Fields(HeartbeatsBody)


class Beating(Registrar):
    def routes(self) -> list[Route]:
        right, kind, upserts = Right.WRITE, Kind.HEARTBEAT, (*CODES, "INSTANCE_DEREGISTERED", "TAKEN_OVER")
        known, new = Example(title="It is known"), {"message": "Service registered successfully"}
        many = {"instances": [LEAST, {"id": "user-2"}, LEAST | {"ip": "10.0.0.99"}]}
        database = {"name": "orders-db", "ip": "db.example.com", "port": 5432, "lease": "none"}
        return [
            Route(
                "PUT", "/instances", self.upsert, right, kind, "A heartbeat that carries the registration", HEADING,
                HeartbeatReply, InstanceBody, status=(200, 201), codes=upserts, is_small=True,
                examples=(
                    known._replace(body=FIRST), Example(LEAST | {"port": 3003}, status=201, title="It is new", more=new),
                    Example(database, status=201, title="A database elsewhere, which does not beat", more=new),
                ),
            ),
            Route(
                "POST", "/heartbeat", self.heartbeat, right, kind, "Renew a lease; with register: true, as PUT /instances", HEADING,
                HeartbeatReply, HeartbeatBody, status=(200, 201), codes=(*upserts, "INSTANCE_UNKNOWN"), is_small=True,
                examples=(
                    known,
                    Example(
                        LEAST | {"port": 3004, "register": True}, status=201, title="The server had forgotten it", more=new
                    ),
                ),
            ),
            Route(
                "POST", "/heartbeats", self.heartbeats, right, kind, "Renew many leases", HEADING, HeartbeatsReply, HeartbeatsBody,
                codes=("ENGINE_UNAVAILABLE", "MOVED"), examples=(Example(many),), max_body=MAX_BODY,
            ),
        ]  # fmt: skip

    def heartbeat(self, request: Request) -> Answer | Awaitable[Answer]:
        check_media(request)
        usual = usual_heartbeat(request.body) if len(request.body) <= _MAX_USUAL_OCTETS else None
        if usual is not None:
            key, said = usual
            try:
                entry = self._engine.renew(key, request.caller)
            except (UnknownInstance, UnknownForNow):
                pass  # perhaps in another spelling; `suppress` would take as long as the renewal
            else:
                renewed = self._renewed(entry, entry.lease.renewed_at, said)
                renewed["timestamp"] = renewed["instance"]["lastHeartbeat"]  # this very moment, as `stamped` would say
                return Answer(200, orjson.dumps(renewed))
        content = json_object(request, orjson.loads)
        body = HeartbeatBody.model_validate(content)
        if body.with_registration:
            registration = RegisterBody.model_validate(content)
            return self._upsert(request, registration, None, _WITH_REGISTRATION.said_of(content))
        try:
            entry = self._engine.renew(body.key(), request.caller)
        except UnknownInstance:
            self._registry.unknown_heartbeats += 1
            raise
        renewed = self._renewed(entry, self._clock(), _HEARTBEAT.said_of(content))
        return Answer(200, stamped(renewed, self._times))

    async def upsert(self, request: Request) -> Answer:
        sent = json_object(request)
        body = InstanceBody.model_validate(sent)
        return await self._upsert(request, body, body.own(), _UPSERT.said_of(sent))

    async def _upsert(self, request: Request, body: RegisterBody, own: Finding | None, said: Json) -> Answer:
        """A heartbeat that carries the whole registration. One that says nothing new is no write. `said`: for the reply."""
        spec = body.registration()
        key, is_copy = spec.key, spec.imported_from is not None  # to renew is to take it over
        known = self._registry.find(key)
        if known is not None and not is_copy and self._says_nothing_new(known, spec, own):
            entry = self._engine.renew(key, request.caller)
        else:
            if known is not None and not is_copy:  # a heartbeat all the same, whatever becomes of the rest
                self._engine.renew(key, request.caller)
            self._count_registration(request.caller.address, self._clock())
            try:
                instance = await self._engine.submit(Upsert(spec, body.replace, own), request.caller)
            except Deregistered:
                self._registry.unknown_heartbeats += 1
                raise
            # It may be gone again, while the disk was waited for: what was done is answered all the same.
            entry = self._registry.find(instance.id) or Entry(
                instance, Lease(self._registry.term_of(instance.spec), self._clock())
            )
        self._registry.outputs.note(entry, own, self._clock())
        content = self._renewed(entry, self._clock(), said)
        content["instance"] |= views.registered(entry.instance)
        if known is not None:
            return Answer(200, stamped(content, self._times))
        content["message"] = "Service registered successfully"
        return Answer(201, stamped(content, self._times), location(entry.instance))

    def _says_nothing_new(self, known: Entry, spec: Registration, own: Finding | None) -> bool:
        if own is not None and own.health is not known.instance.own.health:
            return False
        before = known.instance.spec
        if spec.id is not None or spec.name != before.name:  # neither is part of what is kept; `replace` takes 6 µs
            spec = replace(spec, name=before.name, id=None)
        # What is not safe must not be acknowledged as if it were.
        return is_said(known.instance, spec) and known.index <= self._engine.safe

    async def heartbeats(self, request: Request) -> Answer:
        sent = json_object(request)
        items = HeartbeatsBody.model_validate(sent).instances
        if len(items) > MAX_BATCH:
            raise InvalidField("instances", f"has {len(items)} entries, at most {MAX_BATCH} fit one request")
        renewed = await renew_all(self._engine, self._registry, items, request.caller, self._clock)
        self._registry.unknown_heartbeats += len(renewed.unknown)
        if renewed.unknown:
            self._note_refused(request, len(renewed.unknown), renewed.refused)
        content = {
            "updated": renewed.updated,
            "unknown": renewed.unknown,
            **self._advice(renewed.shortest or self._registry.lease_ttl),
            **_MANY.said_of(sent),
        }
        return Answer(200, stamped(content, self._times))

    def _renewed(self, entry: Entry, now: float, said: Json) -> Json:
        return {
            "message": "Heartbeat updated",
            "instance": views.renewed(entry, now, self._times),
            **self._advice(entry.lease.ttl, entry.instance),
            **said,
        }


class Renewals:
    """`refused`: the first of those that renewed nothing, with their errors. `shortest`: the ttl of the shortest lease that was renewed,
    seconds; 0.0 when none was. `away`: see `Engine.renew`.
    """

    def __init__(self, usual: float) -> None:
        self._usual = usual
        self.updated = 0
        self.unknown: list[Json] = []
        self.refused: list[tuple[Any, DiscoveryError]] = []
        self.shortest = 0.0
        self.away: EngineAway | Moved | None = None

    def refuse(self, item: object, error: DiscoveryError) -> None:
        if isinstance(error, EngineAway | Moved):
            self.away = error
        else:
            self.unknown.append({**_shown(item), "message": str(error)})
            if len(self.refused) < _MAX_NOTED:
                self.refused.append((item, error))

    def add(self, entry: Entry) -> None:
        self.updated += 1
        ttl = entry.lease.term.seconds
        if ttl > MAX_TTL:  # others may keep it who need not beat
            ttl = native_ttl(entry.instance, self._usual) or ttl
        if not self.shortest or ttl < self.shortest:
            self.shortest = ttl


async def renew_all(
    engine: Engine, registry: Registry, items: Sequence[Any], by: Caller, clock: Callable[[], float]
) -> Renewals:
    """EngineAway, Moved, when all have been noted."""
    result = Renewals(registry.lease_ttl)
    for start in range(0, len(items), _PIECE):
        await turns().over()
        reports = _renew(engine, registry, items[start : start + _PIECE], start, result, by, clock)
        outcomes = await engine.submit_all([write for _, write in reports], by) if reports else ()
        told = dict[
            int, tuple[Any, Entry | DiscoveryError]
        ]()  # of the writes of an item the first that was refused, or the last
        for (item, _), outcome in zip(reports, outcomes, strict=True):
            if not isinstance(told.get(id(item), (item, None))[1], DiscoveryError):
                told[id(item)] = item, outcome
        for item, outcome in told.values():
            if isinstance(outcome, DiscoveryError):
                result.refuse(item, outcome)
            else:
                registry.renewals += 1
                result.add(outcome)
    if result.away is not None:
        raise result.away
    return result


def _renew(
    engine: Engine,
    registry: Registry,
    items: Sequence[Any],
    start: int,
    result: Renewals,
    by: Caller,
    clock: Callable[[], float],
) -> list[tuple[Any, Report | ReportCheck]]:
    """Those that say another health than before, of themselves or of a check, are yet to be reported."""
    reports = list[tuple[Any, Report | ReportCheck]]()
    for number, item in enumerate(items, start):
        try:
            if type(item) is not dict or ("health" not in item and "checks" not in item):  # nearly always
                result.add(_renew_one(engine, item, number, by))
                continue
            which, field = _which(item, number), f"instances[{number}]."
            own = own_health(item.get("health"), item.get("output"), field)
            known, entry = registry.find(which), None
            is_news = own is not None and known is not None and own.health is not known.instance.own.health
            writes: list[Report | ReportCheck] = [Report(which, own)] if own is not None and is_news else []
            if "checks" in item:
                now = clock()
                for check, found in findings_of(item["checks"], f"{field}checks").items():
                    if known is None or not known.says(check, found.health, now):
                        writes.append(ReportCheck(which, check, found))
                    else:
                        entry = engine.renew(which, by, check)
                        entry.note_output(check, found.output)
            if writes:
                reports += [(item, write) for write in writes]
                continue
            entry = entry or _renew_one(engine, item, number, by)
            registry.outputs.note(entry, own, entry.lease.renewed_at)
            result.add(entry)
        except DiscoveryError as error:
            result.refuse(item, error)
    return reports


def findings_of(reported: object, field: str) -> dict[str, Finding]:
    """Of a batch's item: `{check: {health, output?}}`. InvalidField."""
    if not isinstance(reported, dict):
        raise InvalidField(field, "must be an object of check ids, each with health and perhaps output")
    return {str(check): _finding(each, f"{field}.{check!s:.40}") for check, each in reported.items()}


def _finding(found: Any, field: str) -> Finding:
    if not isinstance(found, dict):
        raise InvalidField(field, "must be an object with health and perhaps output")
    return Finding.of(found.get("health"), found.get("output"), f"{field}.")


def _renew_one(engine: Engine, item: Any, number: int, by: Caller) -> Entry:
    try:  # the usual spelling, found as it is
        which = item["id"] if "id" in item else usual_key(item)
    except (KeyError, TypeError, AttributeError):
        which = None
    if isinstance(which, str | Key):
        with contextlib.suppress(UnknownInstance, UnknownForNow):
            return engine.renew(which, by)
    return engine.renew(_which(item, number), by)


def _shown(item: object) -> Json:
    """What names the instance in a client's item, as it was sent; nothing that could be large or deep."""
    sent = item if isinstance(item, dict) else {}
    return {name: sent[name] for name in _NAMING if name in sent and _is_small(sent[name])}


def _is_small(value: object) -> bool:
    try:
        return len(orjson.dumps(value)) <= _MAX_SHOWN
    except TypeError:  # nested deeper than it goes
        return False


def _which(item: object, number: int) -> Key | str:
    if not isinstance(item, dict):
        raise InvalidField(f"instances[{number}]", "must be an object with name, ip and port, or with id")
    if "id" in item:
        if not isinstance(item["id"], str):
            raise InvalidField(f"instances[{number}].id", "must be a string")
        return item["id"]
    return Key.of(item.get("name"), item["ip"] if "ip" in item else item.get("address"), item.get("port"))
