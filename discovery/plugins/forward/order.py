"""In which order upstreams are asked: as the setting has them, but those that have been silent lately come last.

Stub resolvers wait a second or a few for an answer. Were a dead upstream asked first each time, every name would take longer than that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from discovery.plugins.forward.settings import Upstream

# In a row, with no answer between: a good upstream is silent, too, about a name whose own servers are dead.
FAILURES = 3
# Seconds for which a silent upstream is asked last. Then one query asks it first again; the others do not wait for that.
HOLD = 10.0


# Seconds and answers whose times are remembered; the slow ones of fewer than a few prove nothing; slower than this is slow: stub resolvers
# wait a second or a few.
_WINDOW, _MOST, _FEW = 300.0, 1000, 20
SLOW = 1.0


@dataclass(slots=True)
class _Record:
    failures: int = 0
    held_until: float = 0.0
    why: str = ""
    times: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_MOST))  # when, and how long it took

    def note(self, now: float, seconds: float) -> None:
        self.times.append((now, seconds))

    def p99(self, now: float) -> float | None:
        while self.times and self.times[0][0] <= now - _WINDOW:
            self.times.popleft()
        lasted = sorted(seconds for _, seconds in self.times)
        return lasted[int(0.99 * (len(lasted) - 1))] if lasted else None


class Order:
    """`now`: monotonic seconds."""

    def __init__(self, upstreams: Sequence[Upstream]) -> None:
        self._records = {upstream: _Record() for upstream in upstreams}

    def asked(self, now: float) -> list[Upstream]:
        """All of them, the one to be asked first in front."""
        first, last = [], []
        for upstream, record in self._records.items():
            if record.failures < FAILURES:
                first.append(upstream)
            elif record.held_until <= now:
                record.held_until = now + HOLD
                first.append(upstream)
            else:
                last.append(upstream)
        return first + last

    def failed(self, upstream: Upstream, now: float, seconds: float = 0.0, why: str = "") -> None:
        """After so many seconds."""
        record = self._records[upstream]
        record.failures += 1
        record.held_until, record.why = now + HOLD, why
        record.note(now, seconds)

    def answered(self, upstream: Upstream, now: float = 0.0, seconds: float = 0.0) -> None:
        record = self._records[upstream]
        record.failures = 0
        record.note(now, seconds)

    # -- what is told of them

    def p99(self, now: float) -> dict[str, float]:
        """Seconds, of the last minutes, by upstream; of those that were asked."""
        times = {str(upstream): record.p99(now) for upstream, record in self._records.items()}
        return {upstream: p99 for upstream, p99 in times.items() if p99 is not None}

    def failing(self) -> dict[str, str]:
        return {
            str(
                upstream
            ): f"{upstream} (FORWARD_TO) did not answer {record.failures} times in a row ({record.why}), and is asked last; does it "
            "run, and does a firewall let port 53 through?"
            for upstream, record in self._records.items()
            if record.failures >= FAILURES
        }

    def slow(self, now: float) -> dict[str, str]:
        p99 = self.p99(now)
        return {
            str(
                upstream
            ): f"one answer in a hundred of {upstream} (FORWARD_TO) takes {p99[str(upstream)]:.1f} s or more; name another first"
            for upstream, record in self._records.items()
            if len(record.times) >= _FEW and p99[str(upstream)] > SLOW and record.failures < FAILURES
        }
