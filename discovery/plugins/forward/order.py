"""In which order upstreams are asked: as the setting has them, but those that have been silent lately come last.

Stub resolvers wait a second or a few for an answer. Were a dead upstream asked first each time, every name would take longer than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from discovery.plugins.forward.settings import Upstream

# In a row, with no answer between: a good upstream is silent, too, about a name whose own servers are dead.
FAILURES = 3
# Seconds for which a silent upstream is asked last. Then one query asks it first again; the others do not wait for that.
HOLD = 10.0


@dataclass(slots=True)
class _Record:
    failures: int = 0
    held_until: float = 0.0


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

    def failed(self, upstream: Upstream, now: float) -> bool:
        """Whether it counts as silent from now on, and did not before."""
        record = self._records[upstream]
        record.failures += 1
        record.held_until = now + HOLD
        return record.failures == FAILURES

    def answered(self, upstream: Upstream) -> bool:
        """Whether it counted as silent until now."""
        record = self._records[upstream]
        was_silent = record.failures >= FAILURES
        record.failures = 0
        return was_silent
