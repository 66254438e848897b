"""Octets that wait for clients to read them: one budget for all connections, and whose are given up when it is spent.

Of the client prefix that holds most, that connection is closed which holds most, of several the one that has read nothing for longest.
So a crowd that asks and does not read costs no more than the budget, and closes nobody who reads, or beats.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Protocol

from discovery.system.limits import NEARLY_FULL

# Seconds: whoever has brought a heartbeat since is a client that does its part, and is not closed for what it has yet to read.
BEAT_SECONDS = 60.0
# Seconds between two searches when nobody could be closed.
_SEARCH_SECONDS = 1.0


class Holder(Protocol):
    """A connection. `beat_at`: when it brought its last heartbeat, monotonic seconds."""

    prefix: str
    beat_at: float

    def make_way(self) -> None:
        """Closes it at once, with what it holds."""


class _Held:
    __slots__ = ("octets", "read_at")

    def __init__(self, now: float) -> None:
        self.octets = 0
        self.read_at = now


class WaitingOctets:
    """`most`: octets in all. `closed`: connections that were closed for it, the last of the client prefix `last_closed`. `shared`: octets
    that are kept for everybody, once each.
    """

    def __init__(self, most: int, clock: Callable[[], float] = monotonic) -> None:
        self._most = most
        self._clock = clock
        self._sum = 0
        self._of_prefix: dict[str, dict[Holder, _Held]] = {}
        self._sums: dict[str, int] = {}
        self._searched_at = float("-inf")
        self.shared = 0
        self.closed = 0
        self.last_closed = ""

    def __len__(self) -> int:
        return self._sum + self.shared

    def warning(self) -> str | None:
        if len(self) < NEARLY_FULL * self._most:
            return None
        return (
            f"{len(self) >> 20} of {self._most >> 20} MiB (HTTP_BUFFERS_MB) wait for clients that do not read; connections of those "
            "that hold most are closed. `discovery top` has the clients"
        )

    def is_crowded(self) -> bool:
        """Half of it is spent: who asks for much should wait a moment, until others have read."""
        return len(self) > self._most // 2

    def hold(self, holder: Holder, octets: int) -> None:
        """So many wait for it now. Somebody, perhaps itself, is closed if that is too much in all."""
        own = self._of_prefix.get(holder.prefix)
        held = None if own is None else own.get(holder)
        if held is None:
            if not octets:
                return
            held = self._of_prefix.setdefault(holder.prefix, {})[holder] = _Held(self._clock())
        grown = octets - held.octets
        if grown < 0:
            held.read_at = self._clock()
        held.octets = octets
        self._sum += grown
        self._sums[holder.prefix] = self._sums.get(holder.prefix, 0) + grown
        if not octets:
            self._forget(holder)
        elif grown > 0 and len(self) > self._most:
            self._make_room()

    def _forget(self, holder: Holder) -> None:
        own = self._of_prefix[holder.prefix]
        del own[holder]
        if not own:
            del self._of_prefix[holder.prefix], self._sums[holder.prefix]

    def _make_room(self) -> None:
        now = self._clock()
        if now < self._searched_at + _SEARCH_SECONDS:
            return
        while len(self) > self._most:
            holder = self._first_to_go(now)
            if holder is None:
                self._searched_at = now
                return
            self.closed += 1
            self.last_closed = holder.prefix
            self.hold(holder, 0)
            holder.make_way()

    def _first_to_go(self, now: float) -> Holder | None:
        for prefix in sorted(self._sums, key=self._sums.__getitem__, reverse=True):
            idle = [
                (-held.octets, held.read_at, number, holder)
                for number, (holder, held) in enumerate(self._of_prefix[prefix].items())
                if holder.beat_at < now - BEAT_SECONDS
            ]
            if idle:
                return min(idle)[3]
        return None
