"""Events in answers, as /openapi.json describes them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import GetJsonSchemaHandler, TypeAdapter, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from discovery.core import kinds
from discovery.core.event import ValueEvent
from discovery.rest.api.following.event_view import KINDS
from discovery.rest.api.shapes import Actor, Decided, Options, Registered, Reply, Time


class Instance(Registered, Options, Decided):
    """As it was registered, with what was decided about it."""

    metadata: dict[str, Any]


def _shown(of: type[ValueEvent[Any, Any]]) -> JsonSchemaValue:
    """What stands under the noun of a kind."""
    kind = of.kind
    parts = {name: part for name, part in kind.keys.parts.items() if name != "service"}
    fields = {to_camel(name): Time if kind.fields[name].is_moment else kind.fields[name].type for name in kind.shown}
    properties = {name: TypeAdapter(each).json_schema() for name, each in (parts | fields).items()}
    return {"type": "object", "description": of.__doc__, "properties": properties, "required": list(properties)}


def _values() -> dict[str, JsonSchemaValue]:
    return {of.kind.noun: _shown(of) for of in kinds.KINDS.values() if of.kind.shown}


class Event(Reply):
    """`instance` and `before`: as it is and as it was; both null where it is about no registered instance. `actor` null: nobody asked for
    it, or the client may not know who.
    """

    index: int
    kind: Annotated[str, WithJsonSchema({"enum": list(KINDS)})]
    service: str | None
    instance: Instance | None
    before: Instance | None
    reason: str
    actor: Actor | None

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """What is about no instance has what it is about under its noun, if it shows any of it."""
        found = handler(core)
        handler.resolve_ref_schema(found)["properties"].update(_values())
        return found


class ChangesReply(Reply):
    """`index`: what to send as `since` next. `oldest`: from which on nothing is missing."""

    changes: list[Event]
    index: int
    oldest: int
