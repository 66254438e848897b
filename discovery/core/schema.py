"""JSON schemas of what stands in bodies, queries and answers: the OpenAPI document has them, beside the code that checks the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Schema = Mapping[str, Any]

ANY: Schema = {}
NULL: Schema = {"type": "null"}
FLAG: Schema = {"type": "boolean"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
TEXT: Schema = {"type": "string"}
OBJECT: Schema = {"type": "object"}


def string(most: int, least: int = 0) -> Schema:
    """Of so many characters."""
    return {"type": "string", "maxLength": most} | ({"minLength": least} if least else {})


def one_of(words: Iterable[str]) -> Schema:
    return {"type": "string", "enum": list(map(str, words))}


def or_null(schema: Any) -> Schema:
    return {"anyOf": [schema, NULL]}


def list_of(items: Any, most: int | None = None) -> Schema:
    return {"type": "array", "items": items} | ({} if most is None else {"maxItems": most})


def by_name(values: Any) -> Schema:
    """An object with any names."""
    return {"type": "object", "additionalProperties": values}


def described(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description} if description else schema
