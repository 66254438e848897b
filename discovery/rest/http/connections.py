"""How many HTTP connections there may be, in all and from one client prefix (`core.address`), and who makes way when there are too many.

First those that have not sent a whole request yet, then those that owe us the rest of one, the oldest of each; then those that wait between
two requests, the longest silent first; last those among them that have brought a heartbeat lately. So a crowd that sends slowly, or
nothing, or asks, keeps nobody out who beats. Of the room, a tenth is kept for new connections of prefixes that have beaten lately: clients
without keep-alive. Only when all have a request in hand is the newcomer refused.
"""

from __future__ import annotations

from collections import defaultdict
from enum import IntEnum
from itertools import islice
from time import monotonic
from typing import Protocol

from discovery.system.waiting_octets import BEAT_SECONDS

# So many of those between two requests are looked at for one that may go. Nearly all may: the others have sent much at once.
_LOOKED_AT = 64
# Prefixes that are remembered to have beaten. All are forgotten when they are too many.
_MAX_PREFIXES = 65_536


class Part(IntEnum):
    """What a connection has sent. The slow come first: the order is that in which they make way."""

    NEW = 0  # no whole request yet
    OWING = 1  # half of a later one
    USED = 2  # its last request was answered
    BEATING = 3  # the same, and it has brought a heartbeat lately
    BUSY = 4  # a request that takes its time, of which thousands may watch for hours: it is not among those that are looked at


# Looking into an enum takes as long as all the rest of a test.
_NEW, _OWING, _USED, _BEATING, _BUSY = Part


class Connection(Protocol):
    """`beat_at`: of its last heartbeat, monotonic seconds. `part`: written here alone; None while it is not counted."""

    prefix: str
    beat_at: float
    part: Part | None

    def is_idle(self) -> bool:
        """No request of it is in hand."""

    def make_way(self) -> None:
        """Closes it."""


class _Group:
    """Connections by their parts, each in the order of time."""

    def __init__(self) -> None:
        self.parts: tuple[dict[Connection, None], ...] = tuple({} for _ in Part)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def first_to_go(self) -> Connection | None:
        for slow in self.parts[_NEW], self.parts[_OWING]:
            if slow:
                return next(iter(slow))
        idle = (one for part in (_USED, _BEATING) for one in islice(self.parts[part], _LOOKED_AT) if one.is_idle())
        return next(idle, None)


class Connections:
    """`most`, `most_of_prefix`: at a time."""

    def __init__(self, most: int, most_of_prefix: int) -> None:
        self.most = most
        self._most_of_prefix = most_of_prefix
        self._all = _Group()
        self._groups: defaultdict[str, _Group] = defaultdict(_Group)
        self._beat_at: dict[str, float] = {}  # by prefix, to within a few seconds
        self.made_way = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._all)

    def opened(self, connection: Connection) -> bool:
        """False: there is no room, and it is not counted."""
        own = self._groups[connection.prefix]
        crowded = own if len(own) >= self._most_of_prefix else self._all
        if (crowded is own or len(self._all) >= self._room_for(connection.prefix)) and not self._make_room(crowded):
            self.refused += 1
            if not own:
                del self._groups[connection.prefix]
            return False
        self._move(connection, _NEW)
        return True

    def _room_for(self, prefix: str) -> int:
        beats = self._beat_at.get(prefix, float("-inf")) > monotonic() - BEAT_SECONDS
        return self.most if beats else self.most - self.most // 10

    def used(self, connection: Connection, now: float) -> None:
        """It has sent a whole request, or got the answer to one for which it was `busy`, or is known to beat."""
        if connection.part is not None:
            self._move(connection, _BEATING if connection.beat_at > now - BEAT_SECONDS else _USED)

    def beats(self, connection: Connection, now: float) -> None:
        """Now and then, of one that does."""
        if len(self._beat_at) >= _MAX_PREFIXES:
            self._beat_at.clear()
        self._beat_at[connection.prefix] = now
        self.used(connection, now)

    def busy(self, connection: Connection) -> None:
        """It has sent a whole request that will not be answered in this turn: it makes way for nobody until it has been."""
        if connection.part is not None:
            self._move(connection, _BUSY)

    def owes(self, connection: Connection) -> None:
        """It has begun another request and not sent the rest."""
        if connection.part in (_USED, _BEATING):
            self._move(connection, _OWING)

    def closed(self, connection: Connection) -> None:
        """Also of one that is not counted, or no longer."""
        self._move(connection, None)
        if not self._groups.get(connection.prefix, True):
            del self._groups[connection.prefix]

    def _move(self, connection: Connection, to: Part | None) -> None:
        """To the end of that part."""
        part, connection.part = connection.part, to
        if part is to is None:
            return
        for parts in self._all.parts, self._groups[connection.prefix].parts:
            if part is not None:
                del parts[part][connection]
            if to is not None:
                parts[to][connection] = None

    def _make_room(self, group: _Group) -> bool:
        connection = group.first_to_go()
        if connection is None:
            return False
        self.made_way += 1
        self.closed(connection)
        connection.make_way()
        return True
