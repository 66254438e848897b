"""The collector's tuning: what commits make is looked at a little at a time, however long the log has been full."""

from __future__ import annotations

import gc

from discovery.cli.gc_tuning import EventCollector
from discovery.core.event import Commit
from discovery.store.log import Log
from tests.store.making import START, a_registry, spec

# Objects of one turn that are still young, far below the 15,000 of `_MIDDLE` collections.
MOST_YOUNG = 10_000


def test_while_the_log_drops_as_much_as_comes_the_young_stay_few() -> None:
    registry = a_registry(log=Log(max_events=1_000))
    sizes = []

    def look(commit: Commit) -> None:
        if commit.index % 100 == 0:
            sizes.append(len(gc.get_objects(0)) + len(gc.get_objects(1)))

    registry.followers += [EventCollector().follow_commit, look]
    enabled = gc.isenabled()
    gc.disable()  # what the follower does is enough by itself
    gc.collect()
    try:
        for number in range(6_000):
            registry.register(spec(name=f"s{number % 500}", metadata={"number": number}), START)
    finally:
        if enabled:
            gc.enable()
    assert len(sizes) == 60
    assert max(sizes) < MOST_YOUNG
