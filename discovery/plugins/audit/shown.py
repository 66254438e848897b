"""What a line shows of an instance, of several, and of a maintenance window."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import fields
from itertools import islice
from typing import Any

import orjson

from discovery.core.change import Change
from discovery.core.instance import Instance, Registration
from discovery.core.maintenance import Window
from discovery.core.status import Status
from discovery.rest.api.times import iso

Json = dict[str, Any]

# Instances that one line lists; of a mass write the rest is a number.
MAX_LISTED = 100
# Octets of metadata that a line holds in full.
MAX_METADATA = 1024


def identity(instance: Instance) -> Json:
    return {"id": instance.id, "ip": instance.spec.ip, "port": instance.spec.port}


def contents(instance: Instance, status: Status) -> Json:
    """All of the registration but who it is; what is optional only where it is another than the default."""
    spec = instance.spec
    shown: Json = {
        "name": spec.name,
        "status": status.value,
        "draining": instance.draining,
        "registeredAt": iso(instance.registered_at),
        "metadata": _metadata(spec.metadata),
    }
    for name, shown_as, default in _OPTIONAL:
        if (value := getattr(spec, name)) != default:
            shown[shown_as] = _SHOWN.get(name, _itself)(value)
    return shown


def _metadata(text: bytes) -> object:
    """Large metadata by its hash, so that nobody can write others' lines out of the file with it."""
    if len(text) <= MAX_METADATA:
        return orjson.Fragment(text)
    return {"octets": len(text), "sha256": hashlib.sha256(text).hexdigest()}


def _itself(value: Any) -> Any:
    return value


_SHOWN = {"ports": dict, "check": lambda check: check.shown()}


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(map(str.capitalize, tail))


# Field, as it is shown, default. A field that is new is in the log without anybody remembering it.
_OPTIONAL = tuple(
    (field.name, _camel(field.name), field.default)
    for field in fields(Registration)
    if field.name not in ("id", "name", "ip", "port", "metadata")
)


def window(shown: Window | None) -> Json | None:
    return None if shown is None else {"reason": shown.reason, "until": iso(shown.until)}


def affected(changes: Iterable[Change]) -> Json:
    ids = {change.instance.id: change.instance for change in changes}
    return several([identity(instance) for instance in islice(ids.values(), MAX_LISTED)], len(ids))


def several(listed: list[Json], count: int) -> Json:
    return {"instances": count, "listed": listed, "more": count - len(listed)}
