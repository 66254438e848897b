"""The table of services. Pure and synchronous: `now` (monotonic seconds) and `wall` (epoch seconds) come from the caller.

Hide at read, remove later: readers test the lease themselves, so nothing here has to be on time to be right. `advance`
publishes what the passing of time has made visible (unhealthy, removed) and frees memory; whoever calls it asks
`next_deadline` when to come back. Every visible change goes through `_publish`, in order, to the listeners: a listener
is called in the middle of the write, so it never blocks, never raises and never writes.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from discovery.core.change import Change, Kind
from discovery.core.instance import Instance, Key, Registration
from discovery.core.lease import Lease
from discovery.core.name import fold
from discovery.store.deadlines import Deadlines
from discovery.store.errors import IdTaken, NameReserved, ServiceFull, UnknownInstance, UnknownService
from discovery.store.service import Entry, Service

Listener = Callable[[Change], None]


class Registry:
    """Services by folded name, instances by id. `index` is the number of the last change, or of the last `reserve`.

    `loaded` is False while the table is still being filled at start: a name that is missing then proves nothing.
    """

    def __init__(
        self,
        *,
        lease_ttl: float,
        cleanup_interval: float,
        max_instances: int,
        new_id: Callable[[], str],
        started_at: float,
        index: int = 0,
    ) -> None:
        self.lease_ttl = lease_ttl
        self.cleanup_interval = cleanup_interval
        self.max_instances = max_instances
        self.index = index
        self.loaded = True
        self.registrations = 0  # accepted calls to register, renew and removals by cleanup, since the start
        self.renewals = 0
        self.cleanups = 0
        self.unhealthy = 0  # instances that are listed and were published as unhealthy
        self._new_id = new_id
        self._started_at = started_at
        self._services: dict[str, Service] = {}
        self._names: list[str] = []  # their keys, sorted, for paging: moving 10,000 of them takes 4 µs, once a service
        self._by_id: dict[str, Entry] = {}
        self._reserved: frozenset[str] = frozenset()
        self._deadlines = Deadlines()
        self._listeners: list[Listener] = []

    # -- reading

    @property
    def services(self) -> Mapping[str, Service]:
        """By folded name. Read only; changes under the reader's feet when it awaits."""
        return self._services

    def service(self, name: str) -> Service | None:
        return self._services.get(fold(name))

    def page(self, after: str, limit: int) -> list[Service]:
        """At most `limit` services in the order of their folded names, from the first behind `after` on."""
        start = bisect_right(self._names, fold(after))
        return [self._services[name] for name in self._names[start : start + limit]]

    def by_id(self, id: str) -> Entry:
        """UnknownInstance when there is none. Listed, so possibly unhealthy."""
        entry = self._by_id.get(id)
        if entry is None:
            raise UnknownInstance(id)
        return entry

    def _at(self, key: Key) -> Entry:
        service = self._services.get(key.service)
        entry = service.entries.get((key.ip, key.port)) if service else None
        if entry is None:
            raise UnknownInstance.at(key)
        return entry

    def __len__(self) -> int:
        """Instances, those included whose lease has run out and that were not removed yet."""
        return len(self._by_id)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._by_id.values())

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    # -- writing

    def reserve(self, names: frozenset[str]) -> None:
        """The folded names that no new service may take, in place of those before.

        What the zone files say is visible from outside, so the index moves.
        """
        self._reserved = names
        self.index += 1

    def register(self, spec: Registration, now: float, wall: float) -> Entry:
        """Adds the instance, or renews and updates the one at the same key, which keeps its id and registered_at.

        An id that the client chose counts when the instance is added, and is not part of the stored `spec`.

        NameReserved; IdTaken; ServiceFull when the service is at its limit and all its instances are healthy.
        """
        service = self._services.get(spec.key.service)
        name = spec.name if service is None else service.name  # shown as first registered
        own_id, spec = spec.id, replace(spec, name=name, id=None)
        entry = service.entries.get((spec.ip, spec.port)) if service else None
        if entry is None:
            entry = self._add(spec, own_id, now, wall)
        else:
            self._register_again(entry, spec, now)
        self.registrations += 1
        return entry

    def renew(self, which: Key | str, now: float) -> Entry:
        """A heartbeat, by key or id. UnknownInstance when it is not registered, or no longer."""
        if isinstance(which, str):
            return self._beat(self.by_id(which), now)
        return self._beat(self._at(which), now)

    def deregister(self, key: Key, reason: str) -> Instance:
        entry = self._at(key)
        self._remove(entry, Kind.DEREGISTERED, reason)
        return entry.instance

    def deregister_service(self, name: str, reason: str) -> list[Instance]:
        """Removes the whole service; UnknownService when there is none."""
        service = self.service(name)
        if service is None:
            raise UnknownService(name)
        entries = list(service.entries.values())
        for entry in entries:
            self._remove(entry, Kind.DEREGISTERED, reason)
        return [entry.instance for entry in entries]

    # -- the passing of time

    def next_deadline(self) -> float | None:
        """When `advance` has something to do; None when nothing is registered."""
        return self._deadlines.next

    def advance(self, now: float, limit: int) -> None:
        """Publishes at most `limit` of what has become due by `now`: leases run out, cleanups of what stayed unhealthy."""
        for _ in range(limit):
            entry = self._deadlines.pop(now)
            if entry is None:
                return
            self._settle(entry, now)

    def _settle(self, entry: Entry, now: float) -> None:
        """The one state machine of an entry against time, called whenever its deadline is up."""
        if entry.lease.alive(now):
            self._deadlines.push(entry, entry.lease.expires_at)
        elif not entry.unhealthy:
            entry.unhealthy = True
            self.unhealthy += 1
            self._publish(Kind.UNHEALTHY, entry.instance, f"no heartbeat for {entry.lease.ttl:g} s")
            self._deadlines.push(entry, self._cleanup_after(entry.lease.expires_at + self.cleanup_interval))
        else:
            self.cleanups += 1
            self._remove(entry, Kind.EXPIRED, f"no heartbeat for {now - entry.lease.renewed_at:.1f} s")

    def _cleanup_after(self, time: float) -> float:
        """The first cleanup at or after `time`; cleanups run every `cleanup_interval` from the start on."""
        ticks = math.ceil((time - self._started_at) / self.cleanup_interval)
        return max(time, self._started_at + ticks * self.cleanup_interval)

    # -- the writes' parts

    def _add(self, spec: Registration, own_id: str | None, now: float, wall: float) -> Entry:
        key = spec.key
        if key.service in self._reserved and key.service not in self._services:
            raise NameReserved(spec.name)
        if own_id is not None and own_id in self._by_id:
            raise IdTaken(own_id, self._by_id[own_id].instance)
        self._make_room(spec, now)
        service = self._services.get(key.service)
        if service is None:
            service = self._services[key.service] = Service(spec.name)
            insort(self._names, key.service)
        entry = Entry(Instance(own_id or self._new_id(), wall, spec), Lease(self._ttl(spec), now))
        service.entries[(spec.ip, spec.port)] = entry
        self._by_id[entry.instance.id] = entry
        self._deadlines.push(entry, entry.lease.expires_at)
        self._publish(Kind.REGISTERED, entry.instance, "new instance")
        return entry

    def _register_again(self, entry: Entry, spec: Registration, now: float) -> None:
        old = entry.instance
        self._mark_if_lapsed(entry, now)
        entry.lease.ttl = self._ttl(spec)
        self._renew_lease(entry, now)
        if spec != old.spec:
            entry.instance = Instance(old.id, old.registered_at, spec)
            self._publish(Kind.UPDATED, entry.instance, "registered again")
        self._mark_if_healthy_again(entry)

    def _beat(self, entry: Entry, now: float) -> Entry:
        self.renewals += 1
        if not entry.unhealthy and entry.lease.alive(now):
            entry.lease.renewed_at = now  # the common case, and nothing else: its deadline is looked at when it is up
        else:
            self._mark_if_lapsed(entry, now)
            self._renew_lease(entry, now)
            self._mark_if_healthy_again(entry)
        return entry

    def _mark_if_lapsed(self, entry: Entry, now: float) -> None:
        """Publishes a lapse that the reaper has not come round to, so that listeners see every state in order."""
        if not entry.unhealthy and not entry.lease.alive(now):
            self._deadlines.discard(entry)
            self._settle(entry, now)

    def _renew_lease(self, entry: Entry, now: float) -> None:
        entry.lease.renewed_at = now
        self._deadlines.push(entry, entry.lease.expires_at)

    def _mark_if_healthy_again(self, entry: Entry) -> None:
        if entry.unhealthy:
            entry.unhealthy = False
            self.unhealthy -= 1
            self._publish(Kind.HEALTHY, entry.instance, "heartbeat received")

    def _make_room(self, spec: Registration, now: float) -> None:
        """At the limit the instance that has been unhealthy longest makes way."""
        service = self._services.get(spec.key.service)
        if service is None or len(service.entries) < self.max_instances:
            return
        lapsed = [entry for entry in service.entries.values() if not entry.lease.alive(now)]
        if not lapsed:
            raise ServiceFull(service.name, self.max_instances)
        oldest = min(lapsed, key=lambda entry: entry.lease.expires_at)
        self._mark_if_lapsed(oldest, now)
        self._remove(oldest, Kind.EXPIRED, "made way for a new instance at the service's limit")

    def _remove(self, entry: Entry, kind: Kind, reason: str) -> None:
        key = entry.instance.spec.key
        service = self._services[key.service]
        del service.entries[(key.ip, key.port)]
        if not service.entries:
            del self._services[key.service]
            del self._names[bisect_left(self._names, key.service)]
        del self._by_id[entry.instance.id]
        self.unhealthy -= entry.unhealthy
        self._deadlines.discard(entry)
        self._publish(kind, entry.instance, reason)

    def _ttl(self, spec: Registration) -> float:
        return self.lease_ttl if spec.ttl is None else spec.ttl

    def _publish(self, kind: Kind, instance: Instance, reason: str) -> None:
        self.index += 1
        change = Change(self.index, kind, instance, reason)
        for listener in self._listeners:
            listener(change)
