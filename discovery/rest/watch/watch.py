"""Long polls, /events and /changes, put together."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Collection
from random import Random

from discovery.core.caller import Caller
from discovery.core.metric import Metric, counter, gauge
from discovery.rest.api.answers import Answer
from discovery.rest.api.deferred_answer import DeferredAnswer
from discovery.rest.api.example import INDEX, Example, sample_of
from discovery.rest.api.following.events import ChangesReply, Event
from discovery.rest.api.following.filters import EventFilter
from discovery.rest.api.following.waiting import CHANGES, EVENTS
from discovery.rest.api.query import parse
from discovery.rest.api.requests import Request
from discovery.rest.api.route import Kind, Right, Route
from discovery.rest.api.times import Times
from discovery.rest.watch.changes import Changes
from discovery.rest.watch.messages import Messages
from discovery.rest.watch.polls import Polls
from discovery.rest.watch.streams import HeadAlone, Stream, Streams
from discovery.rest.watch.watchers import Watchers
from discovery.store.registry import Registry

HEADING = "Following changes"
# A `since` that lies before every log.
_UNREADABLE = -1


def _stream() -> str:
    return f":\n\nid: {INDEX}\ndata: {json.dumps(sample_of(Event))}\n\n"


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
        messages = Messages()
        self.watchers = watchers
        self.polls = Polls(registry, times, random, watchers, clock, has_other_nodes)
        self._streams = Streams(registry, random, watchers, messages)
        self._changes = Changes(registry, times, messages)
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
                ChangesReply, codes=("INDEX_GONE",), query=CHANGES, examples=(Example(query=since, after=drain),),
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

    def changes(self, request: Request) -> Awaitable[Answer]:
        return self._changes.changes(request, self._sees_actors(request.caller))
