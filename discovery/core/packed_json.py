"""JSON that others have written and the registry keeps: checked, and as its compact text.

Text is immutable, comparable and a quarter of the size of the dict; HTTP answers splice it in without encoding it again.
"""

from __future__ import annotations

from discovery.core import exact_json
from discovery.core.errors import InvalidField


def pack(value: object, field: str, most: int, depth: int) -> bytes:
    """As compact JSON. InvalidField when it is no plain JSON, more than `most` octets or nested more than `depth` levels deep."""
    _check_tree(value, field, most, depth)
    try:
        text = exact_json.dumps(value)
    except (TypeError, ValueError) as error:
        raise InvalidField(field, f"is not plain JSON: {error}") from None
    if len(text) > most:
        raise InvalidField(field, too_large(f"{len(text)} octets", most))
    return bytes(memoryview(text))  # a copy of its own size: orjson's has 4 KB of room behind it


def too_large(size: str, most: int) -> str:
    return f"is {size} of JSON, at most {most} octets ({most // 1024} KiB) are kept"


def _check_tree(root: object, field: str, most: int, depth_allowed: int) -> None:
    """Depth, size and NULs, without recursion: the tree is a stranger's."""
    todo: list[tuple[object, int]] = [(root, 1)]
    seen = 0
    while todo:
        node, depth = todo.pop()
        seen += 1
        if seen > most:  # every node takes an octet or more
            raise InvalidField(field, too_large(f"more than {most} octets", most))
        if depth > depth_allowed and isinstance(node, dict | list):
            raise InvalidField(field, f"is nested more than {depth_allowed} levels deep")
        if isinstance(node, dict | list) and len(node) > most:
            raise InvalidField(field, too_large(f"more than {most} octets", most))
        if isinstance(node, dict):
            todo += ((key, depth) for key in node)
            todo += ((value, depth + 1) for value in node.values())
        elif isinstance(node, list):
            todo += ((value, depth + 1) for value in node)
        elif isinstance(node, str) and "\0" in node:
            raise InvalidField(field, "must not contain NUL characters")
