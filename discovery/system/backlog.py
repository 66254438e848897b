"""Items that wait to be written to a file, numbered in the order in which they were put. Pure: `BackgroundWriter` does the writing.

An item stays here until it is written: what could not be written is simply taken again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Generic, TypeVar

# Items and octets of one write. Large groups gain nothing more, and a crash loses a smaller part of what was being written.
MAX_GROUP_ITEMS = 10_000
MAX_GROUP_OCTETS = 4 * 1024 * 1024

# Seconds to the first try after a failure, and between later ones; each wait is twice the one before.
FIRST_RETRY, LAST_RETRY = 0.25, 2.0

T = TypeVar("T")


class Backlog(Generic[T]):
    """`added` and `done` are the numbers of the last item put and of the last one written; the first item has number 1.

    `octets` is the size of all that waits, as its callers stated it.
    """

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._sizes: deque[int] = deque()
        self.added = 0
        self.done = 0
        self.octets = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T, octets: int) -> int:
        """The item's number."""
        self._items.append(item)
        self._sizes.append(octets)
        self.octets += octets
        self.added += 1
        return self.added

    def group(self) -> Sequence[T]:
        """The oldest items, as many as one write may have and at least one. They stay until `wrote`."""
        count, octets = 0, 0
        for size in islice(self._sizes, MAX_GROUP_ITEMS):
            octets += size
            if count and octets > MAX_GROUP_OCTETS:
                break
            count += 1
        return list(islice(self._items, count))

    def wrote(self, count: int) -> None:
        """The oldest `count` items are in the file."""
        for _ in range(count):
            self._items.popleft()
            self.octets -= self._sizes.popleft()
        self.done += count


def retry_after(failures: int) -> float:
    """Seconds to wait after so many failures in a row, 1 or more."""
    return min(FIRST_RETRY * 2.0 ** min(failures - 1, 16), LAST_RETRY)
