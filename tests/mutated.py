"""What somebody may have made of a JSON value by hand: each part of it is another thing, or missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

WRONG: list[Any] = [None, True, -1, 99999, 1e300, "x", [], {}, [[]], {"x": None}]


def mutations(value: Any) -> Iterator[Any]:
    """Of 100 fields, 1,100."""
    yield from (wrong for wrong in WRONG if wrong != value)
    inner = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    for key, each in inner:
        for mutation in mutations(each):
            copy = value.copy()
            copy[key] = mutation
            yield copy
        copy = value.copy()
        del copy[key]
        yield copy
