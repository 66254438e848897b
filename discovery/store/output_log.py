"""What instances say of a health that has not changed: it is shown at once, is no event, and now and then a line of the log."""

from __future__ import annotations

import logging

from discovery.core.health import Finding
from discovery.core.log_fields import fields
from discovery.store.service import Entry

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
            "%s %s says of itself: %s [id %s]", spec.name, instance.address, own.output or own.health, instance.id,
            extra=fields(
                "instance.output", service=spec.name, ip=spec.ip, port=spec.port or None, id=instance.id, health=own.health,
                output=own.output,
            ),
        )  # fmt: skip
