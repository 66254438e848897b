"""Beating: a heartbeat renews a lease, or carries the whole registration (PUT /instances). It never ends, so what is usual is looked up as
it was sent. An instance reports on a `ttl` check of its own, too: a report that says what was said before is a heartbeat, and costs what
that costs.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import orjson

from discovery.core.address import is_host_name
from discovery.core.checked import flag_of
from discovery.core.errors import InvalidField
from discovery.core.health import Finding
from discovery.core.instance import Key, Registration
from discovery.core.lease import Lease
from discovery.core.name import LABEL, MAX_NAME, fold, is_label
from discovery.core.schema import FLAG, TEXT, described, or_null
from discovery.rest.api import views
from discovery.rest.api.answers import Answer, Json, stamped
from discovery.rest.api.example import FIRST, LEAST, Example
from discovery.rest.api.registering import (
    ADVICE,
    CODES,
    HEADING,
    INSTANCE_BODY,
    OUTPUT,
    REGISTER_BODY,
    Registrar,
    needed,
    original_key,
    original_registration,
    own_health,
    registration,
    replaces,
)
from discovery.rest.api.requests import Request, check_media, json_object
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.services.listing import location
from discovery.rest.api.shapes import HEALTH, IDENTITY, IP, SENT_PORT, STATUS, TIME, Fields, Shape, reply, said
from discovery.store.engine import report_check
from discovery.store.errors import Deregistered, UnknownForNow, UnknownInstance
from discovery.store.registrants import is_said
from discovery.store.registration import Upsert
from discovery.store.service import Entry

# Bodies of single heartbeats that are remembered with what they name, and octets of each: half a kilobyte.
_MAX_USUAL, _MAX_USUAL_OCTETS = 16_384, 256


_BODY = Shape(
    "HeartbeatBody",
    {"name": LABEL, "ip": IP, "port": SENT_PORT, "register?": FLAG},
    "POST /heartbeat. `register` true: the body is a whole RegisterBody, for a server that has forgotten.",
)


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
def usual_heartbeat(body: bytes) -> Key | None:
    """The instance that the body of POST /heartbeat names in the usual spelling, without other fields: a reply that tells of them may be
    long, and this one of a stranger's would be kept.
    """
    try:
        content = orjson.loads(body)  # no number of a heartbeat is longer than a port
        key = usual_key(content)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if is_host_name(key.ip) or not is_label(key.service):  # the original knew none such
        return None
    return None if _HEARTBEAT.warnings(content) else key


def which_of(item: object, number: int) -> Key | str:
    """The instance that an item of a batch names, in whatever spelling. InvalidField."""
    if not isinstance(item, dict):
        raise InvalidField(f"instances[{number}]", "must be an object with name, ip and port, or with id")
    if "id" in item:
        if not isinstance(item["id"], str):
            raise InvalidField(f"instances[{number}].id", "must be a string")
        return item["id"]
    return Key.of(item.get("name"), item["ip"] if "ip" in item else item.get("address"), item.get("port"))


RENEWED = IDENTITY.also(
    "Renewed",
    {
        "status": STATUS,
        "lastHeartbeat": TIME,
        "registeredAt?": described(TIME, "where the heartbeat carried a registration"),
    },
)
_REPLY = reply("HeartbeatReply", {**ADVICE, "message": said("Heartbeat updated"), "instance": RENEWED})
_UPSERT = Fields(INSTANCE_BODY, _BODY)
_WITH_REGISTRATION = Fields(REGISTER_BODY, _BODY)
_HEARTBEAT = Fields(_BODY)


class Beating(Registrar):
    def routes(self) -> list[Route]:
        right, kind, upserts = Right.WRITE, Kind.HEARTBEAT, (*CODES, "INSTANCE_DEREGISTERED", "TAKEN_OVER")
        known, new = Example(title="It is known"), {"message": "Service registered successfully"}
        database = {"name": "orders-db", "ip": "db.example.com", "port": 5432, "lease": "none"}
        return [
            Route(
                "PUT", "/instances", self.upsert, right, kind, "A heartbeat that carries the registration", HEADING,
                _REPLY, INSTANCE_BODY, status=(200, 201), codes=upserts, is_small=True,
                examples=(
                    known._replace(body=FIRST), Example(LEAST | {"port": 3003}, status=201, title="It is new", more=new),
                    Example(database, status=201, title="A database elsewhere, which does not beat", more=new),
                ),
            ),
            Route(
                "POST", "/heartbeat", self.heartbeat, right, kind, "Renew a lease; with register: true, as PUT /instances", HEADING,
                _REPLY, _BODY, status=(200, 201), codes=(*upserts, "INSTANCE_UNKNOWN"), is_small=True,
                examples=(
                    known,
                    Example(
                        LEAST | {"port": 3004, "register": True}, status=201, title="The server had forgotten it", more=new
                    ),
                ),
            ),
        ]  # fmt: skip

    def heartbeat(self, request: Request) -> Answer | Awaitable[Answer]:
        check_media(request)
        key = usual_heartbeat(request.body) if len(request.body) <= _MAX_USUAL_OCTETS else None
        if key is not None:
            try:
                entry = self.engine.renew(key, request.caller)
            except (UnknownInstance, UnknownForNow):
                pass  # perhaps in another spelling; `suppress` would take as long as the renewal
            else:
                renewed = self._renewed(entry, entry.lease.renewed_at, {})
                renewed["timestamp"] = renewed["instance"]["lastHeartbeat"]  # this very moment, as `stamped` would say
                return Answer(200, orjson.dumps(renewed))
        content = json_object(request, orjson.loads)
        key = original_key(*(needed(content, each) for each in ("name", "ip", "port")))
        if flag_of("register", content.get("register", False)):
            spec, said = original_registration(content), _WITH_REGISTRATION.said_of(content)
            return self._upsert(request, spec, replaces(content), None, said)
        try:
            entry = self.engine.renew(key, request.caller)
        except UnknownInstance:
            self.registry.unknown_heartbeats += 1
            raise
        renewed = self._renewed(entry, self.clock(), _HEARTBEAT.said_of(content))
        return Answer(200, stamped(renewed, self.times))

    async def upsert(self, request: Request) -> Answer:
        sent = json_object(request)
        spec, replace, own = registration(sent), replaces(sent), own_health(sent)
        return await self._upsert(request, spec, replace, own, _UPSERT.said_of(sent))

    async def _upsert(
        self, request: Request, spec: Registration, replace: bool, own: Finding | None, said: Json
    ) -> Answer:
        """A heartbeat that carries the whole registration. One that says nothing new is no write. `said`: for the reply."""
        key, is_copy = spec.key, spec.imported_from is not None  # to renew is to take it over
        known = self.registry.find(key)
        if known is not None and not is_copy and self._says_nothing_new(known, spec, own):
            entry = self.engine.renew(key, request.caller)
        else:
            if known is not None and not is_copy and known.instance.spec.imported_from is None:
                # A heartbeat all the same, whatever becomes of the rest. A copy is taken over whole.
                self.engine.renew(key, request.caller)
            self.count_registration(request.caller.address, self.clock())
            try:
                instance = await self.engine.submit(Upsert(spec, replace, own), request.caller)
            except Deregistered:
                self.registry.unknown_heartbeats += 1
                raise
            # It may be gone again, while the disk was waited for: what was done is answered all the same.
            entry = self.registry.find(instance.id) or Entry(
                instance, Lease(self.registry.term_of(instance.spec), self.clock())
            )
        self.registry.outputs.note(entry, own, self.clock())
        content = self._renewed(entry, self.clock(), said)
        content["instance"] |= views.registered(entry.instance)
        if known is not None:
            return Answer(200, stamped(content, self.times))
        content["message"] = "Service registered successfully"
        return Answer(201, stamped(content, self.times), location(entry.instance))

    def _says_nothing_new(self, known: Entry, spec: Registration, own: Finding | None) -> bool:
        if own is not None and own.health is not known.instance.own.health:
            return False
        before = known.instance.spec
        if spec.id is not None or spec.name != before.name:  # neither is part of what is kept; `replace` takes 6 µs
            spec = replace(spec, name=before.name, id=None)
        # What is not safe must not be acknowledged as if it were.
        return is_said(known.instance, spec) and known.index <= self.engine.safe

    def _renewed(self, entry: Entry, now: float, said: Json) -> Json:
        return {
            "message": "Heartbeat updated",
            "instance": views.renewed(entry, now, self.times),
            **self._advice(entry.lease.ttl, entry.instance),
            **said,
        }


# -- checks

_REPORT = Shape("ReportBody", {"health": HEALTH, "output?": or_null(OUTPUT)})
_NOTED = reply("ReportReply", {**ADVICE, "message": said("Report noted"), "instance": RENEWED, "check": TEXT})
_REPORT_FIELDS = Fields(_REPORT)


class Reporting(Registrar):
    def routes(self) -> list[Route]:
        return [
            Route(
                "PUT", "/instances/{id}/checks/{check}", self.report, Right.WRITE, Kind.HEARTBEAT, "Report on a ttl check", HEADING,
                _NOTED, _REPORT, codes=("INSTANCE_UNKNOWN", "CHECK_UNKNOWN", "CHECK_IS_MADE", "ENGINE_UNAVAILABLE", "MOVED"),
                is_small=True, examples=(Example({"health": "passing", "output": "12 of 20 in use"}, after=("PUT /instances",)),),
            ),
        ]  # fmt: skip

    def report(self, request: Request) -> Json | Awaitable[Json]:
        sent = json_object(request, orjson.loads)
        id, check = request.names["id"], request.names["check"]
        finding = Finding.of(sent.get("health"), sent.get("output"))
        done = report_check(self.engine, self.registry, id, check, finding, request.caller, self.clock())
        return self._answer(done, check, sent) if isinstance(done, Entry) else self._answered(done, check, sent)

    async def _answered(self, done: Awaitable[Entry], check: str, sent: Json) -> Json:
        return self._answer(await done, check, sent)

    def _answer(self, entry: Entry, check: str, sent: Json) -> Json:
        return {
            "message": "Report noted",
            "instance": views.renewed(entry, self.clock(), self.times),
            "check": check,
            **self._advice(entry.lease.ttl),
            **_REPORT_FIELDS.said_of(sent),
        }


def findings_of(reported: object, field: str) -> dict[str, Finding]:
    """Of a batch's item: `{check: {health, output?}}`. InvalidField."""
    if not isinstance(reported, dict):
        raise InvalidField(field, "must be an object of check ids, each with health and perhaps output")
    found = {}
    for check, each in reported.items():
        name = f"{field}.{check!s:.40}"
        if not isinstance(each, dict):
            raise InvalidField(name, "must be an object with health and perhaps output")
        found[str(check)] = Finding.of(each.get("health"), each.get("output"), f"{name}.")
    return found
