"""How old what this node knows is: DNS, HTTP, metrics, warnings and refusals go by this one account.

The node puts a batch of its own in etcd once a flush. One that comes back proves that all is known here which happened before it was
sent. Not all before it came back: where etcd takes 30 s for it, that is old.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

# Batches that may be missing. One may be late for a garbage collection, two for an election of etcd's.
FLUSHES = 3
# Own batches whose echo is awaited; one that comes later than so many others says nothing new.
_MOST_UNDER_WAY = 16


class Sent(NamedTuple):
    """When a batch was sent, by `running` and by the registry's clock."""

    running: float
    at: float


class Staleness:
    """`flush()`: seconds between two batches. `running`: monotonic seconds that go on while the process stands still."""

    def __init__(self, flush: Callable[[], float], running: Callable[[], float] = time.monotonic) -> None:
        self._flush = flush
        self.running = running
        self.known_until = float("-inf")  # by `running`
        self._under_way: dict[float, Sent] = {}  # own batches, by the time that they carry

    def sends(self, carries: float, at: float) -> None:
        """A batch, now. `carries`: what it will be known by. `at`: by the registry's clock."""
        self._under_way[carries] = Sent(self.running(), at)
        if len(self._under_way) > _MOST_UNDER_WAY:
            del self._under_way[next(iter(self._under_way))]

    def came_back(self, carried: float) -> tuple[Sent, float] | None:
        """When it was sent, and for how many seconds nothing was known until then; None when that says nothing new."""
        sent = self._under_way.pop(carried, None)
        if sent is None or sent.running <= self.known_until:
            return None
        before, self.known_until = self.known_until, sent.running
        return sent, sent.running - before

    def read_all(self, started: float) -> None:
        """Everything has been read, from that moment on, by `running`."""
        self.known_until = max(self.known_until, started)

    @property
    def limit(self) -> float:
        """Seconds."""
        return FLUSHES * self._flush()

    @property
    def lag(self) -> float:
        """Seconds, also those in which this process stood still; a million when nothing is known."""
        return min(self.running() - self.known_until, 1e6)

    @property
    def fresh(self) -> bool:
        return self.running() - self.known_until < self.limit

    def seconds(self) -> int:
        """Whole ones, from 1 on; 0 while it is fresh."""
        return 0 if self.fresh else max(1, int(self.lag))
