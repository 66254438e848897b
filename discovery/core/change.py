"""A Change: one visible thing that happened to one instance. Heartbeats are not changes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from discovery.core.instance import Instance


class Kind(StrEnum):
    REGISTERED = "registered"
    UPDATED = "updated"  # registered again with other contents
    UNHEALTHY = "unhealthy"  # its lease ran out: listed, never resolved
    HEALTHY = "healthy"  # a heartbeat came before the cleanup did
    DEREGISTERED = "deregistered"  # somebody asked for it
    EXPIRED = "expired"  # removed because its lease had run out


@dataclass(frozen=True, slots=True)
class Change:
    """`index` grows with each change, by one but for zone files that were read in between.

    `instance` is the state after the change (before it, for removals).
    """

    index: int
    kind: Kind
    instance: Instance
    reason: str
