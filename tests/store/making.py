"""What the tests of this folder make again and again: a registry with round numbers, registrations, a log of its changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, TypeVar

from discovery.core.change import Change, Kind
from discovery.core.instance import Instance, Key, Registration
from discovery.core.lease import Lease
from discovery.core.status import Status
from discovery.store.brake import Brake
from discovery.store.registry import Registry
from discovery.store.service import Entry

# Seconds; all are exact in binary, so the tests may ask for the very instant.
START = 100.0
TTL = 10.0
INTERVAL = 5.0
WALL = 1_700_000_000.0
# For `advance`: more than any test has due.
ALL = 1_000_000

R = TypeVar("R", bound=Registry)

COME = {Kind.REGISTERED, Kind.RESTORED}
GONE = {Kind.DEREGISTERED, Kind.EXPIRED}


def a_registry(**settings: Any) -> Registry:
    """Ids are auto-0, auto-1, …; ten instances a service."""
    return a_registry_of(Registry, **settings)


def a_registry_of(kind: type[R], **settings: Any) -> R:
    numbers = count()
    return kind(
        **{
            "lease_ttl": TTL,
            "cleanup_interval": INTERVAL,
            "max_instances": 10,
            "new_id": lambda: f"auto-{next(numbers)}",
            "started_at": START,
            **settings,
        }
    )


def a_brake(percent: float = 30, max_seconds: float = 20.0, seed: int = 1) -> Brake:
    """Its rounds of letting go are as far apart as the cleanups."""
    return Brake(percent, max_seconds, INTERVAL, TTL, Random(seed))


def braked(percent: float = 30, *, others: int = 200, seed: int = 1, **settings: Any) -> Registry:
    """`others` are instances of a service that stays, so that the crowd of a test is no fifth of all."""
    registry = a_registry(brake=a_brake(percent, seed=seed), **{"max_instances": 10_000, **settings})
    for port in range(1, others + 1):
        registry.register(spec("others", "10.0.9.9", port, ttl=3600), START, WALL)
    return registry


def crowd(registry: Registry, count: int, name: str = "web", now: float = START, **fields: Any) -> list[Entry]:
    """Ports 1 to `count`, registered together."""
    return [registry.register(spec(name, port=port, **fields), now, WALL) for port in range(1, count + 1)]


def status_of(entry: Entry) -> Status:
    """As it is now: a function, so that the type checker does not take it for what it was two lines before."""
    return entry.status


def words(registry: Registry, name: str = "web") -> str:
    """The statuses of a service's instances, in the order of registration."""
    service = registry.service(name)
    return "" if service is None else " ".join(entry.status for entry in service.entries.values())


def ports(registry: Registry, now: float, name: str = "web") -> list[int]:
    """Of those that are served, in the order of the answer."""
    service = registry.service(name)
    return [] if service is None else [entry.instance.spec.port for entry in service.served(now)]


def spec(name: str = "web", ip: str = "10.0.0.1", port: int = 80, **fields: Any) -> Registration:
    return Registration.of(name, ip, port, **fields)


def an_entry(port: int = 80) -> Entry:
    """One that belongs to no registry."""
    return Entry(Instance(f"id-{port}", WALL, spec(port=port)), Lease(TTL, START))


@dataclass
class Log:
    """A listener that keeps every change and plays them back."""

    changes: list[Change] = field(default_factory=list)

    @classmethod
    def of(cls, registry: Registry) -> Log:
        log = cls()
        registry.subscribe(log)
        return log

    def __call__(self, change: Change) -> None:
        self.changes.append(change)

    def kinds(self) -> list[Kind]:
        return [change.kind for change in self.changes]

    def take(self) -> list[Change]:
        """The changes so far, which are forgotten."""
        taken, self.changes = self.changes, []
        return taken


class Replica:
    """What a listener that sees nothing but changes knows: the listed instances by key, and the status of each.

    A change that cannot follow from what it knows fails the test.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.instances: dict[Key, Instance] = {}
        self.statuses: dict[Key, Status] = {}

    def apply(self, change: Change) -> None:
        assert change.index == self.index + (change.kind is not Kind.RESTORED), "the index has a gap"
        self.index = change.index
        assert change.reason
        key, instance = change.instance.spec.key, change.instance
        if change.kind in COME:
            assert key not in self.instances
            self.instances[key] = instance
            self.statuses[key] = Status.HEALTHY
            return
        known = self.instances[key]
        assert (instance.id, instance.registered_at) == (known.id, known.registered_at)
        if change.kind is Kind.UPDATED:
            self.instances[key] = instance
        elif change.kind in GONE:
            assert instance == known, "only an update or another status tells other contents"
            del self.instances[key], self.statuses[key]
        else:
            assert self.statuses[key] is not Status(change.kind.value), "it has that status already"
            self.instances[key] = instance
            self.statuses[key] = Status(change.kind.value)

    def of(self, status: Status) -> set[Key]:
        return {key for key, known in self.statuses.items() if known is status}
