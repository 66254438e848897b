"""How often one client prefix (`core.address`) may register: a bucket of tokens each. Heartbeats are never counted."""

from __future__ import annotations

from discovery.core.address import client_prefix
from discovery.rest.api.errors import HttpError

# Seconds of the rate that may come at once: a host that starts all it has.
BURST_SECONDS = 2.0
# Client prefixes that are remembered, 200 octets each. The longest silent is forgotten first, and starts anew with a full bucket.
MAX_ADDRESSES = 65536


class RegisterRate:
    """`per_second` 0 is no limit. Monotonic seconds."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._full_at: dict[str, float] = {}  # when the bucket of an address will be full, in the order of use

    def take(self, address: str, now: float) -> None:
        """HttpError 429 with Retry-After."""
        if not self._per_second:
            return
        address = client_prefix(address)
        full_at = max(now, self._full_at.pop(address, now)) + 1 / self._per_second
        over = full_at - now - BURST_SECONDS
        if over <= 0:
            self._full_at[address] = full_at
            if len(self._full_at) > MAX_ADDRESSES:
                del self._full_at[next(iter(self._full_at))]
            return
        self._full_at[address] = full_at - 1 / self._per_second
        text = f"More than {self._per_second} registrations a second come from {address}; wait a moment (REGISTERS_PER_SECOND)"
        raise HttpError(429, "TOO_MANY_REGISTRATIONS", text, retryAfter=max(1, round(over)))
