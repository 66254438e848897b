"""What an instance is to those who look for it: one word, shown by HTTP, and why."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    HEALTHY = "healthy"  # its lease runs, and nothing below holds: it is in every answer
    UNHEALTHY = "unhealthy"  # its lease ran out: listed until the cleanup, in no answer
    SUSPECT = (
        "suspect"  # it fell silent together with too many others to believe it: in answers, behind the healthy ones
    )
    MAINTENANCE = "maintenance"  # a person took it, or its service, out of answers until a time
    DRAINING = "draining"  # out of answers until it is undone, so that its clients can leave
    FAILING = "failing"  # the registry's own checks of it fail
    FLAPPING = "flapping"  # it changed too often: in answers only where nothing better is left
