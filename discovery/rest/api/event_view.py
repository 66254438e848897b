"""An event as JSON, for everyone who shows one: /events, /changes and the history.

`{index, kind, service, instance, before, reason, actor, timestamp}`. `service` is folded. `instance` is as it is now and `before` as it
was: both null where the event is not about a registered instance. README.md in `rest/watch` lists the kinds.
"""

from __future__ import annotations

from typing import Any

import orjson

from discovery.core.caller import Caller
from discovery.core.event import Commit, DrainEvent, Event, InstanceEvent, Kind, TokenEvent, WindowEvent, instant_of
from discovery.core.instance import Instance, options
from discovery.rest.api.times import iso
from discovery.rest.api.views import registered

Json = dict[str, Any]

# What a reason that names who asked for the change says in front of the name.
ASKED_BY = "asked for by "

# Besides `Kind`, which is of instances: maintenance windows, drains that are remembered of instances that are gone, zone files, tokens.
WINDOW_BEGINS = "maintenance-begins"
WINDOW_CHANGED = "maintenance-changed"
WINDOW_ENDS = "maintenance-ends"
DRAIN_REMEMBERED = "drain-remembered"
DRAIN_FORGOTTEN = "drain-forgotten"
ZONES_RELOADED = "zones-reloaded"
REVOKED = "token-revoked"
UNREVOKED = "token-restored"

KINDS = (
    *(kind.value for kind in Kind),
    WINDOW_BEGINS, WINDOW_CHANGED, WINDOW_ENDS, DRAIN_REMEMBERED, DRAIN_FORGOTTEN, ZONES_RELOADED,
    REVOKED, UNREVOKED,
)  # fmt: skip


def shown(event: Event, commit: Commit, with_actor: bool) -> Json:
    """For orjson: metadata is a fragment of JSON. `with_actor` False: nothing in it says who asked, or from where.

    A window's event has `maintenance`, a drain's `drain` besides; a token's has `token` with the actor only.
    """
    content: Json = {
        "index": commit.index,
        "kind": kind_of(event),
        "service": service_of(event),
        "instance": None,
        "before": None,
        "reason": event.reason if with_actor else anonymous(event.reason),
        "actor": actor(commit.by) if with_actor else None,
        "timestamp": iso(instant_of(event, commit.wall)),
    }
    if isinstance(event, InstanceEvent):
        content["instance"] = event.after and instance(event.after)
        content["before"] = event.before and instance(event.before)
    elif isinstance(event, WindowEvent):
        content["maintenance"] = _window(event)
    elif isinstance(event, DrainEvent):
        content["drain"] = _drain(event)
    elif isinstance(event, TokenEvent) and with_actor:
        content["token"] = _token(event)
    return content


def kind_of(event: Event) -> str:
    """One of KINDS."""
    if isinstance(event, InstanceEvent):
        return event.kind.value
    if isinstance(event, WindowEvent):
        return WINDOW_ENDS if event.after is None else WINDOW_BEGINS if event.before is None else WINDOW_CHANGED
    if isinstance(event, DrainEvent):
        return DRAIN_FORGOTTEN if event.after is None else DRAIN_REMEMBERED
    if isinstance(event, TokenEvent):
        return UNREVOKED if event.after is None else REVOKED
    return ZONES_RELOADED


def service_of(event: Event) -> str | None:
    """Folded; None: of no service."""
    return event.service if isinstance(event, InstanceEvent | WindowEvent | DrainEvent) else None


def instance(what: Instance) -> Json:
    """What was registered, and what was decided about it."""
    content = registered(what) | {"metadata": orjson.Fragment(what.spec.metadata)} | options(what.spec)
    if what.draining:
        content["draining"] = True
    if what.failing is not None:
        content["checkFailure"] = what.failing
    return content


def anonymous(reason: str) -> str:
    """Without the name and address of whoever asked, which stand at the end."""
    before, found, _ = reason.partition(ASKED_BY)
    return f"{before}asked for" if found else reason


def actor(by: Caller) -> Json | None:
    """Null for what nobody asked for: the caller of a start has no name and no address."""
    return {"name": by.name, "address": by.address} if by.name or by.address else None


def _window(event: WindowEvent) -> Json:
    """`ip` and `port` null: of the whole service. `reason` and `until`: of the one that begins, or ends."""
    window = event.after or event.before
    assert window is not None
    scope = event.scope
    return {"ip": scope.ip, "port": scope.port, "reason": window.reason, "until": iso(window.until)}


def _token(event: TokenEvent) -> Json:
    revoked = event.after or event.before
    assert revoked is not None
    return {"name": revoked.name, "sha256": event.sha256.hex()}


def _drain(event: DrainEvent) -> Json:
    drained = event.after or event.before
    assert drained is not None
    key, since, until = event.key, iso(drained.since), iso(drained.until)
    return {"id": drained.id, "ip": key.ip, "port": key.port, "since": since, "until": until}
