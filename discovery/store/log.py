"""The last commits, in memory, in order, with an index by service: what watches, event streams and incremental transfers read.

Whoever follows keeps the index of the last commit it has seen and asks for those after it. Old commits go when there are too many
events or octets; who asks for one that is gone is told so (Compacted), never given a gap. Commits of one index are seen together: each
is staged when the table has it, and all are published at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Collection
from itertools import islice

from discovery.core.errors import DiscoveryError
from discovery.core.event import Commit, octets_of

# About 12 MB when nothing has metadata to speak of: some minutes of a lively registry, hours of a usual one.
MAX_EVENTS = 16_384
# Metadata may be 16 KiB an instance.
MAX_OCTETS = 64 * 1024 * 1024


_NONE: deque[tuple[int, Commit]] = deque()


class Compacted(DiscoveryError):
    """`oldest`: the index from which on nothing is missing."""

    def __init__(self, oldest: int) -> None:
        super().__init__(
            f"What happened up to index {oldest} is no longer known; read the whole state and follow from there"
        )
        self.oldest = oldest


class Log:
    """`start`: the index of the state from which it began, also when what came first is gone. `written`: octets of all commits so far,
    those too that are gone.

    `position`: how many commits there were so far. Who reads along keeps this and not the index, which several commits may share.
    """

    def __init__(self, start: int = 0, max_events: int = MAX_EVENTS, max_octets: int = MAX_OCTETS) -> None:
        self._max_events = max_events
        self._max_octets = max_octets
        self.position = 0
        self.written = 0
        self._about: list[Collection[str]] = []  # the services that each of the staged ones is about
        self.begin(start)

    def begin(self, index: int) -> None:
        """Anew, from a state of this index."""
        self.start = index
        self.oldest = index  # all that came after this index is here
        self._commits: deque[tuple[Commit, int]] = deque()  # with its octets
        self._begins = self.position  # where the first of them stands
        self._staged: list[tuple[Commit, int]] = []  # likewise; readers do not see them yet
        self._is_reset = False
        self._by_service: dict[str, deque[tuple[int, Commit]]] = {}  # with the position behind it
        self._events = 0
        self._octets = 0

    @property
    def first(self) -> Commit | None:
        """The oldest that is here."""
        return self._commits[0][0] if self._commits else None

    @property
    def is_staged(self) -> bool:
        """Something has happened that readers do not see yet."""
        return bool(self._about)

    def stage(self, commit: Commit) -> Collection[str]:
        """Readers see it when `publish` is called. Whatever is staged together has one index; if it has not, or is more than there is room
        for, readers will be told that it is gone. The services that it is about.
        """
        services = services_of(commit)
        self._about.append(services)
        if self._is_reset or (self._staged and self._staged[-1][0].index != commit.index):
            self._is_reset = True
            return services
        octets = sum(map(octets_of, commit.events))
        self._staged.append((commit, octets))
        self._events += len(commit.events)
        self._octets += octets
        self.written += octets
        while self._events > self._max_events or self._octets > self._max_octets:
            if not self._commits:
                self._is_reset = True
                break
            self._forget_first()
            while self._commits and self._commits[0][0].index == self.oldest:
                self._forget_first()  # decisions of one etcd transaction have one index
        return services

    def publish(self, index: int) -> Collection[str]:
        """Readers see all that was staged, under this index. The services that it is about."""
        about, self._about = self._about, []
        if self._is_reset or (self._staged and self._staged[-1][0].index != index):
            self.position += 1  # nobody has read it
            self.begin(index)
        for (commit, octets), services in zip(self._staged, about, strict=False):
            self.position += 1
            self._commits.append((commit, octets))
            for service in services:
                self._by_service.setdefault(service, deque()).append((self.position, commit))
        self._staged.clear()
        return about[0] if len(about) == 1 else set().union(*about)

    def after(self, index: int, service: str | None = None) -> list[Commit]:
        """The commits after `index`, oldest first; of one service (its folded name), those that say something about it.

        Compacted when some of them are gone.
        """
        return [commit for _, commit in self.read(self.position_after(index), service)]

    def position_after(self, index: int) -> int:
        """Where what came after this index begins. Compacted."""
        if index < self.oldest:
            raise Compacted(self.oldest)
        return self._begins + bisect_right(self._commits, index, key=lambda each: each[0].index)

    def read(self, position: int, service: str | None = None, limit: int = MAX_EVENTS) -> list[tuple[int, Commit]]:
        """At most `limit` commits from this position on, of all or of one service, each with the position behind it. Compacted."""
        if position < self._begins:
            raise Compacted(self.oldest)
        if service is None:
            start, end = position - self._begins, min(self.position, position + limit) - self._begins
            return [(self._begins + at + 1, self._commits[at][0]) for at in range(start, end)]
        commits = self._by_service.get(service, _NONE)
        start = bisect_right(commits, position, key=lambda each: each[0])
        return list(islice(commits, start, start + limit))

    def is_last_of_index(self, position: int) -> bool:
        """Whether the commit in front of this position has its index to itself, as far as those behind it go."""
        at = position - self._begins
        return at >= len(self._commits) or at < 1 or self._commits[at][0].index != self._commits[at - 1][0].index

    def index_of(self, service: str) -> int:
        """Of the last commit about the service, also when it is gone. One that is not in the log had its last before `oldest`."""
        known = self._by_service.get(service)
        return self.oldest if known is None else known[-1][1].index

    def _forget_first(self) -> None:
        commit, octets = self._commits.popleft()
        self._begins += 1
        self._events -= len(commit.events)
        self._octets -= octets
        self.oldest = commit.index
        for service in services_of(commit):
            commits = self._by_service[service]
            commits.popleft()
            if not commits:
                del self._by_service[service]


def services_of(commit: Commit) -> Collection[str]:
    """Each once."""
    events = commit.events
    if len(events) == 1:  # nearly always; a set takes three times as long
        return () if (service := events[0].service) is None else (service,)
    return {service for event in events if (service := event.service) is not None}
