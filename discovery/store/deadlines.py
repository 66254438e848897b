"""The queue of deadlines: a heap of (deadline, counter, entry) with lazy deletion.

A heartbeat never touches it: an entry whose lease was renewed is put off when its old deadline comes up. An entry that
needs an earlier deadline is pushed a second time; `entry.due` tells the valid row from the stale one.
"""

from __future__ import annotations

import heapq
from itertools import count

from discovery.store.service import Entry

# Stale rows may outnumber the valid ones before all are looked through: keeps the queue within a few times the table.
_STALE_PER_VALID = 2
_STALE_FLOOR = 1024
# Rows that one call looks through, 1 µs each.
_STALE_AT_ONCE = 64

_Row = tuple[float, int, Entry]


class Deadlines:
    def __init__(self) -> None:
        self._heap: list[_Row] = []
        self._rest: list[_Row] = []  # a heap too, to be looked through for what is valid
        self._counter = count()  # breaks ties, so that entries are never compared
        self._valid = 0

    def __len__(self) -> int:
        return self._valid

    @property
    def next(self) -> float | None:
        """The earliest deadline, or a time before it; None when nothing waits."""
        if self._find_first():
            return self._heap[0][0]
        return min((heap[0][0] for heap in (self._heap, self._rest) if heap), default=None)

    def push(self, entry: Entry, deadline: float) -> None:
        """Wake for `entry` at `deadline`, or earlier if it is already due earlier."""
        if entry.due is not None:
            if entry.due <= deadline:
                return
        else:
            self._valid += 1
        entry.due = deadline
        heapq.heappush(self._heap, (deadline, next(self._counter), entry))
        if self._rest:
            self._look_through()
        elif len(self._heap) > _STALE_PER_VALID * self._valid + _STALE_FLOOR:
            self._heap, self._rest = [], self._heap

    def peek(self, now: float) -> Entry | None:
        """The next entry whose deadline is `now` or earlier; it waits on until it is put off or discarded. None: there is none, or stale
        rows come before it.
        """
        heap, rest = self._heap, self._rest
        if not heap or heap[0][0] > now or (rest and rest[0] < heap[0]):
            return None
        return heap[0][2] if _valid(heap[0]) else None

    def find_first(self, now: float) -> Entry | None:
        """As `peek`, when some of the stale rows are gone."""
        self._find_first()
        return self.peek(now)

    def put_off(self, entry: Entry, deadline: float) -> None:
        """Its deadline has come and was dealt with: wake for it at `deadline`."""
        heap = self._heap
        if heap and heap[0][2] is entry and heap[0][0] == entry.due:  # nearly always; leaves no stale row
            entry.due = deadline
            heapq.heapreplace(heap, (deadline, next(self._counter), entry))
        else:
            self.discard(entry)
            self.push(entry, deadline)

    def discard(self, entry: Entry, its_turn: bool = False) -> None:
        """`its_turn`: it is the one that is due, so that the next may follow at once."""
        if entry.due is not None:
            if its_turn and self._heap and self._heap[0][2] is entry:
                heapq.heappop(self._heap)
            entry.due = None
            self._valid -= 1

    def _find_first(self) -> bool:
        """Whether the first row is that of the earliest deadline. It may take several calls: after a mass removal stale rows come by the
        ten thousand.
        """
        for _ in range(_STALE_AT_ONCE):
            heap, rest = self._heap, self._rest
            if rest and (not heap or rest[0] < heap[0]):
                self._keep(heapq.heappop(rest))
            elif not heap or _valid(heap[0]):
                return bool(heap)
            else:
                heapq.heappop(heap)
        return False

    def _look_through(self) -> None:
        """Some of the rows of a queue that had too many stale ones. Without its last row a heap is a heap."""
        for _ in range(min(_STALE_AT_ONCE, len(self._rest))):
            self._keep(self._rest.pop())

    def _keep(self, row: _Row) -> None:
        if _valid(row):
            heapq.heappush(self._heap, row)


def _valid(row: _Row) -> bool:
    return row[2].due == row[0]
