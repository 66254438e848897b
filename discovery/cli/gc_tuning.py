"""The garbage collector, tuned for a large table that lives long.

A full collection looks at every object: with 100,000 instances it stops everything for 100 ms, and nothing of the table is ever
cyclic garbage. So only the young are collected; what survives two rounds is taken out of the collector's sight (`gc.freeze`,
which costs nothing). It is freed all the same when the last reference goes. What makes cycles here, the frames of raised errors,
dies young.
"""

from __future__ import annotations

import gc

from discovery.core.event import Commit

# Allocations between collections of the youngest; of those, between collections of the middle ones, which see at most 15,000
# objects and take about 3 ms. Full collections: never.
_YOUNGEST, _MIDDLE, _FULL = 5_000, 2, 1_000_000


# Events between two collections of the youngest, half a millisecond each; with 250, those of the middle ones took up to 8 ms. Where the
# log drops as many old objects as a commit makes new ones, the collector, which counts the difference, would wait for 100,000 of them
# and then take 50 ms.
_EVENTS = 100


def tune() -> None:
    gc.freeze()  # without a collection before: that looks at all that was imported, 30 ms, and finds next to nothing
    gc.enable()
    gc.set_threshold(_YOUNGEST, _MIDDLE, _FULL)
    gc.callbacks.append(_freeze_survivors)


def _freeze_survivors(phase: str, info: dict[str, int]) -> None:
    if phase == "stop" and info["generation"] == 1:
        gc.freeze()


class EventCollector:
    """A follower that collects the youngest objects after so many events."""

    def __init__(self) -> None:
        self._events = 0

    def follow_commit(self, commit: Commit) -> None:
        self._events += len(commit.events)
        if self._events >= _EVENTS:
            self._events = 0
            gc.collect(1 if gc.get_count()[1] > _MIDDLE else 0)
