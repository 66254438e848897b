"""GET /changes: the events after an index as JSON, for whoever asks now and then instead of listening."""

from __future__ import annotations

import orjson

from discovery.core.event import Commit
from discovery.rest.api.answers import Answer
from discovery.rest.api.errors import HttpError
from discovery.rest.api.following.filters import EventFilter
from discovery.rest.api.following.waiting import CHANGES
from discovery.rest.api.query import parse
from discovery.rest.api.requests import Request
from discovery.rest.api.times import Times
from discovery.rest.watch.messages import Messages
from discovery.rest.watch.reading import Passing, read
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


class Changes:
    def __init__(self, registry: Registry, times: Times, messages: Messages) -> None:
        self._registry = registry
        self._times = times
        self._messages = messages

    async def changes(self, request: Request, with_actor: bool) -> Answer:
        """HttpError 410 when what came after `since` is not known any more, or never was."""
        values = parse(request.query, CHANGES)
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
        return HttpError(410, "INDEX_GONE", text, index=index, oldest=oldest)


_HEADERS = {"Cache-Control": "no-store"}


async def _passing(commit: Commit, asked: EventFilter) -> list[int]:
    passing = Passing(commit, asked)
    while not passing.look():
        await turns().over()
    return passing.numbers
