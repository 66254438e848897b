"""Heavy hitters of the last minutes, in bounded memory: how often each key came, for the keys that came most often.

A sketch holds `most` keys. When one more comes, the median of the counts is taken from all, and what has nothing left is forgotten: as in
Misra and Gries' algorithm and the Frequent Items sketch of datasketches. So a count is never too high, and at most `error` too low; a key
that came more often than that is never missing.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)


class Sketch(Generic[K]):
    __slots__ = ("_most", "counts", "error")

    def __init__(self, most: int) -> None:
        self._most = most
        self.counts: dict[K, int] = {}
        self.error = 0

    def add(self, key: K, number: int) -> None:
        counts = self.counts
        counts[key] = counts.get(key, 0) + number
        if len(counts) > self._most:
            median = sorted(counts.values())[len(counts) // 2]
            self.error += median
            self.counts = {key: count - median for key, count in counts.items() if count > median}


class Heavy(NamedTuple, Generic[K]):
    """It came at least `number` times, at most `error` more."""

    key: K
    number: int
    error: int


class Window(Generic[K]):
    """A sketch for each of the last `slices` pieces of time, `seconds` long each. Times are monotonic seconds."""

    def __init__(self, most: int, slices: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._sketches: deque[tuple[int, Sketch[K]]] = deque(maxlen=slices)  # with the number of their time

    def add(self, key: K, number: int, now: float) -> None:
        this = int(now // self._seconds)
        if not self._sketches or self._sketches[-1][0] != this:
            self._sketches.append((this, Sketch(self._most)))
        self._sketches[-1][1].add(key, number)

    def top(self, limit: int, slices: int, now: float) -> list[Heavy[K]]:
        """The most first, of the last `slices` pieces of time, that which runs included."""
        first = int(now // self._seconds) - slices + 1
        total, error = Counter[K](), 0
        for at, sketch in self._sketches:
            if at >= first:
                total.update(sketch.counts)
                error += sketch.error
        return [Heavy(key, count, error) for key, count in total.most_common(limit)]
