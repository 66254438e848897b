"""One instance under watch: what to probe, when, and what came of it so far. Pure; monotonic seconds come from the caller."""

from __future__ import annotations

import asyncio
import math

from discovery.core.check import Check
from discovery.core.lease import Lease
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
    """`last`: what came of the last one. `told`: what the registry knows of the verdict. `slow`: so was its last probe, or there was none.
    `started`: that probe's time.

    `timer` until it is due, `probing` while the network is waited for; neither while it waits for its turn. `over`: watched no longer.
    """

    __slots__ = (
        "check",
        "id",
        "ip",
        "last",
        "lease",
        "over",
        "port",
        "probing",
        "slow",
        "started",
        "timer",
        "told",
        "verdict",
    )

    def __init__(self, id: str, ip: str, port: int, check: Check, lease: Lease) -> None:
        self.id = id
        self.ip = ip
        self.port = port
        self.check = check
        self.lease = lease
        self.verdict = Verdict()
        self.last: CheckResult | None = None
        self.told: str | None = None
        self.slow = True
        self.over = False
        self.started = -math.inf
        self.timer: asyncio.TimerHandle | None = None
        self.probing: asyncio.Task[None] | None = None

    @property
    def pace(self) -> float:
        """Seconds between two probes when nothing else keeps it alive."""
        return min(self.check.interval, SILENT * self.lease.ttl)

    @property
    def due(self) -> float:
        """When to probe next, as things stand: a heartbeat may put it off until the interval is over."""
        silent_since = max(self.started, self.lease.renewed_at)
        return min(self.started + self.check.interval, silent_since + SILENT * self.lease.ttl)
