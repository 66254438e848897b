"""A service and its instances as the registry keeps them: an Entry each, read by everyone, written by the registry alone."""

from __future__ import annotations

from collections.abc import Iterable

from discovery.core.instance import Instance
from discovery.core.lease import Lease
from discovery.core.name import fold
from discovery.core.status import Status
from discovery.store.brake import Hold
from discovery.store.damping import Flaps

Address = tuple[str, int]  # (ip, port): the key of an instance within its service

_HEALTHY = Status.HEALTHY  # looking into an enum takes as long as all the rest of a test

# What stands for the lease of a suspect: it is in answers until a Change says otherwise.
_HELD = Lease(1e9, 0.0)


class Entry:
    """An instance, its lease, and what the registry has published of it: its `status`, which follows from the rest.

    `gone`: the lease has run out. `held`: by the brake. `let_go_at`: when the brake last let go of it. `failing`: why its
    checks fail. `flaps`: its latest changes for the worse and back; None before the first. `then`: when one that is gone is
    removed, or the brake is asked again. `due`: the deadline under which it waits in the registry's queue, None once it is removed.
    """

    __slots__ = ("due", "failing", "flaps", "gone", "held", "instance", "lease", "let_go_at", "status", "then")

    def __init__(self, instance: Instance, lease: Lease) -> None:
        self.instance = instance
        self.lease = lease
        self.status = Status.HEALTHY
        self.gone = False
        self.held = False
        self.let_go_at = float("-inf")
        self.failing: str | None = None
        self.flaps: Flaps | None = None
        self.then = 0.0
        self.due: float | None = None

    def healthy(self, now: float) -> bool:
        """Expiry is tested here, at the read, not when a sweep comes by."""
        return self.status is _HEALTHY and self.lease.alive(now)

    @property
    def spared(self) -> bool:
        """The brake has let go of it since it last beat."""
        return self.let_go_at > self.lease.renewed_at

    def status_at(self, now: float) -> Status:
        return self.status if self.held or self.lease.alive(now) else Status.UNHEALTHY

    @property
    def term(self) -> Lease:
        """How long it stays in answers unless there is a Change."""
        return _HELD if self.held else self.lease


class Service:
    """`name` as first registered, `key` its folded octets, as DNS wants them. `hold`: the brake's, while it has suspects. `calm_at`:
    when the silent ones were last counted and were not too many.

    `entries` in the order of registration, those included whose lease has run out.
    """

    __slots__ = ("calm_at", "entries", "hold", "key", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = fold(name).encode("ascii")
        self.entries: dict[Address, Entry] = {}
        self.hold: Hold | None = None
        self.calm_at: float | None = None

    def healthy(self, now: float) -> list[Entry]:
        """Those whose lease still runs at `now` and that nothing keeps out of answers."""
        return [entry for entry in self.entries.values() if entry.healthy(now)]

    def served(self, now: float) -> list[Entry]:
        return served(self.entries.values(), now)


def served(entries: Iterable[Entry], now: float) -> list[Entry]:
    """Those of `entries` that belong into an answer: the healthy ones, then the suspects; where there are neither, those that flap."""
    entries = list(entries)
    healthy = [entry for entry in entries if entry.status is _HEALTHY and entry.lease.alive(now)]  # as Entry.healthy
    if len(healthy) == len(entries):  # nearly always
        return healthy
    found = healthy + [entry for entry in entries if entry.status is Status.SUSPECT]
    return found or [entry for entry in entries if entry.status is Status.FLAPPING and entry.lease.alive(now)]
