"""One object for equal values. Most instances have their port, ttl and metadata in common with many others: 130 octets each."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

T = TypeVar("T", int, float, bytes)

# The most usual values of a registry, at 0.4 KB each.
_MAX_VALUES = 4096
# Octets. What is longer is seldom the same.
_MAX_SIZE = 256


def shared(value: T) -> T:
    """An equal value: the one that was seen before, if it was lately."""
    if isinstance(value, bytes) and len(value) > _MAX_SIZE:
        return value
    known: T = _seen(value)
    return known


@lru_cache(maxsize=_MAX_VALUES, typed=True)  # 1 and 1.0 are equal, and not the same
def _seen(value: T) -> T:
    return value
