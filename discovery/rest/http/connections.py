"""How many HTTP connections there may be, in all and from one client prefix (`core.address`), and who makes way when there are too many.

First those that have not sent a whole request yet, then those that owe us the rest of one, the oldest of each; then those that wait between
two requests, the longest silent first; last those among them that have brought a heartbeat lately. So a crowd that sends slowly, or
nothing, or asks, keeps nobody out who beats. Of the room, a tenth is kept for new connections of prefixes that have beaten lately: clients
without keep-alive. Only when all have a request in hand is the newcomer refused.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from time import monotonic
from typing import Protocol

from discovery.system.waiting_octets import BEAT_SECONDS

# So many of those between two requests are looked at for one that may go. Nearly all may: the others have sent much at once.
_LOOKED_AT = 64
# Prefixes that are remembered to have beaten. All are forgotten when they are too many.
_MAX_PREFIXES = 65_536


class Connection(Protocol):
    """`beat_at`: of its last heartbeat, monotonic seconds."""

    prefix: str
    beat_at: float

    def is_idle(self) -> bool:
        """No request of it is in hand."""

    def make_way(self) -> None:
        """Closes it."""


class _Group:
    """Connections by what they have sent, each part in the order of time. `new`: no whole request yet. `owing`: half of a later one.
    `busy`: a request that takes its time, of which thousands may watch for hours. They are not among those that are looked at.
    """

    def __init__(self) -> None:
        self.new: dict[Connection, None] = {}
        self.owing: dict[Connection, None] = {}
        self.busy: dict[Connection, None] = {}
        self.used: dict[Connection, None] = {}  # by their last request
        self.beating: dict[Connection, None] = {}

    def __len__(self) -> int:
        return sum(map(len, self._parts()))

    def __contains__(self, connection: Connection) -> bool:
        return any(connection in part for part in self._parts())

    def discard(self, connection: Connection) -> None:
        for part in self._parts():
            part.pop(connection, None)

    def move(self, connection: Connection, to: dict[Connection, None]) -> None:
        """Of one between two requests; others stay where they are."""
        for part in (self.beating, self.used):
            if connection in part:
                del part[connection]
                to[connection] = None
                return

    def _parts(self) -> tuple[dict[Connection, None], ...]:
        return self.beating, self.used, self.busy, self.new, self.owing

    def first_to_go(self) -> Connection | None:
        for slow in (self.new, self.owing):
            if slow:
                return next(iter(slow))
        idle = (one for part in (self.used, self.beating) for one in islice(part, _LOOKED_AT) if one.is_idle())
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
        for group in (self._all, self._groups[connection.prefix]):
            group.new[connection] = None
        return True

    def _room_for(self, prefix: str) -> int:
        beats = self._beat_at.get(prefix, float("-inf")) > monotonic() - BEAT_SECONDS
        return self.most if beats else self.most - self.most // 10

    def used(self, connection: Connection, now: float) -> None:
        """It has sent a whole request, or got the answer to one for which it was `busy`, or is known to beat."""
        beats = connection.beat_at > now - BEAT_SECONDS
        for group in self._of(connection):
            part = group.beating if beats else group.used
            if part.pop(connection, self) is self:  # it was not there
                if connection not in group:
                    return
                group.discard(connection)
            part[connection] = None

    def beats(self, connection: Connection, now: float) -> None:
        """Now and then, of one that does."""
        if len(self._beat_at) >= _MAX_PREFIXES:
            self._beat_at.clear()
        self._beat_at[connection.prefix] = now
        self.used(connection, now)

    def busy(self, connection: Connection) -> None:
        """One that is `used` will not be answered in this turn: it makes way for nobody until it has been."""
        for group in self._of(connection):
            group.move(connection, group.busy)

    def owes(self, connection: Connection) -> None:
        """It has begun another request and not sent the rest."""
        for group in self._of(connection):
            group.move(connection, group.owing)

    def _of(self, connection: Connection) -> tuple[_Group, ...]:
        own = self._groups.get(connection.prefix)
        return () if own is None else (self._all, own)

    def closed(self, connection: Connection) -> None:
        """Also of one that is not counted, or no longer."""
        for group in self._of(connection):
            group.discard(connection)
        if not self._groups.get(connection.prefix, True):
            del self._groups[connection.prefix]

    def _make_room(self, group: _Group) -> bool:
        connection = group.first_to_go()
        if connection is None:
            return False
        self.made_way += 1
        self.closed(connection)
        connection.make_way()
        return True
