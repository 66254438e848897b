"""What an instance is to those who look for it: one word, shown by HTTP, and why."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    HEALTHY = "healthy"  # its lease runs and nothing below holds: it is in every answer
    UNHEALTHY = "unhealthy"  # its lease ran out: listed until the cleanup, in no answer
    SUSPECT = "suspect"  # it fell silent together with many others: in answers, behind the healthy ones
    MAINTENANCE = "maintenance"  # a person took it, or its service, out of answers until a time
    DRAINING = "draining"  # out of answers until that is undone, so that its clients can leave
    FAILING = "failing"  # the registry's own checks of it fail
    FLAPPING = "flapping"  # it changed too often: in answers only where nothing better is left


class Probed(StrEnum):
    """What a TCP connection to a suspect's own port came to, where that says something of the process behind it."""

    ACCEPTED = "accepted"  # it may live, though nobody hears it
    REFUSED = "refused"  # by a RST: its host lives and nobody listens


# A change into or out of these is a change of health: flap damping counts it.
DOWN = (Status.UNHEALTHY, Status.FAILING)
# The brake counts the silence of these alone. Of all others it is known why they may be silent.
TRUSTED = (Status.HEALTHY, Status.FLAPPING)
# Somebody asked for it to be out of answers.
TAKEN_OUT = (Status.DRAINING, Status.MAINTENANCE)
# Whose lease has run out, or is not believed: only these need more than a renewed lease when they beat.
SILENT = (Status.UNHEALTHY, Status.SUSPECT)
