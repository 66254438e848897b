"""A dictionary in the order in which its keys were put, in parts: a whole one of 100,000 holds everything up for 10 ms where it grows, an
OrderedDict for 30, and a plain one looks for its first key among all that were removed before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

# Keys of one part: it grows within half a millisecond, and 100,000 keys are few enough parts to look into each.
_PART = 4096


class ChunkedDict(Generic[K, V]):
    def __init__(self) -> None:
        self._parts: deque[dict[K, V]] = deque()  # none of them empty
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __contains__(self, key: K) -> bool:
        return any(key in part for part in self._parts)

    def __iter__(self) -> Iterator[tuple[K, V]]:
        """Oldest first."""
        return (item for part in self._parts for item in part.items())

    def get(self, key: K) -> V | None:
        return next((part[key] for part in self._parts if key in part), None)

    def put(self, key: K, value: V) -> None:
        """At the end, also when it was there already."""
        self.pop(key)
        if not self._parts or len(self._parts[-1]) >= _PART:
            self._parts.append({})
        self._parts[-1][key] = value
        self._size += 1

    def pop(self, key: K) -> V | None:
        for part in self._parts:
            if key in part:
                value = part.pop(key)
                self._size -= 1
                if not part:
                    self._parts.remove(part)
                return value
        return None

    def first(self) -> tuple[K, V] | None:
        """The oldest."""
        return next(iter(self._parts[0].items())) if self._parts else None

    def last(self) -> tuple[K, V] | None:
        return next(reversed(self._parts[-1].items())) if self._parts else None
