"""What the tests of this folder make again and again: a registry with round numbers, registrations, a log of its changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from discovery.core.change import Change, Kind
from discovery.core.instance import Instance, Key, Registration
from discovery.core.lease import Lease
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
    """What a listener that sees nothing but changes knows: the listed instances by key, and whether each is healthy.

    A change that cannot follow from what it knows fails the test.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.instances: dict[Key, Instance] = {}
        self.unhealthy: set[Key] = set()

    def apply(self, change: Change) -> None:
        assert change.index == self.index + 1, "the index has a gap"
        self.index = change.index
        assert change.reason
        key, instance = change.instance.spec.key, change.instance
        if change.kind is Kind.REGISTERED:
            assert key not in self.instances
            self.instances[key] = instance
            return
        known = self.instances[key]
        assert (instance.id, instance.registered_at) == (known.id, known.registered_at)
        if change.kind is Kind.UPDATED:
            assert instance.spec != known.spec, "nothing was updated"
            self.instances[key] = instance
            return
        assert instance == known, "only an update tells other contents"
        if change.kind in GONE:
            del self.instances[key]
            self.unhealthy.discard(key)
        elif change.kind is Kind.UNHEALTHY:
            assert key not in self.unhealthy
            self.unhealthy.add(key)
        else:
            self.unhealthy.remove(key)
