"""Every write but heartbeats as a value: what HTTP (and any plugin) hands to the engine, and the engine applies to the registry.

A value can be logged, sent to another process or replayed; `apply` is the only way from a write to the registry.
Results are what the registry's method returns, errors what it raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from discovery.core.instance import Instance, Key, Registration
from discovery.core.maintenance import Scope, Window
from discovery.core.name import fold
from discovery.store.registry import Registry
from discovery.store.service import Entry

T_co = TypeVar("T_co", covariant=True)


class Write(Protocol[T_co]):
    def apply(self, registry: Registry, now: float) -> T_co:
        """Carries the write out at `now` (monotonic seconds)."""

    def owner(self, registry: Registry) -> str | None:
        """The folded name of the service whose owner may do this; None: that takes an admin. UnknownInstance."""


@dataclass(frozen=True, slots=True)
class Register:
    spec: Registration
    wall: float  # epoch seconds, the registered_at of a new instance

    def apply(self, registry: Registry, now: float) -> Entry:
        return registry.register(self.spec, now, self.wall)

    def owner(self, registry: Registry) -> str | None:
        return self.spec.key.service


@dataclass(frozen=True, slots=True)
class Upsert:
    """A heartbeat that carries the whole registration."""

    spec: Registration
    wall: float  # as Register's

    def apply(self, registry: Registry, now: float) -> Entry:
        return registry.upsert(self.spec, now, self.wall)

    def owner(self, registry: Registry) -> str | None:
        return self.spec.key.service


@dataclass(frozen=True, slots=True)
class Drain:
    """`since`: epoch seconds now; None: it is undone."""

    which: Key | str
    since: float | None
    reason: str

    def apply(self, registry: Registry, now: float) -> Entry:
        return registry.drain(self.which, self.since, self.reason, now)

    def owner(self, registry: Registry) -> str | None:
        return _service_of(self.which, registry)


@dataclass(frozen=True, slots=True)
class Maintain:
    scope: Scope
    window: Window
    wall: float  # epoch seconds now

    def apply(self, registry: Registry, now: float) -> None:
        registry.maintain(self.scope, self.window, now, self.wall)

    def owner(self, registry: Registry) -> str | None:
        return _owner_of(self.scope)


@dataclass(frozen=True, slots=True)
class EndMaintenance:
    scope: Scope
    reason: str

    def apply(self, registry: Registry, now: float) -> None:
        registry.end_maintenance(self.scope, self.reason, now)

    def owner(self, registry: Registry) -> str | None:
        return _owner_of(self.scope)


@dataclass(frozen=True, slots=True)
class Checked:
    """What the active checks of an instance say from now on. `failing`: why they fail, None when they pass."""

    id: str
    failing: str | None

    def apply(self, registry: Registry, now: float) -> Entry:
        return registry.checked(self.id, self.failing, now)

    def owner(self, registry: Registry) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class Deregister:
    which: Key | str
    reason: str

    def apply(self, registry: Registry, now: float) -> Instance:
        return registry.deregister(self.which, self.reason, now)

    def owner(self, registry: Registry) -> str | None:
        return _service_of(self.which, registry)


@dataclass(frozen=True, slots=True)
class DeregisterMany:
    """Of no service in particular; those that are gone already are passed over. The result is how many there were."""

    keys: tuple[Key, ...]
    reason: str

    def apply(self, registry: Registry, now: float) -> int:
        known = [key for key in self.keys if registry.knows(key)]
        for key in known:
            registry.deregister(key, self.reason, now)
        return len(known)

    def owner(self, registry: Registry) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class DeregisterService:
    name: str
    reason: str

    def apply(self, registry: Registry, now: float) -> list[Instance]:
        return registry.deregister_service(self.name, self.reason, now)

    def owner(self, registry: Registry) -> str | None:
        return fold(self.name)


def _service_of(which: Key | str, registry: Registry) -> str:
    return which.service if isinstance(which, Key) else registry.by_id(which).instance.spec.key.service


def _owner_of(scope: Scope) -> str | None:
    """A whole service is taken out by an admin only."""
    return None if scope.ip is None else scope.service
