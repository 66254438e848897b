"""JSON that keeps whole numbers of any size. orjson makes floats of what does not fit 64 bits; only texts with such a number are read and
written by the standard library, which is slower.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

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
