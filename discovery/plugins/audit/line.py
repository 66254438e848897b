"""A commit, or a write that was refused, as a line: who, what, what came of it, and how it was before and after. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from discovery.core.caller import SERVER, Caller
from discovery.core.errors import DiscoveryError
from discovery.core.event import RESTORE, Commit, InstanceEvent, ValueEvent
from discovery.core.instance import Instance, options
from discovery.core.kinds import WindowEvent
from discovery.core.name import fold
from discovery.rest.api.following import event_view
from discovery.rest.api.times import iso
from discovery.store.expiry import Expire
from discovery.store.operations import ReloadZones
from discovery.store.registration import ReportCheck, Revive
from discovery.store.write import Write

DONE = "done"
# Characters of an error's text and of an id that nobody has: both quote what a stranger sent.
MAX_TEXT = 512

# What nobody asked for: time, heartbeats, checks and files bring it, and the log has it.
_UNASKED = {Expire.action, Revive.action, ReportCheck.action, ReloadZones.action, RESTORE}

# What a terminal may take as an order and JSON leaves as it is: delete, C1, line separators, changes of direction.
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def of_commit(commit: Commit) -> bytes | None:
    """None for a commit that nobody asked for."""
    if commit.action in _UNASKED:
        return None
    return octets_of(_head(commit.wall, commit.by, commit.action, DONE, commit.index) | what_happened(commit))


def of_refused(write: Write[Any], by: Caller, error: DiscoveryError, index: int, wall: float) -> bytes:
    """`index`: the registry's."""
    subject, service, ip, port = write.subject, None, None, None
    if subject is not None and not isinstance(subject, str):
        service, ip, port = subject
    instance = {"id": subject if isinstance(subject, str) else None, "ip": ip, "port": port or None}
    named = {
        name: _text(value) if isinstance(value, str) else value for name, value in instance.items() if value is not None
    }
    said = {
        "service": service and _text(service),
        "instance": named or None,
        "before": None,
        "after": None,
        "error": _text(str(error)),
    }
    return octets_of(_head(wall, by, write.action, type(error).__name__, index) | said)


def of_lost(count: int, wall: float) -> bytes:
    """The line that stands where so many are missing."""
    by = {"name": SERVER.name, "address": SERVER.address}
    return octets_of({"time": iso(wall), "by": by, "action": "lost", "lines": count})


def octets_of(content: Json) -> bytes:
    """JSON and a newline; nothing in it that a terminal takes as an order."""
    octets = orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)
    if octets.isascii() and b"\x7f" not in octets:
        return octets
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", octets.decode()).encode()


def _head(wall: float, by: Caller, action: str, outcome: str, index: int) -> Json:
    who = {"name": _text(by.name), "address": _text(by.address)}
    return {"time": iso(wall), "by": who, "action": action, "outcome": outcome, "index": index}


def _text(text: str) -> str:
    """Bounded, and in Unicode for sure (what came in a URL need not be)."""
    return text[:MAX_TEXT].encode("utf-8", "backslashreplace").decode()


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
    return {"id": instance.id, "ip": instance.spec.ip, "port": instance.spec.port or None}


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
