"""A listener that writes one log line for each change: who, where, what and why."""

from __future__ import annotations

import logging

from discovery.core.change import Change, Kind

_log = logging.getLogger("discovery.registry")

_WARN = {Kind.UNHEALTHY, Kind.EXPIRED, Kind.SUSPECT, Kind.FAILING, Kind.FLAPPING}


def narrate(change: Change) -> None:
    if change.kind is Kind.RESTORED:  # the engine says how many in one line
        return
    level = logging.WARNING if change.kind in _WARN else logging.INFO
    instance = change.instance
    _log.log(
        level, "%s %s %s: %s [id %s, index %d]",
        change.kind.value, instance.spec.name, instance.address, change.reason, instance.id, change.index,
    )  # fmt: skip
