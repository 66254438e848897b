"""What a line shows of a commit: of an instance, of several, of what is kept besides. Nothing in it is bounded by good will alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from discovery.core.event import Commit, InstanceEvent, ValueEvent
from discovery.core.instance import Instance, options
from discovery.core.kinds import WindowEvent
from discovery.core.name import fold
from discovery.rest.api.following import event_view
from discovery.rest.api.times import iso

Json = dict[str, Any]

# Octets of metadata that a line holds in full.
MAX_METADATA = 1024


def what_happened(commit: Commit) -> Json:
    """`service`, `instance`, `before`, `after`, `reason`, and what happened to others than the one that is named."""
    changes = [event for event in commit.events if isinstance(event, InstanceEvent)]
    values = [event for event in commit.events if not isinstance(event, InstanceEvent)]
    window = next((event for event in values if isinstance(event, WindowEvent)), None)
    if window is not None or not changes:
        return _of_value(window or values[-1], changes)  # tokens before the last are old ones that make room
    if commit.action in ("deregister-service", "clear", "settle"):
        return _of_several(commit.action, changes)
    return _of_one(changes)


def _of_one(changes: Sequence[InstanceEvent]) -> Json:
    """The last event is about the one that the write names; those before may be about others."""
    last = changes[-1]
    evicted = [identity(event.instance) for event in changes[:-1] if event.after is None]
    shown = {
        "service": last.instance.spec.name,
        "instance": identity(last.instance),
        "before": last.before and contents(last.before),
        "after": last.after and contents(last.after),
        "reason": last.reason,
    }
    return shown | ({"evicted": evicted} if evicted else {})


def _of_several(action: str, changes: Sequence[InstanceEvent]) -> Json:
    service = None if action == "clear" else changes[0].instance.spec.name
    shown: Json = {"service": service, "instance": None, "before": None, "after": None, "reason": changes[-1].reason}
    if action == "settle":
        return shown | {"affected": several(changes)}
    return shown | {"before": _listed([identity(event.instance) | contents(event.instance) for event in changes])}


def _of_value(event: ValueEvent[Any, Any], changes: Sequence[InstanceEvent]) -> Json:
    """`changes`: of the instances that follow from it."""
    place, before, after = event.place, _value(event, event.before), _value(event, event.after)
    named = [each.instance for each in changes if fold(each.instance.spec.name) == event.service]
    own = next((instance for instance in named if instance.spec.key == event.key), None)
    ids = {"id": known["id"]} if "id" in (known := after or before or {}) else {}
    shown = {
        "service": named[0].spec.name if named else event.service,
        "instance": identity(own)
        if own
        else ids | {"ip": place["ip"], "port": place["port"]}
        if place.get("ip")
        else None,
        "before": before,
        "after": after,
        "reason": event.reason,
    }
    return shown | ({"affected": several(changes)} if place.get("ip") is None and changes else {})


def _value(event: ValueEvent[Any, Any], value: Any) -> Json | None:
    """A name stands under the noun of its kind: `name` is an instance's. What is known by no place has its key besides."""
    if value is None:
        return None
    shown = {
        event.kind.noun if name == "name" else name: of for name, of in event_view.value(event.kind, value).items()
    }
    return shown | ({} if event.service else event.place)


def identity(instance: Instance) -> Json:
    return {"id": instance.id, "ip": instance.spec.ip, "port": instance.spec.port}


def contents(instance: Instance) -> Json:
    """All of the registration but who it is; what is optional only where it is another than the default."""
    spec = instance.spec
    return {
        "name": spec.name,
        "status": instance.status.value,
        "draining": instance.draining,
        "registeredAt": iso(instance.registered_at),
        "metadata": _metadata(spec.metadata),
    } | options(spec)


def _metadata(text: bytes) -> object:
    """Large metadata by its hash, so that nobody can write others' lines out of the file with it."""
    if len(text) <= MAX_METADATA:
        return orjson.Fragment(text)
    return {"octets": len(text), "sha256": hashlib.sha256(text).hexdigest()}


def several(changes: Iterable[InstanceEvent]) -> Json:
    """Whose status changed. A commit has at most 100 events, so all of them fit a line."""
    return _listed(
        [identity(instance) for instance in {event.instance.id: event.instance for event in changes}.values()]
    )


def _listed(listed: list[Json]) -> Json:
    return {"instances": len(listed), "listed": listed}
