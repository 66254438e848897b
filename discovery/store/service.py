"""A service and its instances as this process keeps them: an Entry each, read by everyone, written by the registry's apply alone."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from discovery.core.instance import Instance
from discovery.core.lease import Lease
from discovery.core.name import fold
from discovery.core.status import Probed, Status
from discovery.store.brake import Hold
from discovery.store.damping import Flaps
from discovery.store.node_status import DIRECT, NodeStatus

Address = tuple[str, int]  # (ip, port): the key of an instance within its service

_HEALTHY = Status.HEALTHY  # looking into an enum takes as long as all the rest of a test
_SUSPECT = Status.SUSPECT

# What stands for the lease of a suspect: it is in answers until a commit says otherwise.
_NEVER_ENDING = Lease(1e9, 0.0)


class Entry:
    """An instance, its lease, and this process's own estimates about it.

    `index`: of the commit that changed it last. `since`: when its status became what it is, epoch seconds. `flaps`: its latest changes of
    health; None before the first. `brake_released_at`: when the brake last let go of it. `next_action_at`: when one that is unhealthy is
    removed, or the brake is asked about a suspect again. `due`: the deadline under which it waits in the queue, None once it is removed.
    `through`: the node that heard it last.
    """

    __slots__ = (
        "brake_released_at",
        "due",
        "flaps",
        "index",
        "instance",
        "lease",
        "next_action_at",
        "since",
        "through",
    )

    def __init__(self, instance: Instance, lease: Lease, index: int = 0, since: float = 0.0) -> None:
        self.instance = instance
        self.lease = lease
        self.index = index
        self.since = since
        self.brake_released_at = float("-inf")
        self.flaps: Flaps | None = None
        self.next_action_at = 0.0
        self.due: float | None = None
        self.through: NodeStatus = DIRECT

    @property
    def status(self) -> Status:
        """As it was decided last; suspect, too, while the node that heard it last is silent."""
        status = self.instance.status
        return _SUSPECT if self.through.silent and status is _HEALTHY else status

    @property
    def suspect(self) -> bool:
        return self.status is _SUSPECT

    @property
    def rank(self) -> int:
        """Its place among those that are served: suspects come after the healthy, and first of them those whose port accepts."""
        if not self.suspect:
            return 0
        return 1 if self.instance.probed is Probed.ACCEPTED else 2

    def healthy(self, now: float) -> bool:
        """Expiry is tested here, at the read, not when a sweep comes by."""
        return self.instance.status is _HEALTHY and self.lease.alive(now) and not self.through.silent

    @property
    def brake_released(self) -> bool:
        """The brake has let go of it since it last beat."""
        return self.brake_released_at > self.lease.renewed_at

    def status_at(self, now: float) -> Status:
        """As a reader at `now` has to see it, whether or not anybody was told that the lease has run out."""
        status = self.status
        return status if status is _SUSPECT or self.lease.alive(now) else Status.UNHEALTHY

    @property
    def effective_lease(self) -> Lease:
        """How long it stays in answers unless a commit says otherwise."""
        return _NEVER_ENDING if self.suspect else self.lease


rank_of = attrgetter("rank")


class Service:
    """`name` as first registered, `key` its folded octets, as DNS wants them. `hold`: the brake's, while it has suspects. `calm_at`:
    when the silent ones were last counted and were not too many. `index`: of the last commit about it.

    `entries` in the order of registration, those included whose lease has run out.
    """

    __slots__ = ("calm_at", "entries", "hold", "index", "key", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = fold(name).encode("ascii")
        self.entries: dict[Address, Entry] = {}
        self.hold: Hold | None = None
        self.calm_at: float | None = None
        self.index = 0

    def note_calm(self, at: float) -> None:
        self.calm_at = at

    def healthy(self, now: float) -> list[Entry]:
        """Those whose lease still runs at `now` and that nothing keeps out of answers."""
        return [entry for entry in self.entries.values() if entry.healthy(now)]

    def served(self, now: float) -> list[Entry]:
        return served(self.entries.values(), now)


def served(entries: Iterable[Entry], now: float) -> list[Entry]:
    """Those of `entries` that belong into an answer: the healthy ones, then the suspects; where there are neither, those that flap."""
    entries = list(entries)
    healthy = [
        entry
        for entry in entries
        if entry.instance.status is _HEALTHY and entry.lease.alive(now) and not entry.through.silent
    ]  # as Entry.healthy
    if len(healthy) == len(entries):  # nearly always
        return healthy
    found = healthy + sorted((entry for entry in entries if entry.suspect), key=rank_of)
    return found or [entry for entry in entries if entry.instance.status is Status.FLAPPING and entry.lease.alive(now)]
