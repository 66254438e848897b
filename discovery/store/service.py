"""A service and its instances as the registry keeps them: an Entry each, read by everyone, written by the registry alone."""

from __future__ import annotations

from discovery.core.instance import Instance
from discovery.core.lease import Lease
from discovery.core.name import fold

Address = tuple[str, int]  # (ip, port): the key of an instance within its service


class Entry:
    """An instance and its lease. `unhealthy`: the registry has published that the lease ran out.

    `due` is the deadline under which the entry waits in the registry's queue, None once it is removed.
    """

    __slots__ = ("due", "instance", "lease", "unhealthy")

    def __init__(self, instance: Instance, lease: Lease) -> None:
        self.instance = instance
        self.lease = lease
        self.unhealthy = False
        self.due: float | None = None


class Service:
    """`name` as first registered, `key` its folded octets, as DNS wants them.

    `entries` in the order of registration, those included whose lease has run out.
    """

    __slots__ = ("entries", "key", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = fold(name).encode("ascii")
        self.entries: dict[Address, Entry] = {}

    def healthy(self, now: float) -> list[Entry]:
        """Those whose lease still runs at `now`: expiry is tested here, at the read, not when a sweep comes by."""
        return [entry for entry in self.entries.values() if entry.lease.alive(now)]
