"""The queue of deadlines: a heap of (deadline, counter, entry) with lazy deletion.

A heartbeat never touches it: an entry whose lease was renewed is put off when its old deadline comes up. An entry that
needs an earlier deadline is pushed a second time; `entry.due` tells the valid row from the stale one.
"""

from __future__ import annotations

import heapq
from itertools import count

from discovery.store.service import Entry

# Stale rows may outnumber the valid ones before the heap is rebuilt: keeps the queue within three times the table.
_STALE_PER_VALID = 2
_STALE_FLOOR = 1024
# Stale rows that one call drops, 1 µs each.
_STALE_AT_ONCE = 64


class Deadlines:
    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Entry]] = []
        self._counter = count()  # breaks ties, so that entries are never compared
        self._valid = 0

    def __len__(self) -> int:
        return self._valid

    @property
    def next(self) -> float | None:
        """The earliest deadline, or a time before it; None when nothing waits."""
        self._drop_stale_head()
        return self._heap[0][0] if self._heap else None

    def push(self, entry: Entry, deadline: float) -> None:
        """Wake for `entry` at `deadline`, or earlier if it is already due earlier."""
        if entry.due is not None:
            if entry.due <= deadline:
                return
        else:
            self._valid += 1
        entry.due = deadline
        heapq.heappush(self._heap, (deadline, next(self._counter), entry))
        if len(self._heap) > _STALE_PER_VALID * self._valid + _STALE_FLOOR:
            self._rebuild()

    def peek(self, now: float) -> Entry | None:
        """The next entry whose deadline is `now` or earlier; it waits on until it is put off or discarded."""
        self._drop_stale_head()
        if not self._heap or self._heap[0][0] > now or self._heap[0][2].due != self._heap[0][0]:
            return None
        return self._heap[0][2]

    def put_off(self, entry: Entry, deadline: float) -> None:
        """Its deadline has come and was dealt with: wake for it at `deadline`."""
        heap = self._heap
        if heap and heap[0][2] is entry and heap[0][0] == entry.due:  # nearly always; leaves no stale row
            entry.due = deadline
            heapq.heapreplace(heap, (deadline, next(self._counter), entry))
        else:
            self.discard(entry)
            self.push(entry, deadline)

    def discard(self, entry: Entry) -> None:
        if entry.due is not None:
            entry.due = None
            self._valid -= 1

    def _drop_stale_head(self) -> None:
        """Some of them: after a mass removal they come by the ten thousand."""
        heap = self._heap
        for _ in range(_STALE_AT_ONCE):
            if not heap or heap[0][2].due == heap[0][0]:
                return
            heapq.heappop(heap)

    def _rebuild(self) -> None:
        self._heap = [row for row in self._heap if row[2].due == row[0]]
        heapq.heapify(self._heap)
