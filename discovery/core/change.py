"""A Change: one visible thing that happened to one instance. Heartbeats are not changes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from discovery.core.instance import Instance
from discovery.core.status import Status


class Kind(StrEnum):
    """What happened to its place in the table, or the status it has from now on (`Status`, of the same names)."""

    REGISTERED = "registered"
    RESTORED = "restored"  # known from before this process; the only kind that does not move the index
    UPDATED = "updated"  # other contents (registered again, drained), and the same status
    DEREGISTERED = "deregistered"  # somebody asked for it
    EXPIRED = "expired"  # removed because its lease had run out

    HEALTHY = Status.HEALTHY.value
    UNHEALTHY = Status.UNHEALTHY.value
    SUSPECT = Status.SUSPECT.value
    MAINTENANCE = Status.MAINTENANCE.value
    DRAINING = Status.DRAINING.value
    FAILING = Status.FAILING.value
    FLAPPING = Status.FLAPPING.value


@dataclass(frozen=True, slots=True)
class Change:
    """`index` grows with each change, by one but for zone files that were read in between.

    `instance` is the state after the change (before it, for removals).
    """

    index: int
    kind: Kind
    instance: Instance
    reason: str
