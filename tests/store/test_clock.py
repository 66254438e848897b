"""The clock of leases: it goes as its source does, and stands still while the process did."""

from __future__ import annotations

import logging

import pytest

from discovery.store.clock import LATE, TICK, Clock
from tests.store.making import ALL, START, TTL, a_registry, crowd, ports

# The next tick is due after TICK; later than this after the last one is a pause.
PATIENCE = TICK + LATE


class Source:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Story:
    def __init__(self) -> None:
        self.source = Source()
        self.clock = Clock(self.source)
        self.pauses: list[tuple[float, float]] = []
        self.clock.on_pause = lambda seconds, now: self.pauses.append((seconds, now))

    def run(self, seconds: float) -> None:
        """A process that runs."""
        for _ in range(round(seconds / TICK)):
            self.source.now += TICK
            self.clock.tick()

    def stop(self, seconds: float) -> None:
        """It stands still; nobody ticks."""
        self.source.now += seconds


def test_before_the_first_tick_it_is_its_source() -> None:
    story = Story()
    story.stop(1000)
    assert (story.clock(), story.clock.paused, story.pauses) == (START + 1000, 0.0, [])


def test_while_the_process_runs_it_is_its_source() -> None:
    story = Story()
    story.clock.tick()
    story.run(60)
    assert (story.clock(), story.clock.paused, story.pauses) == (START + 60, 0.0, [])


@pytest.mark.parametrize("reader", ["tick", "call"])
def test_a_pause_is_left_out_whoever_notices_first(reader: str) -> None:
    story = Story()
    story.clock.tick()
    story.run(10)
    story.stop(30 + TICK)
    if reader == "tick":
        story.clock.tick()
    assert story.clock() == START + 10 + TICK
    assert story.clock.paused == 30
    assert story.pauses == [(30, START + 10 + TICK)]
    story.run(5)
    assert story.clock() == START + 15 + TICK
    assert len(story.pauses) == 1


def test_a_busy_loop_is_no_pause() -> None:
    story = Story()
    story.clock.tick()
    for _ in range(10):
        story.stop(PATIENCE)
        assert story.clock() == story.source.now
        story.clock.tick()
    assert (story.clock.paused, story.pauses) == (0.0, [])


def test_the_least_pause_is_the_one_that_is_longer_than_that() -> None:
    story = Story()
    story.clock.tick()
    story.stop(PATIENCE + 0.125)
    assert story.clock() == START + TICK
    assert story.pauses == [(LATE + 0.125, START + TICK)]


def test_pauses_add_up_and_time_never_goes_back() -> None:
    story = Story()
    story.clock.tick()
    last = story.clock()
    for seconds in (2, 5, 100, 3):
        story.stop(seconds + TICK)
        for _ in range(3):
            assert story.clock() >= last
            last = story.clock()
        story.run(1)
    assert story.clock.paused == sum(seconds for seconds, _ in story.pauses) == 110


def test_whoever_is_told_of_the_pause_may_read_the_clock() -> None:
    story = Story()
    read: list[float] = []
    story.clock.on_pause = lambda seconds, now: read.append(story.clock() - now)
    story.clock.tick()
    story.stop(60)
    story.clock()
    assert read == [0.0]


def test_a_pause_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    story = Story()
    story.clock.tick()
    story.stop(42 + TICK)
    story.clock()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "42.0 s" in record.getMessage()


async def test_it_ticks_by_itself_from_start_to_stop() -> None:
    clock = Clock()
    before = clock()
    clock.start()
    clock.stop()
    clock.stop()
    assert clock() >= before


def test_a_pause_longer_than_a_lease_costs_nobody_his_lease() -> None:
    story = Story()
    registry = a_registry()
    story.clock.on_pause = registry.resume
    story.clock.tick()
    crowd(registry, 3, now=story.clock())
    story.run(8)
    story.stop(60)
    now = story.clock()
    registry.advance(now, ALL)
    assert ports(registry, now) == [1, 2, 3]
    assert [entry.lease.left(now) for entry in registry] == [TTL] * 3


@pytest.mark.parametrize(("pause", "left"), [(3.25, 2.0), (3.375, 10.0)])
def test_only_a_pause_of_a_third_of_a_lease_may_have_swallowed_a_heartbeat(pause: float, left: float) -> None:
    registry = a_registry()
    (entry,) = crowd(registry, 1)
    registry.resume(pause, START + 8)
    assert entry.lease.left(START + 8) == left


def test_a_pause_brings_nobody_back() -> None:
    registry = a_registry()
    (entry,) = crowd(registry, 1)
    registry.resume(60.0, START + TTL)
    assert entry.lease.left(START + TTL) == 0


def test_once_stopped_it_takes_nothing_for_a_pause() -> None:
    story = Story()
    story.clock.tick()
    story.clock.stop()
    story.stop(5)
    assert (story.clock(), story.pauses) == (START + 5, [])


def test_what_it_showed_before_a_pause_was_so_much_longer_ago() -> None:
    story = Story()
    story.run(10)
    before = story.clock()
    story.stop(60)
    after = story.clock()
    story.run(10)
    between = story.clock()
    story.stop(30)
    story.clock()
    assert story.clock.paused == pytest.approx(90, abs=2 * TICK)
    assert story.clock.paused_since(story.clock()) == 0
    assert story.clock.paused_since(between) == pytest.approx(30, abs=TICK)
    assert story.clock.paused_since(after) == pytest.approx(30, abs=TICK)
    assert story.clock.paused_since(before) == story.clock.paused
