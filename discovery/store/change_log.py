"""A follower that writes one log line for each event: who, where, what and why."""

from __future__ import annotations

import logging

from discovery.core.event import RESTORE, Commit, DrainEvent, InstanceEvent, Kind, WindowEvent

_log = logging.getLogger("discovery.registry")

_WARN = {Kind.UNHEALTHY, Kind.EXPIRED, Kind.SUSPECT, Kind.FAILING, Kind.FLAPPING}


def log_commit(commit: Commit) -> None:
    if commit.action == RESTORE:  # the journal says how many in one line
        return
    for event in commit.events:
        if isinstance(event, InstanceEvent):
            _log_instance(event, commit.index)
        elif isinstance(event, WindowEvent):
            scope = event.scope
            what = scope.service if scope.ip is None else f"{scope.service} {scope.ip} port {scope.port}"
            verb = "ends" if event.after is None else "begins" if event.before is None else "goes on"
            _log.info("maintenance of %s %s: %s [index %d]", what, verb, event.reason, commit.index)
        elif isinstance(event, DrainEvent):
            verb = "forgotten" if event.after is None else "remembered"
            key = event.key
            _log.info(
                "drain of %s %s port %d %s: %s [index %d]",
                key.service,
                key.ip,
                key.port,
                verb,
                event.reason,
                commit.index,
            )


def _log_instance(event: InstanceEvent, index: int) -> None:
    level = logging.WARNING if event.kind in _WARN else logging.INFO
    instance = event.instance
    _log.log(
        level, "%s %s %s: %s [id %s, index %d]",
        event.kind.value, instance.spec.name, instance.address, event.reason, instance.id, index,
    )  # fmt: skip
