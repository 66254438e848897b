"""How old what a node knows is: as old as the latest of its own batches that has come back, counted from when that was sent."""

from __future__ import annotations

from discovery.engines.etcd.peers import Staleness


def test_it_counts_from_when_the_batch_was_sent_that_came_back_last() -> None:
    now = [0.0]
    staleness = Staleness(lambda: 1.0, lambda: now[0])
    assert (staleness.fresh, staleness.lag) == (False, 1e6)
    staleness.read_all(0.0)
    assert (staleness.fresh, staleness.seconds()) == (True, 0)
    staleness.sends(1000.0, at=5.0)
    now[0] = 2.0
    staleness.sends(1001.0, at=7.0)
    now[0] = 30.0
    assert (staleness.fresh, staleness.seconds()) == (False, 30)
    found = staleness.came_back(1001.0)
    assert found is not None
    assert (found[0].at, found[1], staleness.seconds()) == (7.0, 2.0, 28)
    assert staleness.came_back(1000.0) is None, "older than what is known"
    assert staleness.came_back(1001.0) is None, "told twice"
    assert staleness.came_back(999.0) is None, "of somebody else, or from before a start"


def test_it_is_stale_from_the_third_flush_on_and_by_whole_seconds_from_one() -> None:
    now = [0.0]
    staleness = Staleness(lambda: 0.1, lambda: now[0])
    staleness.read_all(0.0)
    seen = []
    for at in (0.29, 0.31, 0.9, 1.9, 2.0):
        now[0] = at
        seen.append(staleness.seconds())
    assert seen == [0, 1, 1, 1, 2]


def test_of_batches_that_never_come_back_few_are_remembered() -> None:
    staleness = Staleness(lambda: 1.0, lambda: 5.0)
    for number in range(1000):
        staleness.sends(float(number), at=0.0)
    assert staleness.came_back(0.0) is None
    assert staleness.came_back(999.0) is not None
