"""A lease: the promise that an instance is alive until `renewed_at + ttl`. Monotonic seconds; the caller brings the time."""

from __future__ import annotations

import math

# What an instance may ask for. Under a second the network's own jitter expires it; over an hour nobody would call it health.
MIN_TTL = 1.0
MAX_TTL = 3600.0
# Of one that is registered until somebody deregisters it: 31 years. A number, so that nobody who reads a lease has to ask.
PERMANENT_TTL = 1e9
# How long an instance may ask to be known after its lease.
MAX_KEEP = 7 * 86400.0


class Term:
    """How long leases last, seconds: one object for all that have the same, so that other settings change one number."""

    __slots__ = ("__weakref__", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Lease:
    """Mutable on purpose: renewing it is the hottest write there is.

    `longest_gap`: the most seconds between two renewals so far, which tells a late one from one that is missing.
    """

    __slots__ = ("longest_gap", "renewed_at", "term")

    # Of one with checks: see `CheckedLease`.
    lapsed_at = -math.inf
    critical_at = math.inf
    reports_end = math.inf

    def __init__(self, term: Term, renewed_at: float) -> None:
        self.term = term
        self.renewed_at = renewed_at
        self.longest_gap = 0.0

    @property
    def ttl(self) -> float:
        return self.term.seconds

    def renew(self, now: float) -> None:
        """Of a lease that runs; one that ran out is begun again with a new `renewed_at`."""
        gap = now - self.renewed_at
        if gap > self.longest_gap:
            self.longest_gap = gap
        self.renewed_at = now

    def restart(self, now: float) -> None:
        """It begins again, and what came late meanwhile is no gap."""
        self.renewed_at = now

    @property
    def expires_at(self) -> float:
        return self.renewed_at + self.term.seconds

    @property
    def due(self) -> float:
        """When something is to be done about it."""
        return self.renewed_at + self.term.seconds

    def beats_end_since(self, since: float) -> float:
        """When heartbeats have been missing for too long, if those before `since` may have come unheard."""
        return (self.renewed_at if self.renewed_at > since else since) + self.term.seconds

    def end_since(self, since: float) -> float:
        """When it ends, likewise."""
        return self.beats_end_since(since)

    def left(self, now: float) -> float:
        """Seconds that remain; zero or less when it has run out."""
        return self.renewed_at + self.term.seconds - now

    def overdue(self, now: float) -> bool:
        """Whether it should have been renewed by now: after half of the ttl (one renewal of three is missing), or for those that
        renew more seldom, when it is a quarter later than it ever was.
        """
        return now - self.renewed_at > max(self.term.seconds / 2, self.longest_gap * 1.25)

    def alive(self, now: float) -> bool:
        """False from the very instant of expiry on."""
        return now < self.renewed_at + self.term.seconds
