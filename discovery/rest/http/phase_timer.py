"""How long a client may take: for the head of a request, for its body, to read what it asked for (slowloris and its kin), and between
two requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, auto


class Phase(Enum):
    """What is being waited for."""

    IDLE = auto()  # the next request, or our own answer
    HEAD = auto()  # from the connection's beginning, or the head's first octet
    BODY = auto()
    READ = auto()  # the next octets of what it asked for
    READ_MUCH = auto()  # the same, of an answer that is kept for it alone and long


# nginx's are 60 each, Apache's 20 to 40 for a head. Clients beat every few seconds; Node keeps its side for 5 s, browsers for minutes.
SECONDS = {Phase.IDLE: 60.0, Phase.HEAD: 10.0, Phase.BODY: 30.0, Phase.READ: 31.0, Phase.READ_MUCH: 5.0}


class PhaseTimer:
    """`on_end(phase)` is called when the time for a `phase` is over."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_end: Callable[[Phase], None]) -> None:
        self._loop = loop
        self._on_end: Callable[[Phase], None] | None = on_end
        self.phase: Phase | None = None
        self._of = 0
        self._timer: asyncio.TimerHandle | None = None

    def wait_for(self, phase: Phase, of: int) -> bool:
        """False: it is the same phase `of` the same request, and the time runs on."""
        if phase is self.phase and of is self._of:
            return False
        self.phase, self._of = phase, of
        self.wait(SECONDS[phase])
        return True

    def wait(self, seconds: float) -> None:
        """So long from now on, for the same."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._end)

    def stop(self) -> None:
        """For good."""
        self._on_end = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        self._timer = None
        if self._on_end is not None and self.phase is not None:
            self._on_end(self.phase)
