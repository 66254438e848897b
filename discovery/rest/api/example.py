"""Examples of what is sent to a route and of what it answers, for the OpenAPI document; the tests send each to a real server.

They are all about two instances of `user-service`, on 2026-01-31 at noon. Most of them need not be written: they are made of the shapes of
bodies and answers, whose fields have examples where a name or a type does not say enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from discovery.core.schema import Schema
from discovery.rest.api.shapes import Shape

SERVICE = "user-service"
NOW = "2026-01-31T12:00:00.000Z"
INDEX = 1769860800
SHA256 = "be180dccc1a51fdb748adb3e4127772868fd6e8464f18bdd24cdb8c30beae30a"
# An instance as it is registered, and what has to be said of it.
FIRST: dict[str, Any] = {
    "name": SERVICE, "ip": "10.0.0.7", "port": 3001, "id": "user-1", "metadata": {"version": "1.4.2"}, "tags": ["blue"], "zone": "eu-1",
    "ttl": 30,
}  # fmt: skip
LEAST: dict[str, Any] = {"name": SERVICE, "ip": "10.0.0.7", "port": 3001}


class Example(NamedTuple):
    """What is particular about a request and its answer. `body`: None: one with the fields that there must be. `query`: besides the
    parameters that it must have. `title`: where there are several. `after`: what has been done before, as `METHOD /path`. `more`: fields of
    the answer that are not always there, or say something else than usual. `text`: the answer, where it is no JSON, or what makes it. It
    may have more lines.
    """

    body: Any = None
    query: Mapping[str, str] = {}
    status: int = 200
    title: str = ""
    after: tuple[str, ...] = ()
    more: Mapping[str, Any] = {}
    text: str | Callable[[], str] | None = None


# What fields of these names say, where their types do not tell.
_BY_NAME: Mapping[str, Any] = {
    "id": "user-1", "name": SERVICE, "serviceName": SERVICE, "service": SERVICE, "services": SERVICE, "port": 3001, "index": INDEX,
    "oldest": INDEX - 500, "heartbeatIntervalMs": 3189, "sha256": SHA256, "address": "10.0.0.2", "client": "10.0.0.9", "metadata": {},
    "reason": "asked for by admin at 10.0.0.2", "revokedBy": "admin at 10.0.0.2", "level": "info", "perSecond": 100, "check": "db-pool",
}  # fmt: skip
_BY_TYPE: Mapping[str, Any] = {
    "string": "text",
    "integer": 2,
    "number": 0.5,
    "boolean": True,
    "object": {},
    "null": None,
}


def sample(schema: Schema | Shape, name: str = "") -> Any:
    """A value that a JSON schema describes, with the fields that there must be. `name`: of the field that has it."""
    if isinstance(schema, Shape):
        return {each: sample(schema.fields[each], each) for each in schema.required}
    if "examples" in schema:
        return schema["examples"][0]
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    if schema.get("format") == "date-time":
        return NOW
    if "anyOf" in schema and name not in _BY_NAME:
        return sample(schema["anyOf"][0], name)
    if schema.get("type") == "array":
        return [sample(schema["items"], name)] * schema.get("minItems", 1)
    if isinstance(schema.get("additionalProperties"), Mapping | Shape):
        key = sample(schema["propertyNames"]) if "propertyNames" in schema else SERVICE
        return {key: sample(schema["additionalProperties"])}
    return _BY_NAME.get(name, _BY_TYPE.get(schema.get("type", ""), "text"))
