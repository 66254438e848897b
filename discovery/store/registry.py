"""The table of services. Pure and synchronous: `now` (monotonic seconds) and `wall` (epoch seconds) come from the caller.

Hide at read, remove later: readers test the lease themselves, so nothing here has to be on time to be right. `advance`
publishes what the passing of time has made visible (unhealthy, removed) and frees memory; whoever calls it asks
`next_deadline` when to come back. Every visible change goes through `_publish`, in order, to the listeners: a listener
is called in the middle of the write, so it never blocks, never raises and never writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random

from discovery.core.change import Change, Kind
from discovery.core.instance import Instance, Key, Registration
from discovery.core.lease import Lease
from discovery.core.maintenance import Scope, Window
from discovery.core.status import Status
from discovery.store.brake import Brake
from discovery.store.damping import NO_DAMPING, Damping
from discovery.store.errors import (
    Deregistered,
    IdTaken,
    NameReserved,
    NoWindow,
    RegistryFull,
    ServiceFull,
    UnknownService,
)
from discovery.store.liveness import Liveness
from discovery.store.service import Entry, Service
from discovery.store.table import Table
from discovery.store.tombstones import MAX_SECONDS, Tombstones
from discovery.store.windows import Windows

Listener = Callable[[Change], None]

# A pause that took at least this part of a lease may have swallowed the heartbeat that was due in it.
_SWALLOWED = 1 / 3


class Registry(Table):
    """Services by folded name, instances by id. `max_instances`: of one service. `max_services`, `max_in_all`: ceilings.

    `index` is the number of the last change, or of the last `reserve`.

    `loaded` is False while the table is still being filled at start: a name that is missing then proves nothing.
    """

    def __init__(
        self,
        *,
        lease_ttl: float,
        cleanup_interval: float,
        max_instances: int,
        max_services: int = 1_000_000,
        max_in_all: int = 10_000_000,
        new_id: Callable[[], str],
        started_at: float,
        index: int = 0,
        brake: Brake | None = None,
        damping: Damping = NO_DAMPING,
    ) -> None:
        super().__init__()
        self.lease_ttl = lease_ttl
        self.cleanup_interval = cleanup_interval
        self.max_instances = max_instances
        self._max_services = max_services
        self._max_in_all = max_in_all
        self.index = index
        self.loaded = True
        self.on_window: Callable[[], None] = lambda: (
            None
        )  # a window may end earlier than anything that was known to come
        self.registrations = 0  # accepted calls to register, renew and removals by cleanup, since the start
        self.renewals = 0
        self.cleanups = 0
        self._new_id = new_id
        self._reserved: Mapping[str, str] = {}
        self._tombstones = Tombstones()
        self._windows = Windows()
        no_brake = Brake(0, 0, cleanup_interval, lease_ttl, Random())
        self._liveness = Liveness(
            self._publish, self._windows, brake or no_brake, damping, started_at, cleanup_interval
        )
        self._listeners: list[Listener] = []

    # -- reading

    @property
    def counts(self) -> Mapping[Status, int]:
        """Instances by the status that was published of them."""
        return self._liveness.counts

    @property
    def windows(self) -> Mapping[Scope, Window]:
        """The maintenance windows; another mapping after each change."""
        return self._windows.all

    def window(self, instance: Instance) -> Window | None:
        """The one that keeps the instance out of answers."""
        return self._windows.of(instance)

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    # -- writing

    def reserve(self, names: Mapping[str, str]) -> None:
        """The folded names that no new service may take, each with the reason (as NameReserved shows it), in place of those before.

        What the zone files say is visible from outside, so the index moves.
        """
        self._reserved = names
        self.index += 1

    def restore(self, instance: Instance, now: float) -> Entry:
        """An instance from before this process, as it was then, with a full lease from `now` on. The index stays. `begin` follows."""
        spec = instance.spec
        key = spec.key
        service = self._service_for(key.service, spec.name, sorted=False)
        entry = Entry(instance, Lease(self._ttl(spec), now))
        self._insert(entry, service)
        self._liveness.begin(entry)
        self._tell(Change(self.index, Kind.RESTORED, instance, "known from before the start"))
        self._liveness.show(entry, "as before the start", now)
        return entry

    def begin(self, now: float) -> None:
        """All is restored and can be asked from now on: what the start took counts against no lease."""
        self._sort()
        for entry in self:
            entry.lease.renewed_at = now

    def register(self, spec: Registration, now: float, wall: float) -> Entry:
        """Adds the instance, or renews and updates the one at the same key, which keeps its id and registered_at.

        An id that the client chose counts when the instance is added, and is not part of the stored `spec`.

        NameReserved; IdTaken; RegistryFull; ServiceFull when the service is at its limit and all its instances are healthy.
        """
        service = self._services.get(spec.key.service)
        name = spec.name if service is None else service.name  # shown as first registered
        own_id, spec = spec.id, replace(spec, name=name, id=None)
        entry = service.entries.get((spec.ip, spec.port)) if service else None
        if entry is None or service is None:
            entry = self._add(spec, own_id, now, wall)
        else:
            self._register_again(entry, service, spec, now)
        self.registrations += 1
        return entry

    def upsert(self, spec: Registration, now: float, wall: float) -> Entry:
        """A heartbeat that carries the whole registration: as `register`, but Deregistered where that was too short ago."""
        left = self._tombstones.left(spec.key, now)
        if left > 0 and not self.knows(spec.key):
            raise Deregistered(spec.key, left)
        return self.register(spec, now, wall)

    def renew(self, which: Key | str, now: float) -> Entry:
        """A heartbeat, by key or id. UnknownInstance when it is not registered, or no longer."""
        entry = self.at(which)
        self.renewals += 1
        if entry.gone or entry.held or not entry.lease.alive(now):
            self._liveness.renew(entry, self.service_of(entry), now, "heartbeat received")
        else:
            entry.lease.renew(now)
        return entry

    def checked(self, id: str, failing: str | None, now: float) -> Entry:
        """What the checks of an instance say from now on: why they fail, or None when they pass. UnknownInstance."""
        entry = self.by_id(id)
        service = self.service_of(entry)
        self._liveness.catch_up(entry, service, now)
        if entry.failing is None and failing is None:
            return entry  # no news, and no reason to stop believing in a suspect
        entry.failing = failing
        self._liveness.take_out(entry, service, failing or "its checks pass again", now)
        return entry

    def drain(self, which: Key | str, since: float | None, reason: str, now: float) -> Entry:
        """Leaves the instance out of answers from now on, `since` in epoch seconds, until that is undone (None). UnknownInstance.

        One that is draining already keeps its time.
        """
        entry = self.at(which)
        if entry.instance.draining != (since is not None):
            service = self.service_of(entry)
            self._liveness.catch_up(entry, service, now)
            entry.instance = replace(entry.instance, draining_since=since)
            if not self._liveness.take_out(entry, service, reason, now):
                self._publish(Kind.UPDATED, entry.instance, reason)
        return entry

    def maintain(self, scope: Scope, window: Window, now: float, wall: float) -> None:
        """Opens a maintenance window, in place of one of the same scope.

        UnknownService or UnknownInstance when there is nothing of the kind now; TooManyWindows.
        """
        self.affected(scope, known=True)
        self._windows.set(scope, window, now + window.until - wall)
        self.on_window()
        self._show(scope, f"maintenance: {window.reason}", now)

    def restore_window(self, scope: Scope, window: Window, now: float, wall: float) -> None:
        """One from before this process, before any instance is restored."""
        self._windows.set(scope, window, now + window.until - wall)

    def end_maintenance(self, scope: Scope, reason: str, now: float) -> None:
        """NoWindow."""
        if not self._windows.end(scope):
            raise NoWindow(scope.service if scope.ip is None else f"{scope.ip} port {scope.port} of {scope.service}")
        self._show(scope, reason, now)

    def deregister(self, which: Key | str, reason: str, now: float) -> Instance:
        """UnknownInstance."""
        entry = self.at(which)
        self._deregister(entry, reason, now)
        return entry.instance

    def deregister_service(self, name: str, reason: str, now: float) -> list[Instance]:
        """Removes the whole service; UnknownService when there is none."""
        service = self.service(name)
        if service is None:
            raise UnknownService(name)
        entries = list(service.entries.values())
        for entry in entries:
            self._deregister(entry, reason, now)
        return [entry.instance for entry in entries]

    def bury(self, key: Key, until: float, now: float) -> None:
        """Until then no heartbeat brings it back, whatever it carries."""
        self._tombstones.bury(key, until, now)

    def buried(self, key: Key, now: float) -> float:
        """Seconds for which no heartbeat brings it back; 0 when there was no deregistration lately."""
        return self._tombstones.left(key, now)

    # -- the passing of time

    def next_deadline(self) -> float | None:
        """When `advance` has something to do; None when nothing is registered."""
        entries, windows = self._liveness.next, self._windows.next
        if windows is None:
            return entries
        return windows if entries is None else min(entries, windows)

    def advance(self, now: float, limit: int) -> None:
        """Publishes at most `limit` of what has become due by `now`: leases run out, cleanups of what stayed unhealthy.

        The end of a window counts as the instances that it was for, and is not parted.
        """
        for scope in self._windows.over(now):
            if limit <= 0:
                return
            limit -= max(1, len(self.affected(scope, known=False)))
            self.end_maintenance(scope, "the maintenance window is over", now)
        for _ in range(limit):
            entry = self._liveness.pop(now)
            if entry is None:
                return
            reason = self._liveness.settle(entry, self.service_of(entry), now)
            if reason is not None:
                self.cleanups += 1
                self._remove(entry, Kind.EXPIRED, reason)

    def resume(self, pause: float, now: float) -> None:
        """The process stood still for `pause` seconds, which are not in `now`: whose heartbeat may have come to grief meanwhile
        gets a full lease.
        """
        self._windows.shift(pause)
        for entry in self._by_id.values():
            lease = entry.lease
            if lease.alive(now) and pause >= lease.ttl * _SWALLOWED:
                lease.renewed_at = now

    # -- the writes' parts

    def _add(self, spec: Registration, own_id: str | None, now: float, wall: float) -> Entry:
        key = spec.key
        if key.service in self._reserved and key.service not in self._services:
            raise NameReserved(spec.name, self._reserved[key.service])
        if own_id is not None and own_id in self._by_id:
            raise IdTaken(own_id)
        if key.service not in self._services and len(self._services) >= self._max_services:
            raise RegistryFull("services", self._max_services)
        service = self._services.get(key.service)
        if len(self) >= self._max_in_all and (service is None or len(service.entries) < self.max_instances):
            raise RegistryFull("instances", self._max_in_all)
        self._make_room(spec, now)  # where the service is full, one goes for one that comes
        self._tombstones.lift(key)
        service = self._service_for(key.service, spec.name)
        entry = Entry(Instance(own_id or self._new_id(), wall, spec), Lease(self._ttl(spec), now))
        self._insert(entry, service)
        self._liveness.begin(entry)
        self._publish(Kind.REGISTERED, entry.instance, "new instance")
        window = self._windows.of(entry.instance)
        if window is not None:
            self._liveness.show(entry, f"maintenance: {window.reason}", now)
        return entry

    def _register_again(self, entry: Entry, service: Service, spec: Registration, now: float) -> None:
        old = entry.instance
        self._liveness.catch_up(entry, service, now)
        if spec.check != old.spec.check:
            entry.failing = None
        entry.instance = replace(old, spec=spec)
        self._liveness.registered_again(entry, service, self._ttl(spec), now)
        if spec != old.spec:
            self._publish(Kind.UPDATED, entry.instance, "registered again")

    def _make_room(self, spec: Registration, now: float) -> None:
        """At the limit the instance that has been unhealthy longest makes way."""
        service = self._services.get(spec.key.service)
        if service is None or len(service.entries) < self.max_instances:
            return
        lapsed = [entry for entry in service.entries.values() if not entry.lease.alive(now)]
        if not lapsed:
            raise ServiceFull(service.name, self.max_instances)
        oldest = min(lapsed, key=lambda entry: (entry.held, entry.lease.expires_at))
        self._liveness.catch_up(oldest, service, now)
        self._remove(oldest, Kind.EXPIRED, "made way for a new instance at the service's limit")

    def _deregister(self, entry: Entry, reason: str, now: float) -> None:
        self._tombstones.bury(entry.instance.spec.key, now + min(entry.lease.ttl, MAX_SECONDS), now)
        self._remove(entry, Kind.DEREGISTERED, reason)

    def _remove(self, entry: Entry, kind: Kind, reason: str) -> None:
        self._liveness.end(entry, self.service_of(entry))
        self._take(entry)
        self._publish(kind, entry.instance, reason)

    def _show(self, scope: Scope, reason: str, now: float) -> None:
        for entry in self.affected(scope, known=False):
            self._take_out(entry, reason, now)

    def _take_out(self, entry: Entry, reason: str, now: float) -> bool:
        service = self.service_of(entry)
        self._liveness.catch_up(entry, service, now)
        return self._liveness.take_out(entry, service, reason, now)

    def _ttl(self, spec: Registration) -> float:
        return self.lease_ttl if spec.ttl is None else spec.ttl

    def _publish(self, kind: Kind, instance: Instance, reason: str) -> None:
        self.index += 1
        self._tell(Change(self.index, kind, instance, reason))

    def _tell(self, change: Change) -> None:
        for listener in self._listeners:
            listener(change)
