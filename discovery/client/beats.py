"""When a service speaks next, and what it says: registers, or beats. Pure; seconds of any one clock."""

from __future__ import annotations

from collections.abc import Callable

# Seconds after the first failure; doubled with each, until it is as long as between two beats.
FIRST_PAUSE = 0.25
# Until a server has said how often it wants to be told: a third of its usual timeout.
DEFAULT_INTERVAL = 3.0
# What a server may ask for: of the shortest and the longest lease, with room.
MIN_INTERVAL, MAX_INTERVAL = 0.1, 3600.0


class Beats:
    """`uniform(a, b)`: a number between them, by chance.

    >>> beats = Beats(uniform=lambda a, b: b, now=100.0)
    >>> beats.registered, beats.due
    (False, 100.0)
    >>> beats.accepted(100.0, interval=3.5)
    >>> beats.registered, beats.due
    (True, 103.5)
    """

    def __init__(self, uniform: Callable[[float, float], float], now: float) -> None:
        self._uniform = uniform
        self._pause = FIRST_PAUSE
        self.interval = DEFAULT_INTERVAL
        self.registered = False  # as far as this side knows
        self.due = now

    def accepted(self, now: float, interval: float) -> None:
        """The server knows it and wants to be told again in `interval` seconds: a little earlier, so that a fleet does not beat in step."""
        self.registered, self._pause = True, FIRST_PAUSE
        self.interval = interval
        self.due = now + self._uniform(0.9, 1.0) * interval

    def forgotten(self, now: float, after: float | None) -> None:
        """The server does not know it. `after`: seconds in which it would not take it back."""
        self.registered = False
        self.due = now + (after or 0.0)

    def failed(self, now: float, after: float | None = None) -> None:
        """No answer, or a refusal that may pass. `after`: seconds that the server asked to wait."""
        pause = min(self._pause, self.interval)
        self._pause = pause * 2
        self.due = now + max(after or 0.0, self._uniform(0.5, 1.0) * pause)
