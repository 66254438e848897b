"""What services say of themselves: registrations and heartbeats, one by one and many at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from random import Random
from typing import Any

import orjson

from discovery.core.errors import InvalidField
from discovery.core.instance import Registration
from discovery.core.lease import Lease
from discovery.rest.api import views
from discovery.rest.api.answers import Answer, stamped
from discovery.rest.api.batch import register_all, renew_all
from discovery.rest.api.json_body import MAX_BODY, json_object
from discovery.rest.api.replies import HeartbeatReply, HeartbeatsReply, RegisterReply, RegistrationsReply
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.schemas import (
    MAX_BATCH,
    MAX_REGISTRATIONS,
    HeartbeatBody,
    HeartbeatsBody,
    RegisterBody,
    RegistrationsBody,
    usual_key,
)
from discovery.rest.api.times import Times
from discovery.rest.api.unknown_fields import Fields
from discovery.store.engine import Engine
from discovery.store.errors import UnknownInstance
from discovery.store.registration import Register, Upsert
from discovery.store.registry import Registry
from discovery.store.service import Entry

_REGISTER = Fields(RegisterBody)
_UPSERT = Fields(RegisterBody, HeartbeatBody)
_HEARTBEAT = Fields(HeartbeatBody)
_MANY = Fields(RegistrationsBody, HeartbeatsBody)
_REGISTER_CODES = (
    "SERVICE_FULL", "NAME_RESERVED", "ID_TAKEN", "REGISTRY_FULL", "TOO_MANY_REGISTRATIONS", "STORAGE_UNAVAILABLE",
    "ENGINE_UNAVAILABLE", "MOVED",
)  # fmt: skip


class Registering:
    """`clock`: monotonic seconds, the registry's. The rest is as `Handlers` has it."""

    def __init__(
        self,
        registry: Registry,
        engine: Engine,
        clock: Callable[[], float],
        times: Times,
        random: Random,
        count_registration: Callable[[str, float], None],
        note_refused: Callable[[Request, int, str], None],
    ) -> None:
        self._registry = registry
        self._engine = engine
        self._clock = clock
        self._times = times
        self._random = random
        self._count_registration = count_registration
        self._note_refused = note_refused

    def routes(self) -> list[Route]:
        return [
            Route(
                "POST", "/register", self.register, Right.WRITE, Kind.REGISTRATION, "Register, or register again",
                reply=RegisterReply, body=RegisterBody, status=(201,), codes=_REGISTER_CODES,
            ),
            Route(
                "PUT", "/instances", self.upsert, Right.WRITE, Kind.HEARTBEAT, "A heartbeat that carries the registration",
                reply=HeartbeatReply, body=RegisterBody, status=(200, 201), codes=(*_REGISTER_CODES, "INSTANCE_DEREGISTERED"),
            ),
            Route(
                "POST", "/heartbeat", self.heartbeat, Right.WRITE, Kind.HEARTBEAT,
                "Renew a lease; with register: true, as PUT /instances", reply=HeartbeatReply, body=HeartbeatBody,
                status=(200, 201), codes=(*_REGISTER_CODES, "INSTANCE_DEREGISTERED", "INSTANCE_UNKNOWN"),
            ),
            Route(
                "POST", "/registrations", self.registrations, Right.WRITE, Kind.REGISTRATION, "Register many instances",
                reply=RegistrationsReply, body=RegistrationsBody, codes=("STORAGE_UNAVAILABLE",),  # of all; others are told of each
                max_body=MAX_BODY,
            ),
            Route(
                "POST", "/heartbeats", self.heartbeats, Right.WRITE, Kind.HEARTBEAT, "Renew many leases",
                reply=HeartbeatsReply, body=HeartbeatsBody, codes=("ENGINE_UNAVAILABLE", "MOVED"), max_body=MAX_BODY,
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
            **self._advice(instance.ttl),
            **_warnings(_REGISTER, sent),
        }
        return Answer(201, stamped(content, self._times), {"Location": f"/instances/{instance.id}"})

    async def registrations(self, request: Request) -> Answer:
        """Many at once. One that is refused or malformed is told of in its place and fails nobody else."""
        sent = json_object(request)
        items = RegistrationsBody.model_validate(sent).instances
        if len(items) > MAX_REGISTRATIONS:
            raise InvalidField("instances", f"has {len(items)} entries, at most {MAX_REGISTRATIONS} fit one request")
        count = partial(self._count_registration, request.caller.address)
        results = await register_all(self._engine, items, request.caller, count, self._clock)
        refused = [result for result in results if result["status"] != HTTPStatus.CREATED]
        if refused:
            self._note_refused(request, len(refused), refused[0]["message"])
        content = {
            "registered": len(results) - len(refused),
            "results": results,
            **self._advice(self._registry.lease_ttl),
            **_warnings(_MANY, sent),
        }
        return Answer(200, stamped(content, self._times))

    def heartbeat(self, request: Request) -> Answer | Awaitable[Answer]:
        content = json_object(request, orjson.loads)  # no number of a heartbeat is longer than a port
        try:  # the usual spelling, found as it is
            key = usual_key(content)
        except (KeyError, TypeError, AttributeError):
            key = None
        if key is not None:
            try:
                entry = self._engine.renew(key, request.caller)
            except UnknownInstance:
                pass  # perhaps in another spelling; `suppress` would take as long as the renewal
            else:
                renewed = self._renewed(entry, entry.lease.renewed_at)
                if len(content) > len(key):
                    renewed |= _warnings(_HEARTBEAT, content)
                renewed["timestamp"] = renewed["instance"][
                    "lastHeartbeat"
                ]  # it is this very moment, as `stamped` would say
                return Answer(200, orjson.dumps(renewed))
        body = HeartbeatBody.model_validate(content)
        if body.with_registration:
            return self.upsert(request)
        try:
            entry = self._engine.renew(body.key(), request.caller)
        except UnknownInstance:
            self._registry.unknown_heartbeats += 1
            raise
        renewed = self._renewed(entry, self._clock()) | _warnings(_HEARTBEAT, content)
        return Answer(200, stamped(renewed, self._times))

    async def upsert(self, request: Request) -> Answer:
        """A heartbeat that carries the whole registration. One that says nothing new is no write."""
        sent = json_object(request)
        body = RegisterBody.model_validate(sent)
        spec = body.registration()
        known = self._registry.at(spec.key) if self._registry.knows(spec.key) else None
        if known is not None and self._says_nothing_new(known, spec):
            entry = self._engine.renew(spec.key, request.caller)
        else:
            if known is not None:  # a heartbeat all the same, whatever becomes of the rest
                self._engine.renew(spec.key, request.caller)
            self._count_registration(request.caller.address, self._clock())
            instance = await self._engine.submit(Upsert(spec, body.replace), request.caller)
            # It may be gone again, while the disk was waited for: what was done is answered all the same.
            entry = self._registry.find(instance.id) or Entry(instance, Lease(instance.ttl, self._clock()))
        content = self._renewed(entry, self._clock()) | _warnings(_UPSERT, sent)
        content["instance"] |= views.registered(entry.instance)
        if known is not None:
            return Answer(200, stamped(content, self._times))
        content["message"] = "Service registered successfully"
        return Answer(201, stamped(content, self._times), {"Location": f"/instances/{entry.instance.id}"})

    def _says_nothing_new(self, known: Entry, spec: Registration) -> bool:
        same = known.instance.spec == replace(spec, name=known.instance.spec.name, id=None)
        return same and known.index <= self._engine.safe  # what is not must not be acknowledged as if it were

    async def heartbeats(self, request: Request) -> Answer:
        sent = json_object(request)
        items = HeartbeatsBody.model_validate(sent).instances
        if len(items) > MAX_BATCH:
            raise InvalidField("instances", f"has {len(items)} entries, at most {MAX_BATCH} fit one request")
        renewed = await renew_all(self._engine, items, request.caller)
        self._registry.unknown_heartbeats += len(renewed.unknown)
        if renewed.unknown:
            self._note_refused(request, len(renewed.unknown), renewed.unknown[0]["message"])
        content = {
            "updated": renewed.updated,
            "unknown": renewed.unknown,
            **self._advice(renewed.shortest or self._registry.lease_ttl),
            **_warnings(_MANY, sent),
        }
        return Answer(200, stamped(content, self._times))

    def _renewed(self, entry: Entry, now: float) -> views.Json:
        return {
            "message": "Heartbeat updated",
            "instance": views.renewed(entry, now, self._times),
            **self._advice(entry.lease.ttl),
        }

    def _advice(self, ttl: float) -> dict[str, Any]:
        """When to beat next: a third of the timeout, so that two may be lost; ±10 % keep a fleet from beating in step."""
        interval = ttl * 1000 / 3 * (0.9 + 0.2 * self._random.random())
        return {"heartbeatIntervalMs": round(interval), "index": self._registry.index}


def _warnings(fields: Fields, sent: Iterable[str]) -> views.Json:
    """For the reply; nothing when there is nothing to say."""
    found = fields.warnings(sent)
    return {"warnings": found} if found else {}
