"""The brake on mass expiry: when a large part of a service falls silent at once, the network between is the likelier cause than
all of them, so they are suspects, served behind the healthy ones, for a while.

It engages when the lease of one runs out and more than `percent` of its service, at least three, have fallen silent within one
timeout, or a fifth of all instances have. It lets go of each as soon as it beats; of the rest after `max_seconds`, in a random
order, a fifth of them a sweep.
"""

from __future__ import annotations

import math
from itertools import takewhile
from random import Random

from discovery.store.chunked_dict import ChunkedDict

# A service of one or two has no crowd to tell its neighbours' silence from its own.
MIN_SILENT = 3
# Of all instances, whatever their service.
OF_ALL_PERCENT = 20.0
# Of a service's suspects, for one sweep: all are let go within five.
LET_GO_SHARE = 0.2
# Lapses of a mass expiry that were forgotten: to free 50,000 at once takes 20 ms.
_FREED_AT_ONCE = 100


class Hold:
    """The suspects of one service, from the first to the last. `since`: the first, epoch seconds. `until`: how long they are believed.
    `most`: of them at a time.

    Monotonic seconds. Rounds of letting go are counted from `until` on; `freed` in the latest one.
    """

    __slots__ = ("freed", "most", "round", "since", "suspects", "until")

    def __init__(self, since: float, until: float) -> None:
        self.since = since
        self.until = until
        self.suspects = 0
        self.most = 0
        self.round = -1
        self.freed = 0

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
        self.timeout = timeout
        self._random = random
        self._lapses = ChunkedDict[str, float]()  # id → when, of all services; in that order
        self._forgotten = ChunkedDict[str, float]()  # still to be freed

    # -- what apply tells it

    def lapsed(self, id: str, at: float) -> None:
        """The lease of an instance that was trusted has run out, whatever becomes of it."""
        if self.percent == 0:
            return
        self._forget_old(at)
        self._lapses.put(id, at)

    def came_back(self, id: str) -> None:
        """It beats again."""
        self._lapses.pop(id)

    def begin(self, at: float, wall: float) -> Hold:
        return Hold(wall, at + self.max_seconds)

    def let_go(self, hold: Hold, at: float) -> None:
        """Of one of its suspects."""
        this = self._round(hold, at)
        hold.freed = hold.freed + 1 if hold.round == this else 1
        hold.round = this

    # -- what decisions ask

    def lapses(self, id: str, now: float) -> int:
        """How many have fallen silent within one timeout, in all services, with the instance `id`."""
        until = now - self.timeout
        last = self._lapses.last()
        if last is None or last[1] <= until:
            return 1
        first = self._lapses.first()
        any_old = first is not None and first[1] <= until
        old = sum(1 for _ in takewhile(lambda lapse: lapse[1] <= until, self._lapses)) if any_old else 0
        return len(self._lapses) - old + ((self._lapses.get(id) or until) <= until)

    def engages(self, silent: int, instances: int, lapses: int, everywhere: int) -> bool:
        """Whether so many `silent` ones of a service's `instances`, with `lapses` of all `everywhere`, are too many."""
        if self.percent == 0 or instances < MIN_SILENT:
            return False
        return self.engages_everywhere(lapses, everywhere) or (
            silent >= MIN_SILENT and silent * 100 > self.percent * instances
        )

    def engages_everywhere(self, lapses: int, instances: int) -> bool:
        """Whether so many `lapses` among all `instances` are too many, whatever their service."""
        return lapses >= MIN_SILENT and lapses * 100 > OF_ALL_PERCENT * instances

    def asks_again(self, hold: Hold, now: float) -> float | None:
        """When to ask again about one of its suspects, but for `spread`; None: it is let go now."""
        if now < hold.until:
            return hold.until
        this = self._round(hold, now)
        freed = hold.freed if hold.round == this else 0
        if freed < max(1, math.ceil(hold.most * LET_GO_SHARE)):
            return None
        return hold.until + (this + 1) * self._sweep

    def _round(self, hold: Hold, now: float) -> int:
        return math.floor((now - hold.until) / self._sweep)

    def _forget_old(self, now: float) -> None:
        until = now - self.timeout
        while (first := self._lapses.first()) is not None and first[1] <= until:
            if (last := self._lapses.last()) is not None and last[1] <= until:
                self._forgotten, self._lapses = self._lapses, ChunkedDict()
            else:
                self._lapses.pop(first[0])
        for _ in range(_FREED_AT_ONCE):
            if (forgotten := self._forgotten.first()) is None:
                break
            self._forgotten.pop(forgotten[0])

    def spread(self) -> float:
        """Somewhere in the first hundredth of a sweep: that is the random order."""
        return self._random.random() * self._sweep / 100
