"""How many may wait and follow at a time, in all and from one client prefix (`core.address`). Each holds a connection that makes way for
nobody, so there must be room for others beside them.
"""

from __future__ import annotations

import asyncio

from discovery.rest.api.answers import Client, DeferredAnswer
from discovery.rest.api.errors import HttpError

# Seconds after which one who was turned away may ask again: long enough that a crowd of them costs nothing.
RETRY_AFTER = 5


class Watcher(DeferredAnswer):
    """A client that waits, or follows. `client`: None before it begins and when it has been answered. `prefix`: the client's, while it is
    counted.
    """

    __slots__ = ("client", "prefix", "timer")

    def __init__(self) -> None:
        self.client: Client | None = None
        self.prefix: str | None = None
        self.timer: asyncio.TimerHandle | None = None


class Watchers:
    """`cut`: streams that were ended because their clients did not read. `refused`: who found no room."""

    def __init__(self, most: int, most_of_prefix: int) -> None:
        self._most = most
        self._most_of_prefix = most_of_prefix
        self._of_prefix: dict[str, int] = {}
        self._all = 0
        self.cut = 0
        self.refused = 0

    def __len__(self) -> int:
        return self._all

    def has_room(self, client: Client) -> bool:
        """If not, it counts as refused."""
        if self._all < self._most and self._of_prefix.get(client.prefix, 0) < self._most_of_prefix:
            return True
        self.refused += 1
        return False

    def come(self, watcher: Watcher, client: Client) -> bool:
        """False when there is no room, which the client is told; then it is not counted."""
        prefix = client.prefix
        if not self.has_room(client):
            whose = "" if self._all >= self._most else f" from {prefix}"
            text = (
                f"There are too many watchers{whose}; ask without index, or try again in {RETRY_AFTER} s (MAX_WATCHERS)"
            )
            watcher.client = None
            client.refuse(HttpError("TOO_MANY_WATCHERS", text, retryAfter=RETRY_AFTER))
            return False
        self._of_prefix[prefix] = self._of_prefix.get(prefix, 0) + 1
        self._all += 1
        watcher.prefix = prefix
        return True

    def go(self, watcher: Watcher) -> None:
        """Its timer too ends. Also of one that is not counted, or no longer."""
        prefix = watcher.prefix
        if prefix is not None:
            self._all -= 1
            left = self._of_prefix.pop(prefix) - 1
            if left:
                self._of_prefix[prefix] = left
        if watcher.timer is not None:
            watcher.timer.cancel()
        watcher.client = watcher.timer = watcher.prefix = None
