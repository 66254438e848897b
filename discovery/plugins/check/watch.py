"""One check of an instance under watch: what to probe, when, and what came of it so far. Pure; monotonic seconds come from the caller."""

from __future__ import annotations

import asyncio
import math

from discovery.core.check import Check
from discovery.core.health import Finding, Health
from discovery.store.service import Entry
from discovery.store.state import CheckResult

# Of the lease, without a sign of life: probed then, whatever the interval, or one that cannot beat would expire between two probes
# of 10 s. Above the third in which heartbeats come with their jitter; below a half, so that one lost probe ends nothing.
SILENT = 0.4


class Verdict:
    """What the results of its checks come to: one that differs proves nothing, so many in a row do.

    `failing`: why, None while it passes, as everyone does at first, unless another node has found otherwise.
    """

    __slots__ = ("_against", "failing")

    def __init__(self, failing: str | None = None) -> None:
        self.failing = failing
        self._against = 0  # results in a row that speak against the verdict

    def note(self, failure: str | None, check: Check) -> None:
        """One more result: why it failed, None when it passed. The failure that settles it is the reason from then on."""
        if (failure is None) == (self.failing is None):
            self._against = 0
            return
        self._against += 1
        if self._against >= (check.failures if self.failing is None else check.successes):
            self._against = 0
            self.failing = failure


class Watch:
    """`entry`: of the instance whose check it is. `last`: what came of the last one. `slow`: so was its last probe, or there was none.
    `started`: that probe's time.

    `timer` until it is due, `probing` while a place and then the network are waited for. `over`: watched no longer.
    """

    __slots__ = (
        "check",
        "entry",
        "last",
        "over",
        "probing",
        "slow",
        "started",
        "timer",
        "verdict",
    )

    def __init__(self, entry: Entry, check: Check) -> None:
        self.entry = entry
        self.check = check
        self.begin_from_known()
        self.last: CheckResult | None = None
        self.slow = True
        self.over = False
        self.started = -math.inf
        self.timer: asyncio.TimerHandle | None = None
        self.probing: asyncio.Task[None] | None = None

    @property
    def known(self) -> Finding:
        """What the registry has of it."""
        return self.entry.instance.said_by(self.check)

    @property
    def last_failure(self) -> str:
        return "" if self.last is None or self.last.failure is None else self.last.failure

    def begin_from_known(self) -> None:
        self.verdict = Verdict(self.known.output if self.known.health is Health.FAILING else None)

    @property
    def pace(self) -> float:
        """Seconds between two probes when nothing else keeps it alive."""
        return min(self.check.interval, SILENT * self.entry.lease.term.seconds)

    @property
    def due(self) -> float:
        """When to probe next, as things stand: a heartbeat may put it off until the interval is over."""
        lease = self.entry.lease
        silent_since = max(self.started, lease.renewed_at)
        return min(self.started + self.check.interval, silent_since + SILENT * lease.term.seconds)
