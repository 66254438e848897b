"""JSON that keeps whole numbers of any size. orjson makes floats of what does not fit 64 bits; only texts with such a number are read and
written by the standard library, which is slower.

What the registry keeps of others' JSON is text: immutable, comparable and a quarter of the size of the dict; HTTP answers splice it in
without encoding it again.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from discovery.core.errors import InvalidField

# 19 digits may be more than 64 bits hold.
_LONG_NUMBER = re.compile(rb"[0-9]{19}")


def loads(text: bytes) -> Any:
    """ValueError when it is no JSON (RFC 8259), is nested too deep, or has a number beyond what a double holds (308 digits)."""
    if not _LONG_NUMBER.search(text):
        return orjson.loads(text)
    orjson.loads(text)  # the stricter judge of what is JSON, how deep it may be and how long its numbers
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def dumps(value: Any) -> bytes:
    """Compact. TypeError when it is no plain JSON."""
    try:
        return orjson.dumps(value)
    except TypeError:
        if not _has_long_number(value):
            raise
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _has_long_number(root: Any) -> bool:
    todo = [root]
    while todo:
        node = todo.pop()
        if isinstance(node, int) and not -(1 << 63) <= node < 1 << 64:
            return True
        if isinstance(node, dict):
            todo += node.values()
        elif isinstance(node, list | tuple):
            todo += node
    return False


# -- JSON that others have written and the registry keeps: checked, and as its compact text


def pack(value: object, field: str, most: int, depth: int) -> bytes:
    """As compact JSON. InvalidField when it is no plain JSON, more than `most` octets or nested more than `depth` levels deep."""
    try:
        text = orjson.dumps(value)
        # Fewer lists and objects than levels are allowed, and nothing that looks like a NUL: nearly always.
        is_plain = len(text) <= most and text.count(b"{") + text.count(b"[") <= depth and b"u0000" not in text
    except TypeError:
        is_plain = False
    if not is_plain:
        _check_tree(value, field, most, depth)
        try:
            text = dumps(value)
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
