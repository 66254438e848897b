"""Events in answers, as /openapi.json describes them."""

from __future__ import annotations

from typing import Any

from pydantic.alias_generators import to_camel

from discovery.core import kinds
from discovery.core.event import ValueEvent
from discovery.core.schema import OBJECT, TEXT, WHOLE, Schema, list_of, one_of, or_null
from discovery.rest.api.following.event_view import KINDS
from discovery.rest.api.shapes import ACTOR, DECIDED, REGISTERED, SHOWN_OPTIONS, TIME, reply

_INSTANCE = REGISTERED.also(
    "Instance",
    {**SHOWN_OPTIONS, **DECIDED, "metadata": OBJECT},
    "As it was registered, with what was decided about it.",
)


def _shown(of: type[ValueEvent[Any, Any]]) -> Schema:
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
        **{f"{of.kind.noun}?": _shown(of) for of in kinds.KINDS.values() if of.kind.shown},
    },
    "`instance` and `before`: as it is and as it was; both null where it is about no registered instance. `actor` null: nobody asked for "
    "it, or the client may not know who.",
)
CHANGES_REPLY = reply(
    "ChangesReply",
    {"changes": list_of(EVENT), "index": WHOLE, "oldest": WHOLE},
    "`index`: what to send as `since` next. `oldest`: from which on nothing is missing.",
)
