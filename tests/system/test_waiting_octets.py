"""The budget of octets that wait: whose connections are closed when it is spent."""

from __future__ import annotations

from discovery.system.waiting_octets import BEAT_SECONDS, WaitingOctets

NEVER = float("-inf")


class Reader:
    def __init__(self, prefix: str, beat_at: float = NEVER) -> None:
        self.prefix = prefix
        self.beat_at = beat_at
        self.is_closed = False

    def make_way(self) -> None:
        self.is_closed = True


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_of_the_prefix_that_holds_most_the_largest_is_closed_which_has_read_nothing_longest() -> None:
    clock = Clock()
    waiting = WaitingOctets(100, clock)
    reads, stalls, small, alone = Reader("a"), Reader("a"), Reader("a"), Reader("b")
    for reader, octets in ((reads, 40), (stalls, 30), (small, 10), (alone, 20)):
        waiting.hold(reader, reader.prefix, octets)
    clock.now += 1
    waiting.hold(reads, reads.prefix, 30)
    assert len(waiting) == 90
    waiting.hold(alone, alone.prefix, 35)
    assert [each.is_closed for each in (reads, stalls, small, alone)] == [False, True, False, False]
    assert (len(waiting), waiting.closed) == (75, 1)


def test_whoever_has_beaten_lately_is_never_closed_and_nobody_is_searched_for_in_vain() -> None:
    clock = Clock()
    waiting = WaitingOctets(100, clock)
    beats, other = Reader("a", clock.now), Reader("b")
    waiting.hold(beats, beats.prefix, 95)
    waiting.hold(other, other.prefix, 10)
    assert (beats.is_closed, other.is_closed) == (False, True)
    waiting.hold(beats, beats.prefix, 200)
    clock.now += BEAT_SECONDS + 1
    before = beats.is_closed
    waiting.hold(beats, beats.prefix, 201)
    assert (before, beats.is_closed, len(waiting)) == (False, True, 0)


def test_what_is_shared_counts_too() -> None:
    waiting = WaitingOctets(100, Clock())
    waiting.shared = 80
    reader = Reader("a")
    waiting.hold(reader, reader.prefix, 30)
    assert reader.is_closed


def test_whose_was_closed_last_is_known() -> None:
    waiting = WaitingOctets(1, Clock())
    for prefix in ("10.0.0.0/24", "10.0.1.0/24"):
        waiting.hold(Reader(prefix), prefix, 5000)
    assert (waiting.closed, waiting.last_closed) == (2, "10.0.1.0/24")
