"""Large bodies, until their requests are answered: how many octets of them there may be, and whose go when there are too many.

The largest holder, by client prefix, loses the oldest body that it is still sending. So uploads that stall keep nobody out, not even
those of the same address that send theirs at once. What has come whole is worked on, so it counts but stays.
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
        self._coming: dict[str, dict[Holder, int]] = {}  # by client prefix, the oldest first
        self._whole: dict[Holder, int] = {}

    def __len__(self) -> int:
        """Octets."""
        return self._sum

    def grown(self, holder: Holder, size: int) -> None:
        """Its body has so many octets now. Somebody, perhaps itself, gives up if that is too many in all."""
        if size <= SMALL:
            self.done(holder)
            return
        own = self._coming.setdefault(holder.prefix, {})
        self._count(holder.prefix, size - own.get(holder, 0))
        own[holder] = size
        while self._sum > MAX_BODIES:
            largest = max(self._coming, key=self._sums.__getitem__)
            oldest = next(iter(self._coming[largest]))
            self.done(oldest)
            oldest.give_up_body()

    def whole(self, holder: Holder) -> None:
        """Nothing of it is missing any more. Also of one that holds nothing."""
        if size := self._take(holder):
            self._whole[holder] = size

    def done(self, holder: Holder) -> None:
        """Also of one that holds nothing."""
        if size := self._take(holder) + self._whole.pop(holder, 0):
            self._count(holder.prefix, -size)

    def _take(self, holder: Holder) -> int:
        """Out of those that are coming; its octets."""
        own = self._coming.get(holder.prefix)
        if own is None:
            return 0
        size = own.pop(holder, 0)
        if not own:
            del self._coming[holder.prefix]
        return size

    def _count(self, prefix: str, octets: int) -> None:
        self._sum += octets
        self._sums[prefix] = self._sums.get(prefix, 0) + octets
        if not self._sums[prefix]:
            del self._sums[prefix]
