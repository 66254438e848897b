"""What waits to be written: numbers, groups that stay until they are written, and bounds."""

from __future__ import annotations

import pytest

from discovery.system import backlog as backlogs
from discovery.system.backlog import FIRST_RETRY, LAST_RETRY, Backlog, retry_after


def of(*sizes: int) -> Backlog[int]:
    """Items 0, 1, 2 … of these sizes."""
    backlog = Backlog[int]()
    for item, size in enumerate(sizes):
        assert backlog.put(item, size) == item + 1
    return backlog


def test_a_group_stays_until_it_is_written() -> None:
    backlog = of(10, 20, 30)
    assert backlog.group() == [0, 1, 2]
    backlog.put(3, 40)
    assert backlog.group() == [0, 1, 2, 3], "taken again, with what came meanwhile"
    assert (len(backlog), backlog.octets, backlog.done) == (4, 100, 0)
    backlog.wrote(3)
    assert (backlog.group(), len(backlog), backlog.octets) == ([3], 1, 40)
    assert (backlog.added, backlog.done) == (4, 3)


def test_a_part_of_a_group_may_be_written() -> None:
    backlog = of(1, 1, 1)
    backlog.wrote(2)
    assert (backlog.group(), backlog.done) == ([2], 2)
    backlog.wrote(0)
    assert (backlog.group(), backlog.done) == ([2], 2)


def test_a_group_has_at_most_so_many_items_and_octets_and_at_least_one_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlogs, "MAX_GROUP_ITEMS", 3)
    monkeypatch.setattr(backlogs, "MAX_GROUP_OCTETS", 100)
    assert of(0, 0, 0, 0).group() == [0, 1, 2]
    assert of(50, 50, 1).group() == [0, 1]
    assert of(60, 60).group() == [0]
    assert of(500, 1).group() == [0]
    assert of().group() == []


def test_the_wait_after_a_failure_doubles_up_to_a_limit() -> None:
    waits = [retry_after(failures) for failures in range(1, 100)]
    assert waits[:4] == [FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY, LAST_RETRY]
    assert set(waits[4:]) == {LAST_RETRY}
