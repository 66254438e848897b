"""Many heartbeats, or many registrations, in one request. One that is refused or malformed is told of and fails nobody else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from pydantic import ValidationError

from discovery.core.caller import Caller
from discovery.core.errors import DiscoveryError, InvalidField
from discovery.core.instance import Key
from discovery.rest.api.errors import described
from discovery.rest.api.schemas import RegisterBody, usual_key
from discovery.rest.api.unknown_fields import Fields
from discovery.rest.api.views import Json
from discovery.store.engine import Engine
from discovery.store.errors import EngineAway, Moved, UnknownInstance
from discovery.store.registration import Register
from discovery.store.service import Entry
from discovery.system.turns import turns

# Heartbeats of one piece: 2 µs each, 15 when they are unknown, 40 when they revive one that was silent.
_PIECE = 20

# What is echoed of an item, and octets of JSON of each.
_NAMING = ("name", "ip", "port", "id")
_MAX_SHOWN = 128


_FIELDS = Fields(RegisterBody)


class Renewed:
    """`shortest`: the ttl of the shortest lease that was renewed, seconds; 0.0 when none was. `away`: see `Engine.renew`."""

    def __init__(self) -> None:
        self.updated = 0
        self.unknown: list[Json] = []
        self.shortest = 0.0
        self.away: EngineAway | Moved | None = None


async def renew_all(engine: Engine, items: Sequence[Any], by: Caller) -> Renewed:
    """EngineAway, Moved, when all have been noted."""
    result = Renewed()
    for start in range(0, len(items), _PIECE):
        await turns().over()
        _renew(engine, items[start : start + _PIECE], start, result, by)
    if result.away is not None:
        raise result.away
    return result


def _renew(engine: Engine, items: Sequence[Any], start: int, result: Renewed, by: Caller) -> None:
    shortest = result.shortest or float("inf")
    for number, item in enumerate(items, start):
        try:
            lease = _renew_one(engine, item, number, by).lease
        except (EngineAway, Moved) as error:
            result.away = error
            continue
        except DiscoveryError as error:
            result.unknown.append({**_shown(item), "message": str(error)})
            continue
        result.updated += 1
        if lease.ttl < shortest:
            shortest = lease.ttl
    result.shortest = shortest if result.updated else 0.0


def _renew_one(engine: Engine, item: Any, number: int, by: Caller) -> Entry:
    try:  # the usual spelling, found as it is
        which = item["id"] if "id" in item else usual_key(item)
    except (KeyError, TypeError, AttributeError):
        which = None
    if isinstance(which, str | Key):
        with contextlib.suppress(UnknownInstance):
            return engine.renew(which, by)
    return engine.renew(_which(item, number), by)


async def register_all(
    engine: Engine, items: Sequence[Any], by: Caller, count: Callable[[float], None], clock: Callable[[], float]
) -> list[Json]:
    """A result for each item, in order: `status` (as POST /register has it), `id` and perhaps `warnings`, or `code` and `message`.

    `count`: is told of each registration by its time, and refuses one too many.
    """
    results: list[Json] = [{}] * len(items)
    places, writes = [], []
    for place, item in enumerate(items):
        await turns().over()
        try:
            count(clock())
            body = RegisterBody.model_validate(item)
            writes.append(Register(body.registration(), body.replace))
            places.append(place)
        except (DiscoveryError, ValidationError) as error:
            results[place] = _refused(error)
    for place, result in zip(places, await engine.submit_all(writes, by), strict=True):
        if isinstance(result, DiscoveryError):
            results[place] = _refused(result)
        else:
            warnings = _FIELDS.warnings(items[place])
            results[place] = {"status": HTTPStatus.CREATED, "id": result.id} | (
                {"warnings": warnings} if warnings else {}
            )
    return results


def _refused(error: DiscoveryError | ValidationError) -> Json:
    found = described(error)
    if found is None:
        raise error
    status, code, message, _ = found
    return {"status": status, "code": code, "message": message}


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
    return Key.of(item.get("name"), item.get("ip"), item.get("port"))
