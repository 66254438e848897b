"""What the routes of the history take and answer, as /openapi.json describes them. Plugin `history` answers them."""

from __future__ import annotations

from discovery.core.schema import FLAG, TEXT, WHOLE, described, list_of, one_of, or_null
from discovery.rest.api import parameters
from discovery.rest.api.following.event_view import EVENT, KINDS
from discovery.rest.api.query import Table
from discovery.rest.api.resolving.resolving import EXPLAINED
from discovery.rest.api.shapes import TIME, reply

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


_EVENT = EVENT.also(
    "HistoryEvent",
    {"kind": one_of((*KINDS, *LIFE)), "until?": described(TIME, "of `stopped` and `unrecorded`")},
    "`timestamp`: when it came about; a lapse at the end of the lease.",
)
_SINCE = described(or_null(TIME), "from when on there is a history")
HISTORY_REPLY = reply(
    "HistoryReply",
    {
        "events": list_of(_EVENT),
        "next": described(or_null(TEXT), "`before` of the following page; null at the end"),
        "complete": described(FLAG, "nothing of what was asked for is missing; else `missing` says what"),
        "missing": or_null(TEXT),
        "since": _SINCE,
    },
    "Newest first.",
)
PAST_REPLY = reply(
    "PastReply",
    {
        "serviceName": TEXT,
        "at": TIME,
        "served": WHOLE,
        "down": described(or_null(TEXT), "why nobody was answered at that instant"),
        "explained": list_of(EXPLAINED),
        "gone": described(list_of(_EVENT), "what had removed those that were registered before"),
        "complete": FLAG,
        "since": _SINCE,
    },
)
