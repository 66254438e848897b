"""Events and instances as rows of a history file, and back.

The columns of an instance are those of how it was `after` an event, or `before` when it was removed. What else `before` was is JSON in
`other`: the four fields that a status comes with, or all of it where the registration is another one. An event about something else
(`core.kinds`) is JSON in `other` altogether. Encoding is 1.5 µs an event, which is why it is no JSON at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from discovery.core import codec, exact_json
from discovery.core.caller import Caller
from discovery.core.check_states import failed
from discovery.core.codec import facts
from discovery.core.event import Commit, Event, InstanceEvent, Kind, ValueEvent
from discovery.core.instance import Instance, options
from discovery.core.name import fold
from discovery.core.status import Status

Row = tuple[Any, ...]

# Events of an index have the numbers below this behind it; a commit has 100, and a few.
PER_COMMIT = 1024

INSTANCE = "service, ip, port, id, name, registered_at, draining_since, ttl, status, failing, metadata, options"
INSTANCE_WIDTH = 12
KNOWN = f"{INSTANCE}, since"
KNOWN_WIDTH = INSTANCE_WIDTH + 1
EVENT = f"key, wall, lapsed, kind, actor, address, reason, present, other, {INSTANCE}"
EVENT_WIDTH = 9 + INSTANCE_WIDTH
_NO_INSTANCE: Row = (None,) * (INSTANCE_WIDTH - 2)


class StoredEvent(NamedTuple):
    """An event with what its commit said. `key`: see `keyed`. `wall`: the commit's. `file`: by its number; 0 until it was
    read from one.
    """

    key: int
    wall: float
    by: Caller
    event: Event
    file: int = 0

    @property
    def index_of_commit(self) -> int:
        return self.key // PER_COMMIT


class Keyed(NamedTuple):
    """`first`: the key of its first event; the others follow."""

    first: int
    commit: Commit

    @property
    def end(self) -> int:
        return self.first + len(self.commit.events)


def keyed(commits: Iterable[Commit], end: int = 0) -> Iterator[Keyed]:
    """Keys in order, none twice: an event's is its index * PER_COMMIT and its number among all of this index, of which there may be
    several commits. `end`: behind those before. More than PER_COMMIT events of one index go on where the next ones would be.
    """
    for commit in commits:
        found = Keyed(max(commit.index * PER_COMMIT, end), commit)
        end = found.end
        yield found


def of_commit(keyed: Keyed) -> list[Row]:
    first, commit = keyed
    return [_of_event(first + number, commit, event) for number, event in enumerate(commit.events)]


def _of_event(key: int, commit: Commit, event: Event) -> Row:
    by = commit.by
    if not isinstance(event, InstanceEvent):
        content = exact_json.dumps(codec.of_event(event))
        about = (key, commit.wall, None, event.name, by.name, by.address, event.reason, 0, content)
        return (*about, event.service, event.place.get("ip"), *_NO_INSTANCE)
    before, after = event.before, event.after
    other = None if before is None or after is None else _other(before, after)
    present = 0 if after is None else 1
    head = (key, commit.wall, event.lapsed_at, event.kind.value, by.name, by.address, event.reason, present, other)
    return head + of_instance(event.instance, event.service)


def of_instance(instance: Instance, service: str) -> Row:
    spec = instance.spec
    chosen = options(spec) | facts(instance)
    return (
        service, spec.ip, spec.port, instance.id, spec.name, instance.registered_at, instance.draining_since, spec.ttl or 0.0,
        instance.status.value, instance.failing, spec.metadata, exact_json.dumps(chosen) if chosen else None,
    )  # fmt: skip


def of_known(instance: Instance, since: float | None) -> Row:
    """Of the state that a file begins with. `since`: when its status became what it is; None: not known."""
    return (*of_instance(instance, fold(instance.spec.name)), since)


def of_value(event: ValueEvent[Any, Any]) -> Row:
    """Of the state that a file begins with, as the event that led to it."""
    return event.service, exact_json.dumps(codec.of_event(event))


def value(content: bytes) -> ValueEvent[Any, Any]:
    found = codec.event_of(exact_json.loads(content))
    assert isinstance(found, ValueEvent)
    return found


def _other(before: Instance, after: Instance) -> bytes:
    if (before.spec is after.spec or before.spec == after.spec) and facts(before) == facts(after):
        return orjson.dumps([before.status, before.failing, before.draining_since, 0.0])  # four, for older versions
    return exact_json.dumps(codec.of_instance(before))


def stored(row: Row) -> StoredEvent:
    """ValueError, or core's errors, where it is not what was written."""
    key, wall, lapsed, kind, actor, address, reason, present, other, *of = row
    by = Caller(address, actor)
    if other is not None and of[3] is None:
        return StoredEvent(key, wall, by, codec.event_of(exact_json.loads(other)))
    now = instance(tuple(of))
    before = after = None
    if present:
        after = now
        before = None if other is None else _before(now, exact_json.loads(other))
    else:
        before = now
    return StoredEvent(key, wall, by, InstanceEvent(Kind(kind), of[0], before, after, reason, lapsed_at=lapsed))


def instance(row: Row) -> Instance:
    _, ip, port, id, name, registered_at, draining_since, _, status, failing, metadata, chosen = row
    options = {} if chosen is None else exact_json.loads(chosen)
    return codec.instance(
        {
            **options,  # facts stand among them
            "id": id,
            "registeredAt": registered_at,
            "name": name,
            "ip": ip,
            "port": port or None,
            "metadata": exact_json.loads(metadata),
            "options": options,
            "drainingSince": draining_since,
            "status": status,
            "failing": failing,
        }
    )


def _before(after: Instance, other: Any) -> Instance:
    if isinstance(other, dict):
        return codec.instance(other)
    status, failing, draining_since, _ = other
    states = after.checks if failing == after.failing else failed(after.spec.checks, failing)
    return after._replace(status=Status(status), checks=states, draining_since=draining_since)
