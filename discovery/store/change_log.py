"""A follower that writes one log line for each event: who, where, what and why."""

from __future__ import annotations

import logging
from typing import Any

from discovery.core.address import place_text
from discovery.core.event import RESTORE, Commit, InstanceEvent, Kind, ValueEvent
from discovery.core.log_fields import fields

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
        level, "%s %s %s: %s [id %s, index %d]",
        event.kind.value, spec.name, instance.address, event.reason, instance.id, index,
        extra=fields(
            f"instance.{event.kind}", service=spec.name, ip=spec.ip, port=spec.port or None, id=instance.id, reason=event.reason,
            index=index, actor=by.name, client=by.address,
        ),
    )  # fmt: skip


def _log_value(event: ValueEvent[Any, Any], commit: Commit) -> None:
    kind, phase, place, index, by = event.kind, event.phase, event.place, commit.index, commit.by
    name = getattr(event.after or event.before, "name", "") or "(no name)" if "name" in kind.fields else None
    where = f"{event.service} {place_text(place['ip'], place['port'])}" if place.get("ip") else event.service
    what = place if event.service is not None or name is None else {kind.noun: name} | place
    _log.log(
        logging.WARNING if kind.warns else logging.INFO,
        "%s %s: %s [index %d]", kind.text.format(place=where, name=name, **place), kind.verbs[phase], event.reason, index,
        extra=fields(
            f"{kind.noun}.{(kind.log_verbs or kind.verbs)[phase]}", **what, reason=event.reason, index=index,
            actor=by.name, client=by.address,
        ),
    )  # fmt: skip
