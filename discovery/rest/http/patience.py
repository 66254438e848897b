"""How long a client may take: for the head of a request, for its body, and to read what it asked for (slowloris and its kin)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum


class Phase(Enum):
    """What is being waited for, and the seconds that it may take. nginx's are 60 each, Apache's 20 to 40 for a head."""

    NOTHING = None
    HEAD = 10.0  # from the connection's beginning, or the head's first octet
    BODY = 30.0  # 2 MiB at the slowest of lines
    READ = 31.0  # for what is buffered to become half


class Patience:
    """`on_end(phase)` is called when it is at its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_end: Callable[[Phase], None]) -> None:
        self._loop = loop
        self._on_end = on_end
        self._phase = Phase.NOTHING
        self._timer: asyncio.TimerHandle | None = None

    def wait_for(self, phase: Phase) -> None:
        """The time runs on while it is the same phase."""
        if phase is self._phase:
            return
        self._phase = phase
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if phase.value is not None:
            self._timer = self._loop.call_later(phase.value, self._end)

    def _end(self) -> None:
        phase, self._phase, self._timer = self._phase, Phase.NOTHING, None
        self._on_end(phase)
