"""Events in the octets of /events and /changes. What has been encoded is kept for a moment: whoever follows wants the same next."""

from __future__ import annotations

import orjson

from discovery.core.event import Commit, Event
from discovery.rest.api.following.event_view import shown

# Encoded events that are kept, 35 KiB each at the most: what a wake of all watchers is about. Then all are forgotten.
_MAX_KEPT = 128


class Messages:
    def __init__(self) -> None:
        self._kept: dict[
            tuple[int, bool], tuple[Event, bytes]
        ] = {}  # by the event's identity, which it has as long as it is kept

    def json(self, commit: Commit, number: int, with_actor: bool) -> bytes:
        """The commit's event of this number, from 0 on."""
        event = commit.events[number]
        key = (id(event), with_actor)
        if (kept := self._kept.get(key)) is not None:
            return kept[1]
        if len(self._kept) >= _MAX_KEPT:
            self._kept.clear()
        octets = orjson.dumps(shown(event, commit, with_actor))
        self._kept[key] = event, octets
        return octets


def message(data: bytes, id: int | None) -> bytes:
    """Of a stream of Server-Sent Events (HTML standard, §9.2). `data`: JSON in one line."""
    return b"data: %b\n\n" % data if id is None else b"id: %d\ndata: %b\n\n" % (id, data)


def reset(index: int, oldest: int) -> bytes:
    """There is a gap: the client reads everything anew, and goes on from this index."""
    data = orjson.dumps({"index": index, "oldest": oldest})
    return b"event: reset\nid: %d\ndata: %b\n\n" % (index, data)


# A comment, which clients pass over: it shows a proxy, and us, that the other side is there.
COMMENT = b":\n\n"
