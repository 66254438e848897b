"""Large bodies on their way: how many octets of them there may be, and whose go when there are too many.

The largest holder, by client prefix, loses its oldest body. So uploads that stall keep nobody out, not even those of the same address
that send theirs at once.
"""

from __future__ import annotations

from typing import Protocol

# Octets of all bodies in hand, but for those of at most SMALL, heartbeats among them.
MAX_BODIES = 64 * 1024 * 1024
SMALL = 8 * 1024


class Holder(Protocol):
    prefix: str

    def give_up_body(self) -> None:
        """What it holds is dropped, and its client told."""


class Bodies:
    def __init__(self) -> None:
        self._sum = 0
        self._sums: dict[str, int] = {}
        self._held: dict[str, dict[Holder, int]] = {}  # by client prefix, the oldest first

    def __len__(self) -> int:
        """Octets."""
        return self._sum

    def grown(self, holder: Holder, size: int) -> None:
        """Its body has so many octets now. Somebody, perhaps itself, gives up if that is too many in all."""
        if size <= SMALL:
            return
        own = self._held.setdefault(holder.prefix, {})
        self._count(holder.prefix, size - own.get(holder, 0))
        own[holder] = size
        while self._sum > MAX_BODIES:
            largest = max(self._sums, key=self._sums.__getitem__)
            oldest = next(iter(self._held[largest]))
            self.done(oldest)
            oldest.give_up_body()

    def done(self, holder: Holder) -> None:
        """Also of one that holds nothing."""
        own = self._held.get(holder.prefix)
        if own is not None and holder in own:
            self._count(holder.prefix, -own.pop(holder))
            if not own:
                del self._held[holder.prefix], self._sums[holder.prefix]

    def _count(self, prefix: str, octets: int) -> None:
        self._sum += octets
        self._sums[prefix] = self._sums.get(prefix, 0) + octets
