"""What the routes of the history take and answer, as /openapi.json describes them. Plugin `history` answers them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, WithJsonSchema

from discovery.rest.api import parameters
from discovery.rest.api.following.event_view import KINDS
from discovery.rest.api.following.events import Event
from discovery.rest.api.query import Table
from discovery.rest.api.resolving.resolving import Explained
from discovery.rest.api.shapes import Perhaps, Reply, Time

# What happened to the server, and to the history itself, told like events.
STARTED = "started"
STOPPED = "stopped"
UNRECORDED = "unrecorded"
LIFE = (STARTED, STOPPED, UNRECORDED)

MAX_LIMIT = 1000

HISTORY: Table = {
    "service": parameters.names("what happened to these services"),
    "ip": parameters.ip("what happened to instances at this address"),
    "actor": parameters.text(
        128, "what was asked for by this token, by its name, or from this address; takes the right read"
    ),
    "kind": parameters.some_of((*KINDS, *LIFE), "the events of these kinds"),
    "from": parameters.moment("from this time on"),
    "to": parameters.moment("before this time"),
    "limit": parameters.whole(1, MAX_LIMIT, "at most so many events; 100 where it is not given"),
    "before": parameters.cursor((12, 18), "7.1838719167488"),
}
EXPLAIN: Table = {"at": parameters.moment("the instant; now where it is not given")}


class HistoryEvent(Event):
    """`timestamp`: when it came about; a lapse at the end of the lease. `until`: of `stopped` and `unrecorded`."""

    kind: Annotated[str, WithJsonSchema({"enum": [*KINDS, *LIFE]})]
    until: Perhaps[Time] = None


class HistoryReply(Reply):
    """Newest first. `complete`: nothing of what was asked for is missing; else `missing` says what. `since`: from when on there is a
    history.
    """

    events: list[HistoryEvent]
    next: str | None = Field(description="`before` of the following page; null at the end")
    complete: bool
    missing: str | None
    since: Time | None


class PastReply(Reply):
    """`down`: why nobody was answered at that instant. `gone`: what had removed those that were registered before."""

    service_name: str
    at: Time
    served: int
    down: str | None
    explained: list[Explained]
    gone: list[HistoryEvent]
    complete: bool
    since: Time | None
