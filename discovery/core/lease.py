"""A lease: the promise that an instance is alive until `renewed_at + ttl`. Monotonic seconds; the caller brings the time."""

from __future__ import annotations

# What an instance may ask for. Under a second the network's own jitter expires it; over an hour nobody would call it health.
MIN_TTL = 1.0
MAX_TTL = 3600.0


class Lease:
    """Mutable on purpose: renewing it is the hottest write there is."""

    __slots__ = ("renewed_at", "ttl")

    def __init__(self, ttl: float, renewed_at: float) -> None:
        self.ttl = ttl
        self.renewed_at = renewed_at

    @property
    def expires_at(self) -> float:
        return self.renewed_at + self.ttl

    def left(self, now: float) -> float:
        """Seconds that remain; zero or less when it has run out."""
        return self.renewed_at + self.ttl - now

    def alive(self, now: float) -> bool:
        """False from the very instant of expiry on."""
        return now < self.renewed_at + self.ttl
