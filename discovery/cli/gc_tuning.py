"""The garbage collector, tuned for a large table that lives long.

A full collection looks at every object: with 100,000 instances it stops everything for 100 ms, and nothing of the table is ever
cyclic garbage. So only the young are collected; what survives two rounds is taken out of the collector's sight (`gc.freeze`,
which costs nothing). It is freed all the same when the last reference goes. What makes cycles here, the frames of raised errors,
dies young.
"""

from __future__ import annotations

import gc

# Allocations between collections of the youngest; of those, between collections of the middle ones, which see at most 15,000
# objects and take about 3 ms. Full collections: never.
_YOUNGEST, _MIDDLE, _FULL = 5_000, 2, 1_000_000


def tune() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNGEST, _MIDDLE, _FULL)
    gc.callbacks.append(_freeze_survivors)


def _freeze_survivors(phase: str, info: dict[str, int]) -> None:
    if phase == "stop" and info["generation"] == 1:
        gc.freeze()
