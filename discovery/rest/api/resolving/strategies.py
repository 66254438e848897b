"""In which order /resolve gives the instances that are served. Suspects always come behind the healthy ones.

latest        by the latest heartbeat; the default
random        shuffled
weighted      drawn by `priority` and `weight`, as SRV records are in DNS
round_robin   in the order of registration, beginning behind those that the same question got last
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping
from itertools import groupby
from random import Random

from discovery.core.draw import draw
from discovery.store.service import Entry

# Questions whose turn is kept, 200 octets each; that which was asked longest ago makes way, and begins anywhere when it comes again.
MAX_TURNS = 4096

LATEST = "latest"
ROUND_ROBIN = "round_robin"


class Strategies:
    def __init__(self, random: Random) -> None:
        self._random = random
        self._turns: OrderedDict[Hashable, int] = OrderedDict()
        self._orders: Mapping[str, Callable[[list[Entry]], list[Entry]]] = {
            LATEST: _latest,
            "random": self._shuffled,
            "weighted": self._drawn,
        }

    def order(
        self,
        strategy: str,
        found: list[Entry],
        question: Hashable,
        limit: int | None,
        now: float,
        behind: Collection[int] = (),
    ) -> list[Entry]:
        """At most `limit` of them (None: all), by one of STRATEGIES. `found`: healthy ones, those `behind` (by identity) last, then
        suspects, at `now`. `question`: whose turn it is.
        """
        ordered: list[Entry] = []
        for place, group in groupby(found, lambda entry: (entry.rank(now), id(entry) in behind)):
            entries = list(group)
            if strategy != ROUND_ROBIN:
                ordered += self._orders[strategy](entries)
            else:
                ordered += self._turned(entries, question, limit or 1) if place == (0, False) else entries
        return ordered[:limit]

    def _shuffled(self, entries: list[Entry]) -> list[Entry]:
        self._random.shuffle(entries)
        return entries

    def _drawn(self, entries: list[Entry]) -> list[Entry]:
        ranks = [(entry.instance.spec.priority, entry.instance.weight) for entry in entries]
        return [entries[place] for place in draw(ranks, self._random)]

    def _turned(self, entries: list[Entry], question: Hashable, given: int) -> list[Entry]:
        if not entries:
            return entries
        turn = self._turns.pop(question, None)
        start = (self._random.randrange(len(entries)) if turn is None else turn) % len(entries)
        self._turns[question] = start + min(given, len(entries))
        if len(self._turns) > MAX_TURNS:
            self._turns.popitem(last=False)
        return entries[start:] + entries[:start]


STRATEGIES = (LATEST, "random", "weighted", ROUND_ROBIN)


def _latest(entries: list[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: -entry.lease.renewed_at)
