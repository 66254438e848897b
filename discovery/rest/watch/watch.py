"""Long polls and /events, put together; and /changes, the events after an index as JSON, for whoever asks now and then."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from random import Random

import orjson

from discovery.core.caller import Caller
from discovery.core.event import Commit
from discovery.core.metric import Metric, counter, gauge
from discovery.rest.api.answers import Answer, DeferredAnswer
from discovery.rest.api.errors import HttpError
from discovery.rest.api.example import INDEX, Example, sample
from discovery.rest.api.following.event_view import CHANGES_REPLY, EVENT
from discovery.rest.api.following.filters import EventFilter
from discovery.rest.api.following.waiting import CHANGES, EVENTS
from discovery.rest.api.query import parse
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.times import Times
from discovery.rest.watch.messages import Messages
from discovery.rest.watch.polls import Polls
from discovery.rest.watch.reading import Passing, read
from discovery.rest.watch.streams import HeadAlone, Stream, Streams
from discovery.rest.watch.watchers import Watchers
from discovery.store.log import Compacted
from discovery.store.registry import Registry
from discovery.system.turns import turns

# Events in an answer, unless the request says otherwise.
LIMIT = 100
# Octets of events after which an answer ends, with the commit that is in hand: 100 events, 35 KiB each at the most.
MAX_OCTETS = 1024 * 1024
# Commits of one piece, and pieces that one request gets: then it is answered with what there is, perhaps with nothing, and its `index`
# says how far that was.
_PIECE = 50
_MAX_PIECES = 400


_HEADERS = {"Cache-Control": "no-store"}


async def _passing(commit: Commit, asked: EventFilter) -> list[int]:
    passing = Passing(commit, asked)
    while not passing.look():
        await turns().over()
    return passing.numbers


HEADING = "Following changes"
# A `since` that lies before every log.
_UNREADABLE = -1


def _stream() -> str:
    return f":\n\nid: {INDEX}\ndata: {json.dumps(sample(EVENT))}\n\n"


class Watch:
    """`sees_actors(caller)`: who may know who asked for a change, and from where. `polls`: what /resolve and /services wait with.

    `clock`: seconds that never go back. `has_other_nodes`: see `Polls`.
    """

    def __init__(
        self,
        registry: Registry,
        times: Times,
        random: Random,
        watchers: Watchers,
        sees_actors: Callable[[Caller], bool],
        clock: Callable[[], float] = time.monotonic,
        has_other_nodes: bool = False,
    ) -> None:
        self._registry = registry
        self._times = times
        self._messages = messages = Messages()
        self.watchers = watchers
        self.polls = Polls(registry, times, random, watchers, clock, has_other_nodes)
        self._streams = Streams(registry, random, watchers, messages)
        self._sees_actors = sees_actors

    def routes(self) -> list[Route]:
        since, drain = {"since": str(INDEX - 1)}, ("PUT /instances/user-1/drain",)
        return [
            Route(
                "GET", "/events", self.events, Right.READ, Kind.STREAM,
                "What happens, as it happens (Server-Sent Events); each message is an Event", HEADING,
                codes=("TOO_MANY_WATCHERS",), query=EVENTS, media="text/event-stream",
                examples=(Example(query=since, after=drain, text=_stream),),
            ),
            Route(
                "GET", "/changes", self.changes, Right.READ, Kind.QUESTION, "What has happened since an index", HEADING,
                CHANGES_REPLY, codes=("INDEX_GONE",), query=CHANGES, examples=(Example(query=since, after=drain),),
            ),
        ]  # fmt: skip

    def metrics(self) -> list[Metric]:
        watchers = self.watchers
        return [
            gauge("discovery_watchers", "Long polls that wait, and streams of events.", lambda: len(watchers)),
            counter(
                "discovery_watchers_refused", "Watchers that found no room (MAX_WATCHERS).", lambda: watchers.refused
            ),
            counter(
                "discovery_watchers_cut", "Streams that were ended: the client did not read.", lambda: watchers.cut
            ),
        ]

    def follow(self, services: Collection[str]) -> None:
        """As a follower of the registry's index."""
        self.polls.follow(services)
        self._streams.follow(services)

    def events(self, request: Request) -> DeferredAnswer:
        values = parse(request.query, EVENTS)
        since = values.get("since")
        last = request.header(b"last-event-id")
        if last:  # of a client that comes back, with the address it began with
            since = int(last) if last.isascii() and last.isdecimal() and len(last) < 20 else _UNREADABLE
        if request.method == "HEAD":
            return HeadAlone()
        return Stream(self._streams, EventFilter.of(values), since, self._sees_actors(request.caller))

    async def changes(self, request: Request) -> Answer:
        """HttpError 410 when what came after `since` is not known any more, or never was."""
        values, with_actor = parse(request.query, CHANGES), self._sees_actors(request.caller)
        log, asked, limit = self._registry.log, EventFilter.of(values), values.get("limit", LIMIT)
        since = values.get("since", log.oldest)
        if not log.oldest <= since <= self._registry.index:
            raise self._gone(since)
        try:
            index, events = await self._read(since, asked, limit, with_actor)
        except Compacted:  # while it was read
            raise self._gone(since) from None
        head = self._times.stamp({"index": index, "oldest": log.oldest})
        return Answer(200, b'{"changes":[%b],%b' % (b",".join(events), orjson.dumps(head)[1:]), _HEADERS)

    async def _read(self, since: int, asked: EventFilter, limit: int, with_actor: bool) -> tuple[int, list[bytes]]:
        """Up to which index, and the events as JSON."""
        index, events, octets = since, list[bytes](), 0
        position = self._registry.log.position_after(since)
        for _ in range(_MAX_PIECES):
            last = self._registry.index
            commits, is_all = read(self._registry.log, position, asked, _PIECE)
            for behind, commit in commits:
                found = [self._messages.json(commit, each, with_actor) for each in await _passing(commit, asked)]
                is_full = len(events) + len(found) > limit or octets > MAX_OCTETS
                if events and found and is_full and commit.index != index:
                    return index, events
                events += found
                octets += sum(map(len, found))
                index, position = commit.index, behind
                await turns().over()
            if is_all:
                return last, events
            await turns().over()
        return index, events

    def _gone(self, since: int) -> HttpError:
        oldest, index = self._registry.log.oldest, self._registry.index
        if since < oldest:
            text = f"What happened up to index {oldest} is no longer known, and {since} lies before it"
        else:
            text = f"{since} lies ahead: this registry is at index {index}, and may have lost what you know"
        text = f"{text}; read GET /services anew and go on from its X-Registry-Index"
        return HttpError("INDEX_GONE", text, index=index, oldest=oldest)
