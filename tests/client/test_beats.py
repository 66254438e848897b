"""When the next heartbeat is due, and what follows from an answer. Time is a parameter."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from discovery.client.beats import DEFAULT_INTERVAL, FIRST_PAUSE, Beats


def latest(low: float, high: float) -> float:
    return high


def test_it_speaks_at_once_and_then_as_often_as_the_server_wants() -> None:
    beats = Beats(latest, 50.0)
    assert (beats.registered, beats.due) == (False, 50.0)
    beats.accepted(51.0, 3.3)
    assert (beats.registered, beats.due) == (True, 54.3)


@given(st.floats(0.1, 3600), st.randoms())
def test_a_beat_is_never_later_than_advised_nor_much_earlier(interval: float, random: object) -> None:
    beats = Beats(random.uniform, 0.0)  # type: ignore[attr-defined]
    beats.accepted(0.0, interval)
    assert 0.9 * interval <= beats.due <= interval * 1.0001


def test_after_a_failure_it_is_soon_tried_again_and_then_more_slowly_but_never_rarer_than_beats() -> None:
    beats = Beats(latest, 0.0)
    beats.accepted(0.0, 1.0)
    pauses = []
    for _ in range(5):
        beats.failed(10.0)
        pauses.append(beats.due - 10.0)
    assert pauses == [0.25, 0.5, 1.0, 1.0, 1.0]
    beats.accepted(20.0, 1.0)
    beats.failed(21.0)
    assert beats.due == 21.0 + FIRST_PAUSE


def test_what_the_server_asks_to_wait_is_waited() -> None:
    beats = Beats(latest, 0.0)
    beats.failed(10.0, after=60.0)
    assert beats.due == 70.0


def test_one_that_is_forgotten_registers_at_once_or_when_the_server_takes_it() -> None:
    beats = Beats(latest, 0.0)
    beats.accepted(0.0, DEFAULT_INTERVAL)
    beats.forgotten(3.0, None)
    assert (beats.registered, beats.due) == (False, 3.0)
    beats.forgotten(3.0, 7.0)
    assert beats.due == 10.0
