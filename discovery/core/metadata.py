"""Metadata: a JSON object that a service says of itself, kept as its compact JSON text.

Text is immutable, comparable and a quarter of the size of the dict; HTTP answers splice it in without encoding it again.
"""

from __future__ import annotations

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
    _check_tree(metadata, field)
    try:
        text = exact_json.dumps(metadata)
    except (TypeError, ValueError) as error:
        raise InvalidField(field, f"is not plain JSON: {error}") from None
    if len(text) > MAX_BYTES:
        raise InvalidField(field, _too_large(f"{len(text)} octets"))
    return bytes(memoryview(text))  # a copy of its own size: orjson's has 4 KB of room behind it


def unpack(text: bytes) -> dict[str, Any]:
    result: dict[str, Any] = exact_json.loads(text)
    return result


def _too_large(size: str) -> str:
    return f"is {size} of JSON, at most {MAX_BYTES} octets (16 KiB) are kept"


def _check_tree(root: dict[str, Any], field: str) -> None:
    """Depth, size and NULs, without recursion: the tree is a stranger's."""
    todo: list[tuple[object, int]] = [(root, 1)]
    seen = 0
    while todo:
        node, depth = todo.pop()
        seen += 1
        if seen > MAX_BYTES:  # every node takes an octet or more
            raise InvalidField(field, _too_large(f"more than {MAX_BYTES} octets"))
        if depth > MAX_DEPTH and isinstance(node, dict | list):
            raise InvalidField(field, f"is nested more than {MAX_DEPTH} levels deep")
        if isinstance(node, dict | list) and len(node) > MAX_BYTES:
            raise InvalidField(field, _too_large(f"more than {MAX_BYTES} octets"))
        if isinstance(node, dict):
            todo += ((key, depth) for key in node)
            todo += ((value, depth + 1) for value in node.values())
        elif isinstance(node, list):
            todo += ((value, depth + 1) for value in node)
        elif isinstance(node, str) and "\0" in node:
            raise InvalidField(field, "must not contain NUL characters")
