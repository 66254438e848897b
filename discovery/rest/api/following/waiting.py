"""What a query says of the time it is about: `index` and `wait` of a request that waits until something has changed (a long poll), `since`
of one that wants to hear what has. Pure.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import NamedTuple, Protocol

from discovery.rest.api import parameters
from discovery.rest.api.answers import Answer, DeferredAnswer
from discovery.rest.api.following.filters import EVENT_FILTERS
from discovery.rest.api.query import Table, Values

# Seconds. Consul's are 300 and 600; proxies cut what is silent for 60, and one that sends `wait` knows of them.
DEFAULT_WAIT = 60.0
MAX_WAIT = 600.0
# An index fits 63 bits, as etcd's revisions do.
MAX_INDEX = 2**63 - 1
# Events in an answer of /changes.
MAX_CHANGES = 1000

WAITING: Table = {
    "index": parameters.whole(0, MAX_INDEX, "the X-Registry-Index of the last answer: wait for something newer"),
    "wait": parameters.duration(MAX_WAIT, "with index: at most so long, and up to a sixteenth more"),
}


_SINCE = parameters.whole(0, MAX_INDEX, "the index of what is known already")
# Of /events and /changes.
EVENTS: Table = {"since": _SINCE, **EVENT_FILTERS}
CHANGES: Table = {
    "since": _SINCE,
    "limit": parameters.whole(1, MAX_CHANGES, "at most so many events, but at least those of one commit"),
    **EVENT_FILTERS,
}


class Wait(NamedTuple):
    """`seen`: the index of what the client has. `seconds`: for how long at the most. `patience`: seconds after which it is answered as
    things are where there is no room for it to wait; None: it is refused.
    """

    seen: int
    seconds: float
    patience: float | None = None

    @classmethod
    def of(cls, values: Values) -> Wait | None:
        """None when there is nothing to wait for."""
        return cls(values["index"], values.get("wait", DEFAULT_WAIT)) if "index" in values else None


# What a query asks for, however long it waits: names and values, in order.
Asked = tuple[tuple[str, str], ...]


def without_wait(values: Values) -> Asked:
    return tuple(sorted((name, repr(value)) for name, value in values.items() if name not in WAITING))


# Makes the answer as it is now; raises as a handler does.
Make = Callable[[], "Answer | Awaitable[Answer]"]


class LongPolls(Protocol):
    """Who lets requests wait. `topics`: what is waited for besides services, under names that none has: a NUL, the name of a plugin, a
    blank and any text. By plugin, what tells the index of such a topic; the plugin says by `follow` that some have moved.
    """

    topics: dict[str, Callable[[str], int]]

    def follow(self, services: Collection[str]) -> None:
        """These services (folded names) and topics have moved."""

    def of_service(self, name: str, wait: Wait, asked: Asked, make: Make, is_drawn: bool = False) -> DeferredAnswer:
        """Until something about this service has changed. Requests with equal names and `asked` are answered together, each by
        itself where the answer `is_drawn` anew for each.
        """

    def of_services(self, wait: Wait) -> DeferredAnswer:
        """Until anything has changed; then it is handed on."""
