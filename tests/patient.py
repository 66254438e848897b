"""The event loop of all tests: its time stands still while the process is not run.

On a machine with too much to do a process gets no core for a second now and then. Timers that went on would end what is well, before
the octets are read that have come long since, or another thread could answer. So a turn of the loop waits for a moment at most, and takes
no longer, by its clock, than that moment and a little.
"""

from __future__ import annotations

import asyncio
import selectors
import time

# Seconds that a turn waits at most, and that it takes at most beside.
_MOMENT, _TURN = 0.05, 0.005


class PatientLoop(asyncio.SelectorEventLoop):
    """`time()` is the clock of what runs on it."""

    def __init__(self) -> None:
        self._now = self._seen = time.monotonic()
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self._now

    def waited(self, seconds: float) -> None:
        """On purpose."""
        seen = time.monotonic()
        self._now += min(seen - self._seen, seconds + _TURN)
        self._seen = seen


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: PatientLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        timeout = _MOMENT if timeout is None else min(timeout, _MOMENT)
        ready = super().select(timeout)
        self._loop.waited(timeout)
        return ready


def clock() -> float:
    """The running loop's, for a registry in the test's process: no lease ends while those who should beat are not run."""
    return asyncio.get_running_loop().time()
