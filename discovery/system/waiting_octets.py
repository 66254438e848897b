"""Octets that wait for clients to read them: one budget for all connections.

Of the client prefix that holds most, that connection is closed which holds most, of several the one that has read nothing for longest;
nobody who reads, or beats.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Protocol

from discovery.system.budget import Budget
from discovery.system.limits import NEARLY_FULL

# Seconds: whoever has brought a heartbeat since is a client that does its part, and is not closed for what it has yet to read.
BEAT_SECONDS = 60.0


class Holder(Protocol):
    """A connection. `beat_at`: when it brought its last heartbeat, monotonic seconds."""

    prefix: str
    beat_at: float

    def make_way(self) -> None:
        """Closes it at once, with what it holds."""


class WaitingOctets(Budget[Holder]):
    """`closed`: connections that were closed for it, the last of the client prefix `last_closed`. `shared`: octets that are kept for
    everybody, once each.
    """

    def __init__(self, most: int, clock: Callable[[], float] = monotonic) -> None:
        super().__init__(
            most, self._close, lambda holder: holder.beat_at < clock() - BEAT_SECONDS, largest_first=True, clock=clock
        )
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

    def _close(self, holder: Holder) -> None:
        self.closed += 1
        self.last_closed = holder.prefix
        holder.make_way()
