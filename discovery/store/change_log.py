"""A follower that writes one log line for each thing that happened to an instance: who, where, what and why."""

from __future__ import annotations

import logging

from discovery.core.event import Commit, InstanceEvent, Kind

_log = logging.getLogger("discovery.registry")

_WARN = {Kind.UNHEALTHY, Kind.EXPIRED, Kind.SUSPECT, Kind.FAILING, Kind.FLAPPING}


def log_commit(commit: Commit) -> None:
    for event in commit.events:
        if (
            isinstance(event, InstanceEvent) and event.kind is not Kind.RESTORED
        ):  # the journal says how many in one line
            _log_event(event, commit.index)


def _log_event(event: InstanceEvent, index: int) -> None:
    level = logging.WARNING if event.kind in _WARN else logging.INFO
    instance = event.instance
    _log.log(
        level, "%s %s %s: %s [id %s, index %d]",
        event.kind.value, instance.spec.name, instance.address, event.reason, instance.id, index,
    )  # fmt: skip
