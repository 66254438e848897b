"""Which commits and events of the log somebody wants to hear of. Pure."""

from __future__ import annotations

from discovery.core.event import Commit, Event, InstanceEvent
from discovery.rest.api.following.filters import EventFilter
from discovery.store.log import Log

# Of `Filter.work`, 10 µs each at the worst.
_WORK = 50


def read(log: Log, position: int, asked: EventFilter, limit: int) -> tuple[list[tuple[int, Commit]], bool]:
    """At most `limit` commits from this position on that may have what is asked for, each with the position behind it; and whether
    there are no more. Compacted.
    """
    if asked.services is None:
        commits = log.read(position, limit=limit)
        return commits, len(commits) < limit
    found = {each[0]: each for service in asked.services for each in log.read(position, service, limit)}
    return [found[behind] for behind in sorted(found)[:limit]], len(found) < limit


class Passing:
    """Which events of a commit pass. `numbers`: of those that do, as far as it has been looked at."""

    __slots__ = ("_asked", "_commit", "_next", "numbers")

    def __init__(self, commit: Commit, asked: EventFilter) -> None:
        self._commit = commit
        self._asked = asked
        self._next = 0 if asked else len(commit.events)
        self.numbers: list[int] = [] if asked else list(range(len(commit.events)))

    def look(self) -> bool:
        """Some more of it: half a millisecond, and what one event takes. Whether that was all."""
        work, events = 0, self._commit.events
        while self._next < len(events) and work < _WORK:
            event = events[self._next]
            if self._asked.passes(event):
                self.numbers.append(self._next)
            work += _work(event, self._asked)
            self._next += 1
        return self._next == len(events)


def _work(event: Event, asked: EventFilter) -> int:
    if not isinstance(event, InstanceEvent):
        return 1
    return sum(asked.instances.work(each) for each in (event.before, event.after) if each is not None)
