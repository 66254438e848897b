"""What a line shows of a commit: of an instance, of several, of a maintenance window. Nothing in it is bounded by good will alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from discovery.core.event import Commit, DrainEvent, InstanceEvent, TokenEvent, WindowEvent
from discovery.core.instance import Instance, options
from discovery.core.maintenance import Scope, Window
from discovery.core.name import fold
from discovery.rest.api.times import iso

Json = dict[str, Any]

# Octets of metadata that a line holds in full.
MAX_METADATA = 1024


def what_happened(commit: Commit) -> Json:
    """`service`, `instance`, `before`, `after`, `reason`, and what happened to others than the one that is named."""
    changes = [event for event in commit.events if isinstance(event, InstanceEvent)]
    for event in commit.events:
        if isinstance(event, WindowEvent):
            return _of_window(event, changes)
    if isinstance(last := commit.events[-1], TokenEvent):  # those before it are old ones that make room
        return _of_token(last)
    if not changes:
        return _of_drain(next(event for event in commit.events if isinstance(event, DrainEvent)))
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


def _of_window(event: WindowEvent, changes: Sequence[InstanceEvent]) -> Json:
    scope = event.scope
    names = [each.instance.spec.name for each in changes if fold(each.instance.spec.name) == scope.service]
    own = next((each.instance for each in changes if Scope.of(each.instance.spec.key) == scope), None)
    shown = {
        "service": names[0] if names else scope.service,
        "instance": None if scope.ip is None else identity(own) if own else {"ip": scope.ip, "port": scope.port},
        "before": window(event.before),
        "after": window(event.after),
        "reason": event.reason,
    }
    return shown | ({"affected": several(changes)} if scope.ip is None and changes else {})


def _of_drain(event: DrainEvent) -> Json:
    """The drain of one that is not registered is forgotten."""
    drained = event.before or event.after
    assert drained is not None
    instance = drained.instance(event.key)._replace(draining_since=drained.since)
    shown = {"service": instance.spec.name, "instance": identity(instance), "reason": event.reason}
    return shown | {"before": contents(instance), "after": None}


def _of_token(event: TokenEvent) -> Json:
    revoked = event.after or event.before
    assert revoked is not None
    token = {"token": revoked.name, "sha256": event.sha256.hex()}
    shown = {"service": None, "instance": None, "reason": event.reason}
    return shown | {"before": event.before and token, "after": event.after and token}


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


def window(shown: Window | None) -> Json | None:
    return None if shown is None else {"reason": shown.reason, "until": iso(shown.until)}


def several(changes: Iterable[InstanceEvent]) -> Json:
    """Whose status changed. A commit has at most 100 events, so all of them fit a line."""
    return _listed(
        [identity(instance) for instance in {event.instance.id: event.instance for event in changes}.values()]
    )


def _listed(listed: list[Json]) -> Json:
    return {"instances": len(listed), "listed": listed}
