"""What is asked of the history, and what it answers: values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from discovery.core.caller import Caller
from discovery.core.event import ValueEvent
from discovery.core.instance import Instance
from discovery.plugins.history.rows import StoredEvent
from discovery.rest.api.errors import HttpError
from discovery.rest.api.times import iso


class Cursor(NamedTuple):
    """A page ends before this: `file` by its number, `key` of the event there."""

    file: int
    key: int


class Asked(NamedTuple):
    """None: all. `services` folded; `ip` of instances; `actor`: a token's name, or the address of whoever asked. `since` is part of it,
    `until` is not; epoch seconds.
    """

    services: frozenset[str] | None = None
    ip: str | None = None
    actor: str | None = None
    kinds: frozenset[str] | None = None
    since: float | None = None
    until: float | None = None
    before: Cursor | None = None
    limit: int = 100

    def wants(self, life: ServerEvent) -> bool:
        """Starts and stops concern every service and host; nobody's token brings them about. What lasts is wanted if any of it is."""
        if self.actor is not None or (self.kinds is not None and life.kind not in self.kinds):
            return False
        return (self.since is None or life.until >= self.since) and (self.until is None or life.wall < self.until)


class ServerEvent(NamedTuple):
    """Of the server, told like an event. `kind`: one of `replies.LIFE`. `file` and `key`: where it stands between the events.
    `until`: of what lasts.
    """

    file: int
    key: int
    kind: str
    wall: float
    until: float
    commit: int
    reason: str


# What was kept besides the instances, by the kind of its events and its key.
Values = dict[tuple[type[ValueEvent[Any, Any]], Any], Any]


class Page(NamedTuple):
    """Newest first. `next`: the cursor of the following page; None at the end. `since`: from when on there is a history, epoch seconds;
    None: there is none. `missing`: why it is not all there, in words; None when it is.
    """

    items: Sequence[StoredEvent | ServerEvent]
    next: Cursor | None
    since: float | None
    missing: str | None


class InstanceAt(NamedTuple):
    """An instance as it was at an instant. `since`: when its status became that. `lease_end`: when its lease had ended; None while it ran,
    or where that is not known. `gone`: the event that removed it; None while it was registered. `by`: who brought its status
    about; None: not known.
    """

    instance: Instance
    since: float | None
    lease_end: float | None = None
    gone: StoredEvent | None = None
    by: Caller | None = None


class ServiceAt(NamedTuple):
    """Of one service, at one instant. `down`: why nobody was answered then; None: whoever asked was. `since`: as in Page. `sure`: False
    where the server may have been dead by then.
    """

    instances: Sequence[InstanceAt]
    values: Values
    down: str | None
    since: float | None
    sure: bool = True


class TooSlow(HttpError):
    def __init__(self, seconds: float) -> None:
        text = f"The history could not be searched in {seconds:g} s; ask for less: a service, an ip, or a shorter time (from, to)"
        super().__init__("HISTORY_TOO_SLOW", text)


class NotKnown(HttpError):
    """`since`: from when on there is a history, epoch seconds."""

    def __init__(self, why: str, since: float | None) -> None:
        super().__init__("NOT_RECORDED", why, **({} if since is None else {"since": iso(since)}))
