"""The last commits, in memory, in order, with an index by service: what watches, event streams and incremental transfers read.

Whoever follows keeps the index of the last commit it has seen and asks for those after it. Old commits go when there are too many
events or octets; who asks for one that is gone is told so (Compacted), never given a gap.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterator

from discovery.core.errors import DiscoveryError
from discovery.core.event import Commit, ZonesEvent, octets_of

# About 12 MB when nothing has metadata to speak of: some minutes of a lively registry, hours of a usual one.
MAX_EVENTS = 16_384
# Metadata may be 16 KiB an instance.
MAX_OCTETS = 64 * 1024 * 1024


class Compacted(DiscoveryError):
    """`oldest`: the index from which on nothing is missing."""

    def __init__(self, oldest: int) -> None:
        super().__init__(
            f"What happened up to index {oldest} is no longer known; read the whole state and follow from there"
        )
        self.oldest = oldest


class Log:
    """`start`: the index of the state in which it begins."""

    def __init__(self, start: int = 0, max_events: int = MAX_EVENTS, max_octets: int = MAX_OCTETS) -> None:
        self._max_events = max_events
        self._max_octets = max_octets
        self._waiting: dict[str | None, set[asyncio.Future[None]]] = {}
        self.begin(start)

    def begin(self, index: int) -> None:
        """Anew, from a state of this index."""
        self.oldest = index  # all that came after this index is here
        self._commits: deque[tuple[Commit, int]] = deque()  # with its octets
        self._by_service: dict[str, deque[Commit]] = {}
        self._events = 0
        self._octets = 0

    @property
    def first(self) -> Commit | None:
        """The oldest that is here."""
        return self._commits[0][0] if self._commits else None

    def append(self, commit: Commit) -> None:
        octets = sum(map(octets_of, commit.events))
        self._commits.append((commit, octets))
        services = _services_of(commit)
        for service in services:
            self._by_service.setdefault(service, deque()).append(commit)
        self._events += len(commit.events)
        self._octets += octets
        while self._events > self._max_events or self._octets > self._max_octets:
            self._forget_first()
            while self._commits and self._commits[0][0].index == self.oldest:
                self._forget_first()  # decisions of one etcd transaction have one index
        if self._waiting:
            self._wake(services)

    def after(self, index: int, service: str | None = None) -> list[Commit]:
        """The commits after `index`, oldest first; of one service (its folded name), those that say something about it.

        Compacted when some of them are gone.
        """
        if index < self.oldest:
            raise Compacted(self.oldest)
        if service is None:
            newest_first: Iterator[Commit] = (commit for commit, _ in reversed(self._commits))
        else:
            newest_first = reversed(self._by_service.get(service, ()))
        found = []
        for commit in newest_first:
            if commit.index <= index:
                break
            found.append(commit)
        found.reverse()
        return found

    def index_of(self, service: str) -> int:
        """Of the last commit about the service, also when it is gone. One that is not in the log had its last before `oldest`."""
        commits = self._by_service.get(service)
        return commits[-1].index if commits else self.oldest

    async def wait(self, service: str | None = None) -> None:
        """Returns at the next commit, about this service. Nothing must be awaited between `after` and this."""
        future = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(service, set())
        waiting.add(future)
        try:
            await future
        finally:
            waiting.discard(future)
            if not waiting:
                self._waiting.pop(service, None)

    def _wake(self, services: Collection[str]) -> None:
        for service in (None, *services):
            for future in self._waiting.get(service, ()):
                if not future.done():
                    future.set_result(None)

    def _forget_first(self) -> None:
        commit, octets = self._commits.popleft()
        self._events -= len(commit.events)
        self._octets -= octets
        self.oldest = commit.index
        for service in _services_of(commit):
            commits = self._by_service[service]
            commits.popleft()
            if not commits:
                del self._by_service[service]


def _services_of(commit: Commit) -> Collection[str]:
    """Each once."""
    events = commit.events
    if len(events) == 1:  # nearly always; a set takes three times as long
        event = events[0]
        return () if isinstance(event, ZonesEvent) else (event.service,)
    return {event.service for event in events if not isinstance(event, ZonesEvent)}
