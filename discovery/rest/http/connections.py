"""How many HTTP connections there may be, in all and from one client prefix (`core.address`), and who makes way when there are too many.

First those that have not sent a whole request yet, then those that owe us the rest of one, the oldest of each; last those that wait between
two requests. So a crowd that sends slowly, or nothing, keeps nobody out who beats. Only when all have a request in hand is the
newcomer refused.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import Protocol

from discovery.core.address import client_prefix

# Of those between two requests, looked at for one that may go: nearly all may.
_LOOKED_AT = 64


class Connection(Protocol):
    address: str

    def is_idle(self) -> bool:
        """No request of it is in hand."""

    def make_way(self) -> None:
        """Closes it."""


class _Group:
    """Each in the order in which they came to be so. `new`: no whole request yet. `owing`: in the middle of a later one."""

    def __init__(self) -> None:
        self.new: dict[Connection, None] = {}
        self.owing: dict[Connection, None] = {}
        self.used: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self.new) + len(self.owing) + len(self.used)

    def __contains__(self, connection: Connection) -> bool:
        return connection in self.new or connection in self.owing or connection in self.used

    def first_to_go(self) -> Connection | None:
        for slow in (self.new, self.owing):
            if slow:
                return next(iter(slow))
        return next((one for one in islice(self.used, _LOOKED_AT) if one.is_idle()), None)


class Connections:
    """`most`, `most_of_party`: at a time."""

    def __init__(self, most: int, most_of_party: int) -> None:
        self._most = most
        self._most_of_party = most_of_party
        self._all = _Group()
        self._parties: defaultdict[str, _Group] = defaultdict(_Group)
        self.made_way = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._all)

    def opened(self, connection: Connection) -> bool:
        """False: there is no room, and it is not counted."""
        name = client_prefix(connection.address)
        own = self._parties[name]
        crowded = own if len(own) >= self._most_of_party else self._all
        if (crowded is own or len(self._all) >= self._most) and not self._make_room(crowded):
            self.refused += 1
            if not own:
                del self._parties[name]
            return False
        for group in (self._all, self._parties[name]):
            group.new[connection] = None
        return True

    def used(self, connection: Connection) -> None:
        """It has sent a whole request."""
        for group in self._groups(connection):
            if connection in group:
                group.new.pop(connection, None)
                group.owing.pop(connection, None)
                group.used.setdefault(connection)

    def owes(self, connection: Connection) -> None:
        """It has begun another request and not sent the rest."""
        for group in self._groups(connection):
            if connection in group.used:
                del group.used[connection]
                group.owing[connection] = None

    def _groups(self, connection: Connection) -> list[_Group]:
        own = self._parties.get(client_prefix(connection.address))
        return [] if own is None else [self._all, own]

    def closed(self, connection: Connection) -> None:
        """Also of one that is not counted, or no longer."""
        name = client_prefix(connection.address)
        own = self._parties.get(name)
        if own is None:
            return
        for group in (self._all, own):
            for part in (group.new, group.owing, group.used):
                part.pop(connection, None)
        if not own:
            del self._parties[name]

    def _make_room(self, group: _Group) -> bool:
        connection = group.first_to_go()
        if connection is None:
            return False
        self.made_way += 1
        self.closed(connection)
        connection.make_way()
        return True
