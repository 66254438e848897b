"""An event as JSON, for everyone who shows one: /events, /changes and the history.

`{index, kind, service, instance, before, reason, actor, timestamp}`. `service` is folded. `instance` is as it is now and `before` as it
was: both null where the event is not about a registered instance. README.md in `rest/watch` lists the kinds.
"""

from __future__ import annotations

from typing import Any

import orjson
from pydantic.alias_generators import to_camel

from discovery.core import kinds
from discovery.core.caller import Caller
from discovery.core.event import Commit, Event, InstanceEvent, Kind, ValueEvent, ValueKind, instant_of
from discovery.core.instance import Instance, options
from discovery.core.schema import OBJECT, TEXT, WHOLE, Schema, list_of, one_of, or_null
from discovery.rest.api.answers import Json
from discovery.rest.api.shapes import ACTOR, DECIDED, REGISTERED, SHOWN_OPTIONS, TIME, reply
from discovery.rest.api.times import iso
from discovery.rest.api.views import decided, health, registered

# What a reason that names who asked for the change says in front of the name.
ASKED_BY = "asked for by "

# What events are called: `name` of each.
KINDS = (*(kind.value for kind in Kind), *(name for each in kinds.KINDS.values() for name in each.kind.names))


def shown(event: Event, commit: Commit, with_actor: bool) -> Json:
    """For orjson: metadata is a fragment of JSON. `with_actor` False: nothing in it says who asked, or from where.

    What is about no instance has what it is about under the noun of its kind besides.
    """
    content: Json = {
        "index": commit.index,
        "kind": event.name,
        "service": event.service,
        "instance": None,
        "before": None,
        "reason": event.reason if with_actor else anonymous(event.reason),
        "actor": actor(commit.by) if with_actor else None,
        "timestamp": iso(instant_of(event, commit.wall)),
    }
    if isinstance(event, InstanceEvent):
        content["instance"] = event.after and instance(event.after)
        content["before"] = event.before and instance(event.before)
    elif event.kind.shown and (with_actor or not event.kind.secret):
        content[event.kind.noun] = _shown_value(event)
    return content


def instance(what: Instance) -> Json:
    """What was registered, and what was decided about it."""
    content = registered(what) | {"metadata": orjson.Fragment(what.spec.metadata)} | options(what.spec)
    return content | health(what, what.own) | decided(what)


def anonymous(reason: str) -> str:
    """Without the name and address of whoever asked, which stand at the end."""
    before, found, _ = reason.partition(ASKED_BY)
    return f"{before}asked for" if found else reason


def actor(by: Caller) -> Json | None:
    """Null for what nobody asked for: the caller of a start has no name and no address."""
    return {"name": by.name, "address": by.address} if by.name or by.address else None


def value(kind: ValueKind[Any, Any], of: Any) -> Json:
    """What people see of it."""
    found = {name: getattr(of, name) for name in kind.shown}
    return {to_camel(name): iso(each) if kind.fields[name].is_moment and each else each for name, each in found.items()}


def _shown_value(event: ValueEvent[Any, Any]) -> Json:
    """As it begins, or was when it ended. A window's `ip` and `port` are null where it is of the whole service."""
    place = {name: part for name, part in event.place.items() if name != "service"}
    return place | value(event.kind, event.after or event.before)


_INSTANCE = REGISTERED.also(
    "Instance",
    {**SHOWN_OPTIONS, **DECIDED, "metadata": OBJECT},
    "As it was registered, with what was decided about it.",
)


def _schema(of: type[ValueEvent[Any, Any]]) -> Schema:
    """What stands under the noun of a kind."""
    kind = of.kind
    parts = {name: part for name, part in kind.keys.parts.items() if name != "service"}
    fields = {to_camel(name): TIME if kind.fields[name].is_moment else kind.fields[name].schema for name in kind.shown}
    properties = parts | fields
    return {"type": "object", "description": of.__doc__, "properties": properties, "required": list(properties)}


EVENT = reply(
    "Event",
    {
        "index": WHOLE,
        "kind": one_of(KINDS),
        "service": or_null(TEXT),
        "instance": or_null(_INSTANCE),
        "before": or_null(_INSTANCE),
        "reason": TEXT,
        "actor": or_null(ACTOR),
        # What is about no instance has what it is about under its noun, if it shows any of it.
        **{f"{of.kind.noun}?": _schema(of) for of in kinds.KINDS.values() if of.kind.shown},
    },
    "`instance` and `before`: as it is and as it was; both null where it is about no registered instance. `actor` null: nobody asked for "
    "it, or the client may not know who.",
)
CHANGES_REPLY = reply(
    "ChangesReply",
    {"changes": list_of(EVENT), "index": WHOLE, "oldest": WHOLE},
    "`index`: what to send as `since` next. `oldest`: from which on nothing is missing.",
)
