"""Metadata: a JSON object that a service says of itself, kept packed (`exact_json`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discovery.core import exact_json
from discovery.core.errors import InvalidField

MAX_BYTES = 16 * 1024
# JSON libraries of clients give up between 64 and 1,000 levels; nobody describes an instance with more than a few.
MAX_DEPTH = 32

EMPTY = b"{}"


def pack(metadata: object, field: str = "metadata") -> bytes:
    """The object as compact JSON. None is the empty object. InvalidField when it is no object, too large or too deep."""
    if metadata is None:
        return EMPTY
    if not isinstance(metadata, dict):
        raise InvalidField(field, "must be a JSON object")
    return exact_json.pack(metadata, field, MAX_BYTES, MAX_DEPTH)


def texts(said: Mapping[str, Any]) -> dict[str, str]:
    """As registries have it whose metadata are texts alone: of what is none its JSON."""
    return {key: value if isinstance(value, str) else exact_json.dumps(value).decode() for key, value in said.items()}


def unpack(text: bytes) -> dict[str, Any]:
    result: dict[str, Any] = exact_json.loads(text)
    return result
