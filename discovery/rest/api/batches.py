"""Many at once: POST /registrations and POST /heartbeats. An item that is refused or malformed is told of, and fails nobody else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson

from discovery.core.caller import Caller
from discovery.core.errors import DiscoveryError, InvalidField
from discovery.core.instance import Key, Registration
from discovery.core.lease import MAX_TTL
from discovery.core.remembered import Change
from discovery.core.schema import ANY, TEXT, WHOLE, by_name, described, list_of
from discovery.rest.api.answers import Json
from discovery.rest.api.beating import findings_of, usual_key, which_of
from discovery.rest.api.errors import failure_of
from discovery.rest.api.example import FIRST, LEAST, Example
from discovery.rest.api.handlers import ImportedAs
from discovery.rest.api.registering import (
    ADVICE,
    HEADING,
    INSTANCE_BODY,
    Registrar,
    needed,
    own_health,
    registration,
    replaces,
)
from discovery.rest.api.requests import Request, json_object
from discovery.rest.api.route import MAX_BODY, Kind, Right, Route
from discovery.rest.api.shapes import WARNINGS, Fields, Shape, reply
from discovery.store.engine import Engine
from discovery.store.errors import EngineAway, Moved, UnknownForNow, UnknownInstance
from discovery.store.registrants import native_ttl
from discovery.store.registration import Register, Report, ReportCheck
from discovery.store.registry import Registry
from discovery.store.service import Entry
from discovery.system.turns import turns

# As many as fit 2 MiB with 2 KiB of metadata each, and 40 ms of work in pieces.
MAX_REGISTRATIONS = 1000
# About 1 MB of JSON, and 20 ms of work in pieces.
MAX_BATCH = 10_000
# Heartbeats of one piece: 2 µs each, 15 when they are unknown, 40 when they revive one that was silent.
_PIECE = 20
# Of a batch, so many are noted each as an instance whose heartbeats are refused: 4 µs each.
_MAX_NOTED = 100
# What is echoed of an item, and octets of JSON of each.
_NAMING = ("name", "ip", "port", "id")
_MAX_SHOWN = 128


_IMPORTED_AS = described(
    by_name(ANY), "of a copy, by the name of a plugin (consul, eureka): what the other registry says of it, for that registry's clients"
)  # fmt: skip
# Items are checked one by one, so that one of them fails nobody else.
_REGISTRATIONS = Shape(
    "RegistrationsBody",
    {"instances": list_of(ANY, MAX_REGISTRATIONS)},
    "POST /registrations. The items are bodies of PUT /instances, with `importedAs` besides, checked one by one.",
)
_HEARTBEATS = Shape("HeartbeatsBody", {"instances": list_of(ANY, MAX_BATCH)}, "The items are checked one by one.")
_RESULT = Shape(
    "RegistrationResult",
    {"status": WHOLE, "id?": TEXT, "code?": TEXT, "message?": TEXT, "warnings?": WARNINGS},
    "One of many: `id` when it was registered (201), else what the error of POST /register says: `code`, `message` and its facts.",
    more=True,
)
_REGISTERED = reply("RegistrationsReply", {**ADVICE, "registered": WHOLE, "results": list_of(_RESULT)})
_MISSED = Shape(
    "Missed",
    {"message": TEXT, "name?": ANY, "ip?": ANY, "port?": ANY, "id?": ANY},
    "An item of a batch that renewed nothing: what was sent of its name, as it was sent, and why.",
)
_RENEWED = reply("HeartbeatsReply", {**ADVICE, "updated": WHOLE, "unknown": list_of(_MISSED)})
_ITEM = Fields(INSTANCE_BODY.also("Item", {"importedAs?": _IMPORTED_AS}))
_MANY = Fields(_HEARTBEATS)


def _items(sent: Json, most: int) -> list[Any]:
    items = needed(sent, "instances")
    if not isinstance(items, list):
        raise InvalidField("instances", "must be a list")
    if len(items) > most:
        raise InvalidField("instances", f"has {len(items)} entries, at most {most} fit one request")
    return items


def _attachments(item: Json, spec: Registration, imported_as: Mapping[str, ImportedAs]) -> dict[str, Change]:
    """Of plugins that are off nothing is kept. InvalidField, HttpError."""
    said = item.get("importedAs", {})
    if not isinstance(said, dict):
        raise InvalidField("importedAs", "must be a JSON object")
    if said and spec.imported_from is None:  # which takes an admin
        raise InvalidField("importedAs", "stands beside importedFrom: only what an import brings has words of others")
    return {name: imported_as[name](each, spec) for name, each in said.items() if name in imported_as}


class Batches(Registrar):
    def routes(self) -> list[Route]:
        new = {"instances": [FIRST, LEAST | {"ip": "10.0.0.9"}, LEAST | {"port": 0}]}
        known = {"instances": [LEAST, {"id": "user-2"}, LEAST | {"ip": "10.0.0.99"}]}
        return [
            Route(
                "POST", "/registrations", self.registrations, Right.WRITE, Kind.REGISTRATION, "Register many instances", HEADING,
                _REGISTERED, _REGISTRATIONS, codes=("STORAGE_UNAVAILABLE",),  # of all; others are told of each
                examples=(Example(new),), max_body=MAX_BODY,
            ),
            Route(
                "POST", "/heartbeats", self.heartbeats, Right.WRITE, Kind.HEARTBEAT, "Renew many leases", HEADING, _RENEWED,
                _HEARTBEATS, codes=("ENGINE_UNAVAILABLE", "MOVED"), examples=(Example(known),), max_body=MAX_BODY,
            )
        ]  # fmt: skip

    async def registrations(self, request: Request) -> Json:
        sent = json_object(request)
        items = _items(sent, MAX_REGISTRATIONS)
        results: list[Json] = [{}] * len(items)
        places, writes, specs = [], [], []
        for place, item in enumerate(items):
            await turns().over()
            try:
                self.count_registration(request.caller.address, self.clock())
                writes.append(self._write(item))
                places.append(place)
            except DiscoveryError as error:
                results[place] = _refused(error)
        for place, result in zip(places, await self.engine.submit_all(writes, request.caller), strict=True):
            if isinstance(result, DiscoveryError):
                results[place] = _refused(result)
            else:
                results[place] = {"status": HTTPStatus.CREATED, "id": result.id, **_ITEM.said_of(items[place])}
                specs.append(result.spec)
        refused = [result for result in results if result["status"] != HTTPStatus.CREATED]
        if refused:
            self.note_refused(request, len(refused), [({}, DiscoveryError(refused[0]["message"]))])
        return {
            "registered": len(specs),
            "results": results,
            **self._advice(min(map(self.registry.ttl_of, specs), default=self.registry.lease_ttl)),
            **_MANY.said_of(sent),
        }

    def _write(self, item: Any) -> Register:
        """InvalidField, HttpError."""
        if not isinstance(item, dict):
            raise InvalidField("body", "must be a JSON object")
        spec = registration(item)
        return Register(spec, replaces(item), own_health(item), _attachments(item, spec, self.imported_as))

    async def heartbeats(self, request: Request) -> Json:
        sent = json_object(request)
        renewed = Renewals(self.engine, self.registry, request.caller, self.clock)
        await renewed.renew_all(_items(sent, MAX_BATCH))
        self.registry.unknown_heartbeats += len(renewed.unknown)
        if renewed.unknown:
            self.note_refused(request, len(renewed.unknown), renewed.refused)
        return {
            "updated": renewed.updated,
            "unknown": renewed.unknown,
            **self._advice(renewed.shortest or self.registry.lease_ttl),
            **_MANY.said_of(sent),
        }


@dataclass(eq=False)
class Renewals:
    """`refused`: the first of those that renewed nothing, with their errors. `shortest`: the ttl of the shortest lease that was renewed,
    seconds; 0.0 when none was. `away`: see `Engine.renew`.
    """

    engine: Engine
    registry: Registry
    by: Caller
    clock: Callable[[], float]
    updated: int = 0
    unknown: list[Json] = field(default_factory=list)
    refused: list[tuple[Any, DiscoveryError]] = field(default_factory=list)
    shortest: float = 0.0
    away: EngineAway | Moved | None = None

    async def renew_all(self, items: Sequence[Any]) -> None:
        """EngineAway, Moved, when all have been noted."""
        for start in range(0, len(items), _PIECE):
            await turns().over()
            reports = self._renew(items[start : start + _PIECE], start)
            outcomes = await self.engine.submit_all([write for _, write in reports], self.by) if reports else ()
            # Of the writes of an item: the first that was refused, or the last.
            told = dict[int, tuple[Any, Entry | DiscoveryError]]()
            for (item, _), outcome in zip(reports, outcomes, strict=True):
                if not isinstance(told.get(id(item), (item, None))[1], DiscoveryError):
                    told[id(item)] = item, outcome
            for item, outcome in told.values():
                if isinstance(outcome, DiscoveryError):
                    self._refuse(item, outcome)
                else:
                    self.registry.renewals += 1
                    self._add(outcome)
        if self.away is not None:
            raise self.away

    def _renew(self, items: Sequence[Any], start: int) -> list[tuple[Any, Report | ReportCheck]]:
        """Those that say another health than before, of themselves or of a check, are yet to be reported."""
        reports = list[tuple[Any, Report | ReportCheck]]()
        for number, item in enumerate(items, start):
            try:
                if type(item) is not dict or not (
                    "health" in item or "checks" in item or "output" in item
                ):  # nearly always
                    self._add(self._renew_one(item, number))
                else:
                    reports += [(item, write) for write in self._renew_with_health(item, number)]
            except DiscoveryError as error:
                self._refuse(item, error)
        return reports

    def _renew_with_health(self, item: Json, number: int) -> list[Report | ReportCheck]:
        which, place = _usual_which(item), f"instances[{number}]."
        known = None if which is None else self.registry.find(which)
        if which is None or known is None:  # perhaps in another spelling
            which = which_of(item, number)
            known = self.registry.find(which)
        own, entry = own_health(item, place), None
        is_news = own is not None and known is not None and own.health is not known.instance.own.health
        writes: list[Report | ReportCheck] = [Report(which, own)] if own is not None and is_news else []
        if "checks" in item:
            now = self.clock()
            for check, found in findings_of(item["checks"], f"{place}checks").items():
                if known is None or not known.says(check, found.health, now):
                    writes.append(ReportCheck(which, check, found))
                else:
                    entry = self.engine.renew(which, self.by, check)
                    entry.note_output(check, found.output)
        if not writes:
            entry = entry or self.engine.renew(which, self.by)
            self.registry.outputs.note(entry, own, entry.lease.renewed_at)
            self._add(entry)
        return writes

    def _renew_one(self, item: Any, number: int) -> Entry:
        which = _usual_which(item)
        try:
            return self.engine.renew(which_of(item, number) if which is None else which, self.by)
        except (UnknownInstance, UnknownForNow):
            if which is None:
                raise
            return self.engine.renew(which_of(item, number), self.by)  # perhaps in another spelling

    def _add(self, entry: Entry) -> None:
        self.updated += 1
        ttl = entry.lease.term.seconds
        if ttl > MAX_TTL:  # others may keep it who need not beat
            ttl = native_ttl(entry.instance, self.registry.lease_ttl) or ttl
        if not self.shortest or ttl < self.shortest:
            self.shortest = ttl

    def _refuse(self, item: object, error: DiscoveryError) -> None:
        if isinstance(error, EngineAway | Moved):
            self.away = error
        else:
            self.unknown.append({**_shown(item), "message": str(error)})
            if len(self.refused) < _MAX_NOTED:
                self.refused.append((item, error))


def _shown(item: object) -> Json:
    """What names the instance in a client's item, as it was sent; nothing that could be large or deep."""
    sent = item if isinstance(item, dict) else {}
    return {name: sent[name] for name in _NAMING if name in sent and _is_small(sent[name])}


def _is_small(value: object) -> bool:
    try:
        return len(orjson.dumps(value)) <= _MAX_SHOWN
    except TypeError:  # nested deeper than it goes
        return False


def _refused(error: DiscoveryError) -> Json:
    failure = failure_of(error)
    if failure is None:
        raise error
    return {**failure.facts, "status": failure.status, "code": failure.code, "message": failure.message}


def _usual_which(item: Any) -> Key | str | None:
    """As `usual_key`; None for every other spelling."""
    try:
        if "id" not in item:
            return usual_key(item)
        return item["id"] if isinstance(item["id"], str) else None
    except (KeyError, TypeError, AttributeError):
        return None
