"""Streams of events: each reads the log at its own position, so nothing is kept for one that is slow.

One that has read everything is idle, and waits for the next commit about its services (None: about anything). A commit takes the idle ones
of its services out, which costs the same for one and for thousands, and they read in the turns that follow.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterable
from functools import partial
from random import Random

from discovery.core.event import Commit
from discovery.rest.api.answers import Client, DeferredAnswer
from discovery.rest.api.following.filters import EventFilter
from discovery.rest.watch.messages import COMMENT, Messages, message, reset
from discovery.rest.watch.reading import Passing, read
from discovery.rest.watch.watchers import Watcher, Watchers
from discovery.store.log import Compacted
from discovery.store.registry import Registry
from discovery.system.turns import turns

# Octets by which the log may grow while a client does not read.
MAX_BEHIND = 1024 * 1024
# Seconds between two comments. Proxies and NATs forget connections that say nothing for 30 to 60.
COMMENT_SECONDS = 15.0
# Octets that are gathered before they are written. With one event on top (35 KiB) and what may wait in the connection, a client that
# does not read costs less than 64 KiB.
PIECE = 8 * 1024
# Streams that are woken in one step, and commits that one reads in a step: half a millisecond.
_WOKEN_PER_STEP = 16
_READ_PER_STEP = 16

# Tells a log from one that counts over the same numbers: of a server that has started again without its memory.
LOG_START = "X-Registry-Log-Start"
HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Stream(Watcher):
    """`since`: the index from which on it wants to know; None: from now on. `position`: in the log; it has been told of all before, and
    of the first `part` events of the next commit, of which `passing` knows what passes.
    """

    __slots__ = ("asked", "idle", "part", "passing", "position", "since", "streams", "with_actor")

    def __init__(self, streams: Streams, asked: EventFilter, since: int | None, with_actor: bool) -> None:
        super().__init__()
        self.streams = streams
        self.asked = asked
        self.since = since
        self.with_actor = with_actor
        self.position = self.part = 0
        self.passing: Passing | None = None
        self.idle = False

    @property
    def services(self) -> Iterable[str | None]:
        return (None,) if self.asked.services is None else self.asked.services

    def begin(self, client: Client) -> None:
        self.client = client
        self.streams.begin(self, client)

    def resume(self) -> None:
        self.streams.resume(self)

    def stop(self) -> None:
        client, self.client = self.client, None
        if client is not None:
            client.end()

    def ended(self) -> None:
        self.streams.ended(self)


class HeadAlone(DeferredAnswer):
    """What HEAD gets to see of a stream."""

    __slots__ = ()

    def begin(self, client: Client) -> None:
        client.start(HEADERS)
        client.end()


class Streams:
    def __init__(self, registry: Registry, random: Random, watchers: Watchers, messages: Messages) -> None:
        self._registry = registry
        self._random = random
        self._watchers = watchers
        self._messages = messages
        self._idle: dict[str | None, dict[Stream, None]] = {}
        # Idle ones to be woken, and up to which position nothing that concerns them has happened since they became idle. In order: one
        # that follows several services may be in several, and must not be taken behind what the first is about.
        self._woken: deque[tuple[int, dict[Stream, None]]] = deque()
        self._position = registry.log.position  # up to which the idle ones were woken
        self._behind: dict[Stream, int] = {}  # whose clients do not read: what the log had written when they stopped

    # -- what happens

    def follow(self, services: Collection[str]) -> None:
        """As a follower of the registry's index."""
        idle, before, self._position = self._idle, self._position, self._registry.log.position
        if idle:
            for service in (idle.keys() & services) | ({None} & idle.keys()):
                self._woken.append((before, idle.pop(service)))
                turns().add(self._wake)
        if self._behind and self._is_lost(next(iter(self._behind))):
            turns().add(self._cut_the_lost)

    def begin(self, stream: Stream, client: Client) -> None:
        if not self._watchers.come(stream, client):
            return
        client.start({**HEADERS, LOG_START: str(self._registry.log.start)})
        client.write(COMMENT)
        seconds = COMMENT_SECONDS * self._random.random()  # those that came together do not speak together
        stream.timer = asyncio.get_running_loop().call_later(seconds, self._comment, stream)
        index, log, since = self._registry.index, self._registry.log, stream.since
        if since is None or not log.oldest <= since <= index:
            stream.position = log.position
        else:
            stream.position = log.position_after(since)
        if since is not None and not log.oldest <= since <= index:
            client.write(reset(index, log.oldest))
        turns().add(partial(self._read, stream))

    def resume(self, stream: Stream) -> None:
        """Its client has read."""
        if self._behind.pop(stream, None) is not None:
            turns().add(partial(self._read, stream))

    def ended(self, stream: Stream) -> None:
        for service in stream.services:
            of_service = self._idle.get(service)
            if of_service is not None:
                of_service.pop(stream, None)
                if not of_service:
                    del self._idle[service]
        self._behind.pop(stream, None)
        self._watchers.go(stream)

    # -- reading

    def _wake(self) -> bool:
        """One step."""
        if not self._woken:
            return False
        before, woken = self._woken[0]
        for _ in range(min(len(woken), _WOKEN_PER_STEP)):
            stream, _none = woken.popitem()
            if stream.idle:
                stream.idle = False
                stream.position = max(stream.position, before)
                if self._read(stream):
                    turns().add(partial(self._read, stream))
        if not woken:
            self._woken.popleft()
        return bool(self._woken)

    def _read(self, stream: Stream) -> bool:
        """One step: some of what it has not been told yet. Whether there is more, for one that reads."""
        client = stream.client
        if client is None or stream.idle:
            return False
        if client.paused:
            self._behind.setdefault(stream, self._registry.log.written)
            return False
        position = self._registry.log.position
        try:
            commits, is_all = read(self._registry.log, stream.position, stream.asked, _READ_PER_STEP)
        except Compacted:
            self._cut(stream)
            return False
        octets = bytearray()
        is_told = self._gather(stream, commits, octets)
        if octets:
            client.write(bytes(octets))
        if is_told and is_all:
            stream.position = position
            self._rest(stream)
            return False
        return True

    def _gather(self, stream: Stream, commits: list[tuple[int, Commit]], octets: bytearray) -> bool:
        """The messages of these commits, until they are a PIECE. Whether that was all."""
        for behind, commit in commits:
            passing = stream.passing = stream.passing or Passing(commit, stream.asked)
            if not passing.look():
                return False
            numbers = passing.numbers
            last = numbers[-1] if numbers and self._registry.log.is_last_of_index(behind) else -1
            for number in numbers:
                if number < stream.part:
                    continue
                data = self._messages.json(commit, number, stream.with_actor)
                octets += message(data, commit.index if number == last else None)
                stream.part = number + 1
                if len(octets) >= PIECE:
                    return False
            stream.position, stream.part, stream.passing = behind, 0, None
        return True

    def _rest(self, stream: Stream) -> None:
        stream.idle = True
        for service in stream.services:
            self._idle.setdefault(service, {})[stream] = None

    # -- those who do not read, and those to whom there is nothing to say

    def _is_lost(self, stream: Stream) -> bool:
        return self._registry.log.written - self._behind[stream] > MAX_BEHIND

    def _cut_the_lost(self) -> bool:
        """One step."""
        for stream in list(self._behind)[:1]:
            if self._is_lost(stream):
                self._cut(stream)
                return True
        return False

    def _cut(self, stream: Stream) -> None:
        self._watchers.cut += 1
        self._behind.pop(stream, None)
        stream.stop()

    def _comment(self, stream: Stream) -> None:
        if stream.client is not None and not stream.client.is_welcome():
            stream.stop()
        if stream.client is not None:
            if not stream.client.paused:
                stream.client.write(COMMENT)
            stream.timer = asyncio.get_running_loop().call_later(COMMENT_SECONDS, self._comment, stream)
