"""A follower that writes one log line for each event: who, where, what and why."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from discovery.core.event import RESTORE, Commit, Event, InstanceEvent, Kind, ValueEvent
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
    instance, spec = event.instance, event.instance.spec
    what = {"service": spec.name, "ip": spec.ip, "port": spec.port, "id": instance.id}
    _log.log(
        level, "%s %s %s: %s [id %s, index %d]",
        event.kind.value, spec.name, instance.address, event.reason, instance.id, commit.index,
        extra=_fields(f"instance.{event.kind}", what, event, commit),
    )  # fmt: skip


def _log_value(event: ValueEvent[Any, Any], commit: Commit) -> None:
    kind, place, value = event.kind, event.place, event.after or event.before
    name = getattr(value, "name", None) or "(no name)"
    where = f"{place.get('service')} {place['ip']} port {place['port']}" if place.get("ip") else place.get("service")
    what = place if event.service is not None or value is None else {kind.noun: name} | place
    _log.log(
        logging.WARNING if kind.warns else logging.INFO,
        "%s %s: %s [index %d]", kind.text.format(place=where, name=name), event.verb.word, event.reason, commit.index,
        extra=_fields(f"{kind.noun}.{event.verb.log}", what, event, commit),
    )  # fmt: skip


def _fields(name: str, what: Mapping[str, Any], event: Event, commit: Commit) -> Mapping[str, object]:
    by = commit.by
    return fields(name, **what, reason=event.reason, index=commit.index, actor=by.name, client=by.address)
