"""Many heartbeats in one request. One that is unknown or malformed is told of and fails nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from discovery.core.errors import DiscoveryError, InvalidField
from discovery.core.instance import Key
from discovery.core.name import fold
from discovery.rest.views import Json
from discovery.store.engine import Engine
from discovery.store.registry import UnknownInstance

# Heartbeats for one turn of the event loop: 2 µs each.
_PER_TURN = 1000


class Renewed:
    """`shortest`: the ttl of the shortest lease that was renewed, seconds; 0.0 when none was."""

    def __init__(self) -> None:
        self.updated = 0
        self.unknown: list[Json] = []
        self.shortest = 0.0


async def renew_all(engine: Engine, items: Sequence[Any]) -> Renewed:
    result = Renewed()
    for start in range(0, len(items), _PER_TURN):
        if start:
            await asyncio.sleep(0)
        _renew(engine, items[start : start + _PER_TURN], start, result)
    return result


def _renew(engine: Engine, items: Sequence[Any], start: int, result: Renewed) -> None:
    shortest = result.shortest or float("inf")
    for number, item in enumerate(items, start):
        try:
            # The usual spelling, found as it is; what is not is looked at again below.
            which = item["id"] if "id" in item else Key(fold(item["name"]), item["ip"], item["port"])
            lease = engine.renew(which).lease
        except (UnknownInstance, KeyError, TypeError, AttributeError):
            try:
                lease = engine.renew(_which(item, number)).lease
            except DiscoveryError as error:
                result.unknown.append({**(item if isinstance(item, dict) else {}), "message": str(error)})
                continue
        result.updated += 1
        if lease.ttl < shortest:
            shortest = lease.ttl
    result.shortest = shortest if result.updated else 0.0


def _which(item: object, number: int) -> Key | str:
    if not isinstance(item, dict):
        raise InvalidField(f"instances[{number}]", "must be an object with name, ip and port, or with id")
    if "id" in item:
        if not isinstance(item["id"], str):
            raise InvalidField(f"instances[{number}].id", "must be a string")
        return item["id"]
    return Key.of(item.get("name"), item.get("ip"), item.get("port"))
