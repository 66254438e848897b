"""What the tests of this folder make again and again: a registry with round numbers, registrations, a log of its changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, NamedTuple

from discovery.core.event import Commit, InstanceEvent, Kind
from discovery.core.instance import Instance, Key, Registration
from discovery.core.kinds import RegistrySettings
from discovery.core.lease import Lease, Term
from discovery.core.status import Status
from discovery.store.brake import Brake
from discovery.store.service import Entry
from tests.driven import DrivenRegistry

# Seconds; all are exact in binary, so the tests may ask for the very instant.
START = 100.0
TTL = 10.0
INTERVAL = 5.0
WALL = 1_700_000_000.0
# For `advance`: more than any test has due.
ALL = 1_000_000

COME = {Kind.REGISTERED, Kind.RESTORED}
GONE = {Kind.DEREGISTERED, Kind.EXPIRED}


def a_registry(**settings: Any) -> DrivenRegistry:
    """Ids are auto-0, auto-1, …; ten instances a service. `lease_ttl`, `max_instances` of a service, `max_services`, `max_in_all`."""
    numbers = count()
    defaults = {"lease_ttl": TTL, "max_instances": 10, "max_services": 1_000_000, "max_in_all": 10_000_000}
    return DrivenRegistry(
        RegistrySettings(*(settings.pop(name, default) for name, default in defaults.items())),
        **{
            "cleanup_interval": INTERVAL,
            "new_id": lambda: f"auto-{next(numbers)}",
            "started_at": START,
            **settings,
        },
    )


def a_brake(percent: float = 30, max_seconds: float = 20.0, seed: int = 1) -> Brake:
    """Its rounds of letting go are as far apart as the cleanups."""
    return Brake(percent, max_seconds, INTERVAL, TTL, Random(seed))


def braked(percent: float = 30, *, others: int = 200, seed: int = 1, **settings: Any) -> DrivenRegistry:
    """`others` are instances of a service that stays, so that the crowd of a test is no fifth of all."""
    registry = a_registry(brake=a_brake(percent, seed=seed), **{"max_instances": 10_000, **settings})
    for port in range(1, others + 1):
        registry.register(spec("others", "10.0.9.9", port, ttl=3600), START, WALL)
    return registry


def crowd(registry: DrivenRegistry, count: int, name: str = "web", now: float = START, **fields: Any) -> list[Entry]:
    """Ports 1 to `count`, registered together."""
    return [registry.register(spec(name, port=port, **fields), now, WALL) for port in range(1, count + 1)]


def status_of(entry: Entry) -> Status:
    """As it is now: a function, so that the type checker does not take it for what it was two lines before."""
    return entry.status


def words(registry: DrivenRegistry, name: str = "web") -> str:
    """The statuses of a service's instances, in the order of registration."""
    service = registry.service(name)
    return "" if service is None else " ".join(entry.status for entry in service.entries.values())


def ports(registry: DrivenRegistry, now: float, name: str = "web") -> list[int]:
    """Of those that are served, in the order of the answer."""
    service = registry.service(name)
    return [] if service is None else [entry.instance.spec.port for entry in service.served(now)]


def spec(name: str = "web", ip: str = "10.0.0.1", port: int | None = 80, **fields: Any) -> Registration:
    return Registration.of(name, ip, port, **fields)


def an_entry(port: int = 80) -> Entry:
    """One that belongs to no registry."""
    return Entry(Instance(f"id-{port}", WALL, spec(port=port)), Lease(Term(TTL), START))


class Told(NamedTuple):
    """An event about an instance, with the index of its commit."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks
    event: InstanceEvent

    @property
    def kind(self) -> Kind:
        return self.event.kind

    @property
    def instance(self) -> Instance:
        return self.event.instance

    @property
    def reason(self) -> str:
        return self.event.reason


@dataclass
class Log:
    """A follower that keeps every event about an instance and plays them back."""

    changes: list[Told] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)

    @classmethod
    def of(cls, registry: DrivenRegistry) -> Log:
        log = cls()
        registry.followers.append(log)
        return log

    def __call__(self, commit: Commit) -> None:
        self.commits.append(commit)
        self.changes += (Told(commit.index, event) for event in commit.events if isinstance(event, InstanceEvent))

    def kinds(self) -> list[Kind]:
        return [change.kind for change in self.changes]

    def take(self) -> list[Told]:
        """The events so far, which are forgotten."""
        taken, self.changes = self.changes, []
        return taken


class Replica:
    """What a follower that sees nothing but commits knows: the instances by key, by put and delete alone.

    An event that cannot follow from what it knows, or says nothing, fails the test.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.instances: dict[Key, Instance] = {}

    @property
    def statuses(self) -> dict[Key, Status]:
        return {key: instance.status for key, instance in self.instances.items()}

    def apply(self, change: Told) -> None:
        assert change.index >= self.index, "the index goes back"
        self.index = change.index
        event, key = change.event, change.instance.spec.key
        assert event.reason
        assert event.service == key.service
        assert self.instances.get(key) == event.before, "it was otherwise"
        assert (event.before is None) == (event.kind in COME)
        assert (event.after is None) == (event.kind in GONE)
        assert event.before != event.after or event.renews, "it says nothing"
        if event.after is None:
            del self.instances[key]
            return
        if event.before is not None:
            old, new = event.before, event.after
            assert (old.id, old.registered_at) == (new.id, new.registered_at)
            assert (event.kind is Kind.UPDATED) == (old.status is new.status)
            assert event.kind is Kind.UPDATED or event.kind.value == new.status.value
        self.instances[key] = event.after

    def of(self, status: Status) -> set[Key]:
        return {key for key, known in self.statuses.items() if known is status}
