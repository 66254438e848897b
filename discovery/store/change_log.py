"""Lines of the log: one for each event (who, where, what and why), by a follower; and what instances say besides."""

from __future__ import annotations

import logging
from typing import Any

from discovery.core.address import place_text
from discovery.core.event import RESTORE, Commit, InstanceEvent, Kind, ValueEvent
from discovery.core.health import Finding
from discovery.store.service import Entry

_log = logging.getLogger("discovery.registry")

_WARN = {Kind.UNHEALTHY, Kind.EXPIRED, Kind.SUSPECT, Kind.FAILING, Kind.FLAPPING}


def log_commit(commit: Commit) -> None:
    if commit.action == RESTORE:  # the journal says how many in one line
        return
    for event in commit.events:
        if isinstance(event, InstanceEvent):
            _log_instance(event, commit)
        elif event.kind.text:
            _log_value(event, commit)


def _log_instance(event: InstanceEvent, commit: Commit) -> None:
    level = logging.WARNING if event.kind in _WARN else logging.INFO
    instance, index, by = event.instance, commit.index, commit.by
    spec = instance.spec
    _log.log(
        level, "%(_kind)s %(service)s %(_address)s: %(reason)s [id %(id)s, index %(index)d]",
        {
            "event": f"instance.{event.kind}", "service": spec.name, "ip": spec.ip, "port": spec.port or None, "id": instance.id,
            "reason": event.reason, "index": index, "actor": by.name, "client": by.address, "_kind": event.kind,
            "_address": instance.address,
        },
    )  # fmt: skip


def _log_value(event: ValueEvent[Any, Any], commit: Commit) -> None:
    kind, phase, place, index, by = event.kind, event.phase, event.place, commit.index, commit.by
    name = getattr(event.after or event.before, "name", "") or "(no name)" if "name" in kind.fields else None
    where = f"{event.service} {place_text(place['ip'], place['port'])}" if place.get("ip") else event.service
    what = place if event.service is not None or name is None else {kind.noun: name} | place
    _log.log(
        logging.WARNING if kind.warns else logging.INFO,
        "%(_what)s %(_verb)s: %(reason)s [index %(index)d]",
        {
            "event": f"{kind.noun}.{(kind.log_verbs or kind.verbs)[phase]}", **what, "reason": event.reason, "index": index,
            "actor": by.name, "client": by.address, "_what": kind.text.format(place=where, name=name, **place), "_verb": kind.verbs[phase],
        },
    )  # fmt: skip


# -- what instances say of a health that has not changed: it is shown at once, is no event, and now and then a line

_log = logging.getLogger("discovery.registry")

# Seconds between two lines about one instance, and of how many there are lines in that time: 14 a second.
EVERY = 300.0
MAX_INSTANCES = 4096


class OutputLog:
    def __init__(self) -> None:
        self._told: dict[str, float] = {}  # when each had its line, monotonic, by id; the oldest first

    def note(self, entry: Entry, own: Finding | None, now: float) -> None:
        """`own`: what its heartbeat said, with the health that it had; None: nothing. `now`: monotonic."""
        if own is None or own.output == entry.own.output:
            return
        entry.output = own.output
        told, instance = self._told, entry.instance
        while told and next(iter(told.values())) <= now - EVERY:
            del told[next(iter(told))]
        if instance.id in told or len(told) >= MAX_INSTANCES:
            return
        told[instance.id] = now
        spec = instance.spec
        _log.info(
            "%(service)s %(_address)s says of itself: %(_says)s [id %(id)s]",
            {
                "event": "instance.output", "service": spec.name, "ip": spec.ip, "port": spec.port or None, "id": instance.id,
                "health": own.health, "output": own.output, "_address": instance.address, "_says": own.output or own.health,
            },
        )  # fmt: skip
