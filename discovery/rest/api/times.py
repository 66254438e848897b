"""Monotonic readings as people's times: ISO 8601, UTC, milliseconds, `Z`; and the time that every answer says it is of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

# Two clocks read one after the other never agree to the microsecond. Below this they are taken to run in step, so that
# one reading is always shown as the same time; above it the wall clock was set, and what is shown follows.
_STEP = 0.050


def _never() -> int:
    return 0


def _not_since(reading: float) -> float:
    return 0.0


@dataclass(eq=False)
class Times:
    """`stale`: how old what is answered is, whole seconds; 0: it is not. `paused_since`: the clock's."""

    clock: Callable[[], float]
    wall: Callable[[], float]
    stale: Callable[[], int] = _never
    paused_since: Callable[[float], float] = _not_since

    def __post_init__(self) -> None:
        self._offset = self.wall() - self.clock()

    def now(self) -> str:
        return iso(self.wall())

    def stamp(self, content: dict[str, Any]) -> dict[str, Any]:
        """With what every answer says of itself: `timestamp`, and `stale` where it is that."""
        stamped: dict[str, Any] = {**content, "timestamp": iso(self.wall())}
        if stale := self.stale():
            stamped["stale"] = stale
        return stamped

    def of(self, reading: float, now: float | None = None) -> str:
        """The wall time at which the monotonic clock showed `reading`. `now`: what it shows, where that was asked just now."""
        return iso(reading + self.offset(now) - self.paused_since(reading))

    def walls(self, now: float | None = None) -> Callable[[float], float]:
        """The same in epoch seconds, for many readings in one turn."""
        offset, paused_since = self.offset(now), self.paused_since
        if not paused_since(-math.inf):  # it never stood still: nearly always
            return offset.__add__
        return lambda reading: reading + offset - paused_since(reading)

    def offset(self, now: float | None = None) -> float:
        """Seconds from monotonic readings to epoch seconds, since the last pause."""
        offset = self.wall() - (self.clock() if now is None else now)
        if abs(offset - self._offset) > _STEP:
            self._offset = offset
        return self._offset


def iso(wall: float) -> str:
    return _moment(int(wall * 1000))


@lru_cache(maxsize=4096)  # what beats at the same moment, and what is shown again, takes half the time
def _moment(milliseconds: int) -> str:
    return _second(milliseconds // 1000) + _MILLISECONDS[milliseconds % 1000]


_MILLISECONDS = [f".{number:03d}Z" for number in range(1000)]


@lru_cache(maxsize=1024)  # an answer shows the same few seconds over and over; datetime takes ten times as long
def _second(wall: int) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat()[:19]
