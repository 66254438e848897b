"""Monotonic readings as people's times."""

from __future__ import annotations

import pytest

from discovery.rest.api.times import Times, iso
from tests.rest.harness import Clock, time_of


@pytest.mark.parametrize(
    ("wall", "text"),
    [(0.0, "1970-01-01T00:00:00.000Z"), (1769860800.25, "2026-01-31T12:00:00.250Z"), (1e9, "2001-09-09T01:46:40.000Z")],
)
def test_a_time_is_iso_8601_in_utc_with_z(wall: float, text: str) -> None:
    assert iso(wall) == text
    assert time_of(text).timestamp() == wall


def test_a_reading_is_shown_as_the_same_time_however_often_it_is_asked_for() -> None:
    clock = Clock()
    times = Times(clock, clock.wall)
    then = clock.now
    shown = times.of(then)
    for jitter in (0.001, -0.001, 0.02, -0.02):
        clock.ahead += jitter
        clock.now += 1
        assert times.of(then) == shown


def test_when_the_wall_clock_is_set_what_is_shown_follows() -> None:
    clock = Clock()
    times = Times(clock, clock.wall)
    before = time_of(times.of(clock.now))
    clock.ahead += 3600
    assert (time_of(times.of(clock.now)) - before).total_seconds() == 3600
    assert times.now() == times.of(clock.now)


def test_a_pause_moves_no_time_that_lies_before_it() -> None:
    clock = Clock()
    times = Times(clock, clock.wall, paused_since=lambda reading: 30.0 if reading < 6000.0 <= clock.now else 0.0)
    before = times.of(5000.0)
    clock.now, clock.ahead = 6000.0, clock.ahead + 30
    assert times.of(5000.0) == before
    assert time_of(times.of(6000.0)).timestamp() == clock.wall()
