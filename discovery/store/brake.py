"""The brake on mass expiry: when a large part of a service falls silent at once, the network between is the likelier cause than
all of them, so they are suspects, served behind the healthy ones, for a while.

It engages when the lease of one runs out and more than `percent` of its service, at least three, have fallen silent within one
timeout, or a fifth of all instances have. It lets go of each as soon as it beats; of the rest after `max_seconds`, in a random
order, a fifth of them a sweep.
"""

from __future__ import annotations

import math
from random import Random

# A service of one or two has no crowd to tell its neighbours' silence from its own.
MIN_SILENT = 3
# Of all instances, whatever their service.
OF_ALL_PERCENT = 20.0
# Of a service's suspects, for one sweep: all are let go within five.
LET_GO_SHARE = 0.2


class Hold:
    """Of one service, from the first suspect to the last. Monotonic seconds."""

    __slots__ = ("allowance", "most", "suspects", "sweep", "until")

    def __init__(self, until: float) -> None:
        self.until = until
        self.suspects = 0
        self.most = 0  # suspects at a time
        self.sweep = -1
        self.allowance = 0

    def add(self) -> None:
        self.suspects += 1
        self.most = max(self.most, self.suspects)


class Brake:
    """`percent` 0: never. `max_seconds`: how long suspects are believed. `sweep`: seconds between two rounds of letting go.

    `timeout`: the usual lease, seconds, over which the silent ones of all services are counted.
    """

    def __init__(self, percent: float, max_seconds: float, sweep: float, timeout: float, random: Random) -> None:
        self.percent = percent
        self.max_seconds = max_seconds
        self._sweep = sweep
        self._timeout = timeout
        self._random = random
        self._lapses: dict[str, float] = {}  # id → when, of all services; in that order, and no older than the timeout

    def counts(self, id: str, now: float) -> None:
        """The lease of an instance has run out, whatever becomes of it."""
        self._lapses.pop(id, None)
        self._lapses[id] = now
        while self._lapses[first := next(iter(self._lapses))] <= now - self._timeout:
            del self._lapses[first]

    def forgets(self, id: str) -> None:
        """It beats again."""
        self._lapses.pop(id, None)

    def engages(self, silent: int, instances: int, everywhere: int) -> bool:
        """Whether so many `silent` ones of a service's `instances`, with `everywhere` as many in all services, are too many."""
        if self.percent == 0 or instances < MIN_SILENT:
            return False
        return self.engages_everywhere(everywhere) or (silent >= MIN_SILENT and silent * 100 > self.percent * instances)

    def engages_everywhere(self, instances: int) -> bool:
        """Whether so many of all `instances` have fallen silent that any more are too many, whatever their service."""
        lapses = len(self._lapses)
        return lapses >= MIN_SILENT and lapses * 100 > OF_ALL_PERCENT * instances

    def hold(self, now: float) -> Hold:
        return Hold(now + self.max_seconds)

    def asks_again(self, hold: Hold, now: float) -> float | None:
        """When to ask again about one of its suspects; None: it is let go now."""
        if now < hold.until:
            return hold.until + self._spread()
        sweep = math.floor((now - hold.until) / self._sweep)
        if sweep > hold.sweep:
            hold.sweep = sweep
            hold.allowance = max(1, math.ceil(hold.most * LET_GO_SHARE))
        if hold.allowance > 0:
            hold.allowance -= 1
            return None
        return hold.until + (sweep + 1) * self._sweep + self._spread()

    def _spread(self) -> float:
        """Somewhere in the first hundredth of a sweep: that is the random order."""
        return self._random.random() * self._sweep / 100
