"""The instances of one service at an instant, from a state before it and what happened since. Pure; epoch seconds.

An instance leaves the answers when its lease ends, and an event of that follows: between the two it is as it was, with its lease over. So
an event that was committed after the instant counts where its `lapsed_at` lies before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from discovery.core.caller import Caller
from discovery.core.event import InstanceEvent, instant_of
from discovery.core.instance import Instance
from discovery.core.kinds import SettingsEvent, WindowEvent
from discovery.core.status import SILENT, TAKEN_OUT, Status
from discovery.plugins.history.asked import InstanceAt, ServiceAt, Values
from discovery.plugins.history.rows import StoredEvent
from discovery.store.explain import Account, any_better, told
from discovery.store.values import window_of

# Seconds. An event follows the end of a lease at the next turn of the reaper; a loaded one is late by some.
MAX_LATE = 600.0

# Instances, each with the time since when it had its status; None: not known.
Known = Iterable[tuple[Instance, float | None]]


def instances(
    instant: float, known: Known, events: Iterable[StoredEvent], untold: Mapping[str, float]
) -> list[InstanceAt]:
    """`known`: those of the state. `events`: in order, those until the instant and those for `MAX_LATE` after it.

    `untold`: by id, of those that are registered now: when their lease ended, if no event has told so yet.
    """
    found = {each.id: InstanceAt(each, since) for each, since in known}
    lapses = {id: ended for id, ended in untold.items() if ended <= instant}
    for stored in events:
        event = stored.event
        if not isinstance(event, InstanceEvent):
            continue
        id = event.instance.id
        if stored.wall <= instant:
            before = (
                found.pop(id, None) if event.before is None else found.get(id)
            )  # what comes back comes last, as in the table
            found[id] = _then(event, stored, before)
        elif event.lapsed_at is not None and event.lapsed_at <= instant:
            lapses[id] = event.lapsed_at
    return [
        each._replace(lease_end=lapses.get(id, each.lease_end)) if each.gone is None else each
        for id, each in found.items()
    ]


def _then(event: InstanceEvent, stored: StoredEvent, before: InstanceAt | None) -> InstanceAt:
    if event.after is None:
        return InstanceAt(event.instance, stored.wall, gone=stored)
    ended, by = None if event.renews else event.lapsed_at, event.asker(stored.by, before and before.by)
    if event.before is not None and event.before.status is event.after.status:
        known = InstanceAt(event.after, None) if before is None else before._replace(instance=event.after)
        return known._replace(lease_end=ended, by=by)
    return InstanceAt(event.after, instant_of(event, stored.wall), ended, by=by)


def values_at(instant: float, known: Values, events: Iterable[StoredEvent]) -> Values:
    """What was kept besides; `known` and `events` as above."""
    found = dict(known)
    for stored in events:
        event = stored.event
        if stored.wall <= instant and not isinstance(event, InstanceEvent):
            found[type(event), event.key] = event.after
    return {which: value for which, value in found.items() if value is not None}


# By id: the status that an instance has had from an instant until now, since when, and who brought it about, if that is known.
Lasting = Mapping[str, tuple[Status, float, Caller | None]]


def _as_it_lasts(each: InstanceAt, lasting: Lasting) -> InstanceAt:
    status, since, by = lasting.get(each.instance.id, (None, None, None))
    return each if status is not each.instance.status else each._replace(since=since, by=by or each.by)


def accounts(then: ServiceAt, sees_names: bool, lasting: Lasting) -> list[Account]:
    """Of those that were registered. For how long their leases ran on is not known."""
    windows = {key: value for (of, key), value in then.values.items() if of is WindowEvent}
    settings = then.values.get((SettingsEvent, None))
    present = [_as_it_lasts(each, lasting) for each in then.instances if each.gone is None]
    better, found = any_better(map(_status, present)), []
    for each in present:
        instance, status, ended = each.instance, _status(each), each.lease_end
        own = instance.spec.ttl
        ttl = None if settings is None else settings.grace + (own or settings.heartbeat_timeout_seconds)
        lapsed = status is not instance.status
        window, by = window_of(windows, instance), each.by if sees_names and status in TAKEN_OUT else None
        why, served = told(instance, status, better, ttl, window, by)
        since = ended if lapsed else instance.draining_since if status is Status.DRAINING else each.since
        until = window.until if window is not None and status is Status.MAINTENANCE else None
        beaten = None if ended is None or ttl is None else ended - ttl
        found.append(Account(instance, status, served, why, since, until, by, last_heartbeat=beaten))
    return found


def _status(each: InstanceAt) -> Status:
    """As a reader saw it."""
    status = each.instance.status
    return Status.UNHEALTHY if each.lease_end is not None and status not in SILENT else status
