"""How many HTTP connections there may be, in all and from one address, and who makes way when there are too many.

A connection that has not sent a request yet makes way first, the oldest of them, then the oldest that waits for the next one: a crowd of
idle connections keeps nobody out. Only when all have a request in hand is the newcomer refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import chain, islice
from typing import Protocol

# Looked at for one that may go. Those in front are the oldest; in a crowd nearly all are idle.
_LOOKED_AT = 64


class Connection(Protocol):
    address: str

    def is_idle(self) -> bool:
        """No request of it is in hand."""

    def make_way(self) -> None:
        """Closes it."""


class _Group:
    """Oldest first: those that have sent nothing whole yet, and the others."""

    def __init__(self) -> None:
        self.new: dict[Connection, None] = {}
        self.used: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self.new) + len(self.used)

    def oldest(self) -> Iterator[Connection]:
        return chain(islice(self.new, _LOOKED_AT), islice(self.used, _LOOKED_AT))


class Connections:
    """`most`, `most_per_address`: at a time."""

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._all = _Group()
        self._by_address: defaultdict[str, _Group] = defaultdict(_Group)
        self.made_way = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._all)

    def opened(self, connection: Connection) -> bool:
        """False: there is no room, and it is not counted."""
        own = self._by_address[connection.address]
        crowded = own if len(own) >= self._most_per_address else self._all
        if (crowded is own or len(self._all) >= self._most) and not self._make_room(crowded):
            self.refused += 1
            if not own:
                del self._by_address[connection.address]
            return False
        for group in (self._all, self._by_address[connection.address]):
            group.new[connection] = None
        return True

    def used(self, connection: Connection) -> None:
        """It has sent its first whole request."""
        for group in (self._all, self._by_address[connection.address]):
            if connection in group.new:
                del group.new[connection]
                group.used[connection] = None

    def closed(self, connection: Connection) -> None:
        """Also of one that is not counted, or no longer."""
        own = self._by_address.get(connection.address)
        if own is None:
            return
        for group in (self._all, own):
            group.new.pop(connection, None)
            group.used.pop(connection, None)
        if not own:
            del self._by_address[connection.address]

    def _make_room(self, group: _Group) -> bool:
        for connection in group.oldest():
            if connection.is_idle():
                self.made_way += 1
                self.closed(connection)
                connection.make_way()
                return True
        return False
