"""Every write but heartbeats as a value: what HTTP (and any plugin) hands to the engine, and the engine decides and applies.

`decide` reads the transaction and adds events to it, or raises the registry's error and has changed nothing. It gives each thing its
id and its times, keeps the limits, and asks whether the caller may. `action` is the name of the write in commits and in the audit log.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Protocol, TypeVar

from discovery.core.event import Kind, ZonesEvent
from discovery.core.instance import Instance, Key, Registration
from discovery.core.maintenance import Scope, Window
from discovery.core.status import Status
from discovery.store.errors import (
    Deregistered,
    IdTaken,
    NameReserved,
    NoWindow,
    RegistryFull,
    ServiceFull,
    TooManyWindows,
    UnknownInstance,
    UnknownService,
)
from discovery.store.rules import (
    ask_brake,
    catch_up,
    decree,
    expire,
    forget_drain,
    lapse,
    living,
    revive,
    set_window,
    settle,
)
from discovery.store.service import Entry, Service
from discovery.store.tombstones import MAX_SECONDS
from discovery.store.transaction import MAX_EVENTS, Transaction
from discovery.store.windows import MAX_WINDOWS, MAX_WINDOWS_OF_TOKENS, MAX_WINDOWS_PER_TOKEN

T_co = TypeVar("T_co", covariant=True)


class Subject(NamedTuple):
    """Whom a write names, as far as the write knows: for a line about one that was refused."""

    service: str | None = None
    ip: str | None = None
    port: int | None = None
    id: str | None = None

    @classmethod
    def of(cls, which: Key | str) -> Subject:
        return cls(id=which) if isinstance(which, str) else cls(*which)


class Write(Protocol[T_co]):
    @property
    def action(self) -> str: ...

    # Whether the answer waits until it is safe. What is observed rather than asked for (a check, a heartbeat) is not worth the wait.
    @property
    def lasts(self) -> bool: ...

    @property
    def subject(self) -> Subject: ...

    def decide(self, txn: Transaction) -> T_co:
        """Raises what is wrong with it; Forbidden."""


# -- registration


@dataclass(frozen=True, slots=True)
class Register:
    """Adds the instance, or renews and updates the one at the same key, which keeps its id and registered_at.

    An id that the client chose counts when the instance is added, and is not part of the stored `spec`.
    NameReserved; IdTaken; RegistryFull; ServiceFull when the service is at its limit and all its instances are alive.
    """

    spec: Registration
    action: ClassVar[str] = "register"
    lasts: ClassVar[bool] = True

    @property
    def subject(self) -> Subject:
        return Subject.of(self.spec.key)

    def decide(self, txn: Transaction) -> Instance:
        spec, key = self.spec, self.spec.key
        txn.authorize(key.service)
        service = txn.state.services.get(key.service)
        entry = None if service is None else service.entries.get((spec.ip, spec.port))
        own_id = spec.id
        name = spec.name if service is None else service.name  # shown as first registered
        if own_id is not None or name != spec.name:
            spec = replace(spec, name=name, id=None)
        if entry is None:
            return _add(txn, spec, key, own_id, service)
        known = catch_up(txn, entry)
        failing = known.failing if spec.check == known.spec.check else None
        ttl = txn.state.ttl_of(spec)
        after = Instance(known.id, known.registered_at, spec, known.draining_since, ttl, known.status, failing)
        return revive(txn, entry, after, "registered again")


@dataclass(frozen=True, slots=True)
class Upsert:
    """A heartbeat that carries the whole registration: as Register, but Deregistered where that was too short ago."""

    spec: Registration
    action: ClassVar[str] = "upsert"
    lasts: ClassVar[bool] = True

    @property
    def subject(self) -> Subject:
        return Subject.of(self.spec.key)

    def decide(self, txn: Transaction) -> Instance:
        key = self.spec.key
        left = txn.state.buried(key, txn.now)
        if left > 0 and not txn.state.knows(key):
            txn.authorize(key.service)
            raise Deregistered(key, left)
        return Register(self.spec).decide(txn)


def _add(txn: Transaction, spec: Registration, key: Key, own_id: str | None, service: Service | None) -> Instance:
    state = txn.state
    if service is None and key.service in state.reserved:
        raise NameReserved(spec.name, state.reserved[key.service])
    if own_id is not None and state.find(own_id) is not None:
        raise IdTaken(own_id)
    if service is None and len(state.services) >= state.max_services:
        raise RegistryFull("services", state.max_services)
    full = service is not None and len(service.entries) >= state.max_instances
    if len(state) >= state.max_in_all and not full:
        raise RegistryFull("instances", state.max_in_all)
    if service is not None and full:
        _make_room(txn, service)  # one goes for one that comes
    drained = forget_drain(txn, key, "it is registered again, and drains")
    since = None if drained is None else drained.instance.draining_since
    instance = Instance(own_id or state.new_id(), txn.wall, spec, since, state.ttl_of(spec))
    status = living(txn, instance)
    if status is not Status.HEALTHY:
        instance = instance.with_status(status)
    txn.register(instance, "new instance")
    return instance


def _make_room(txn: Transaction, service: Service) -> None:
    """At the limit the instance that has been unhealthy longest makes way, then a suspect whose lease is over."""
    lapsed = [entry for entry in service.entries.values() if not entry.lease.alive(txn.now)]
    if not lapsed:
        raise ServiceFull(service.name, txn.state.max_instances)
    oldest = min(lapsed, key=lambda entry: (entry.suspect, entry.lease.expires_at))
    catch_up(txn, oldest)
    expire(txn, oldest, "made way for a new instance at the service's limit")


@dataclass(frozen=True, slots=True)
class Revive:
    """The heartbeat of one that is unhealthy or suspect, or whose lease has just run out. UnknownInstance."""

    which: Key | str
    action: ClassVar[str] = "heartbeat"
    lasts: ClassVar[bool] = False

    @property
    def subject(self) -> Subject:
        return Subject.of(self.which)

    def decide(self, txn: Transaction) -> Entry:
        entry = _entry(txn, self.which)
        revive(txn, entry, catch_up(txn, entry), "heartbeat received")
        return entry


@dataclass(frozen=True, slots=True)
class Deregister:
    """UnknownInstance. One whose drain is remembered counts as known: it is forgotten."""

    which: Key | str
    reason: str
    action: ClassVar[str] = "deregister"
    lasts: ClassVar[bool] = True

    @property
    def subject(self) -> Subject:
        return Subject.of(self.which)

    def decide(self, txn: Transaction) -> Instance:
        try:
            entry = _entry(txn, self.which)
        except UnknownInstance:
            drained = forget_drain(txn, self.which, self.reason) if isinstance(self.which, Key) else None
            if drained is None:
                raise
            return drained.instance
        return _deregister(txn, entry, self.reason)


@dataclass(frozen=True, slots=True)
class DeregisterMany:
    """At most MAX_EVENTS of them, `service`'s alone or (None, which takes an admin) whosever. Those that are gone are passed over.

    The result is those that were removed. UnknownService when there is nothing of a service to remove.
    """

    keys: tuple[Key, ...]
    reason: str
    service: str | None = None
    lasts: ClassVar[bool] = True

    @property
    def action(self) -> str:
        return "clear" if self.service is None else "deregister-service"

    @property
    def subject(self) -> Subject:
        return Subject(service=self.service)

    def decide(self, txn: Transaction) -> list[Instance]:
        assert len(self.keys) <= MAX_EVENTS
        txn.authorize(self.service)
        if self.service is not None and not self.keys:
            raise UnknownService(self.service)
        known = [txn.state.at(key) for key in self.keys if txn.state.knows(key)]
        return [_deregister(txn, entry, self.reason) for entry in known]


def _deregister(txn: Transaction, entry: Entry, reason: str) -> Instance:
    buried_until = txn.wall + min(entry.lease.ttl, MAX_SECONDS)
    return txn.remove(Kind.DEREGISTERED, entry, reason, buried_until)


# -- what operators and checks say


@dataclass(frozen=True, slots=True)
class Drain:
    """Leaves the instance out of answers from now on, or (`draining` False) no longer. One that drains already keeps its time.

    UnknownInstance; one whose drain is remembered counts as known when that ends.
    """

    which: Key | str
    draining: bool
    reason: str
    lasts: ClassVar[bool] = True

    @property
    def action(self) -> str:
        return "drain" if self.draining else "undrain"

    @property
    def subject(self) -> Subject:
        return Subject.of(self.which)

    def decide(self, txn: Transaction) -> Instance:
        try:
            entry = _entry(txn, self.which)
        except UnknownInstance:
            known = isinstance(self.which, Key) and not self.draining
            drained = forget_drain(txn, self.which, self.reason) if known and isinstance(self.which, Key) else None
            if drained is None:
                raise
            return drained.instance._replace(draining_since=None, status=Status.UNHEALTHY)
        if entry.instance.draining == self.draining:
            return entry.instance
        after = catch_up(txn, entry)._replace(draining_since=txn.wall if self.draining else None)
        return decree(txn, entry, after, self.reason)


@dataclass(frozen=True, slots=True)
class Checked:
    """What the active checks of an instance say from now on. `failing`: why they fail, None when they pass. UnknownInstance."""

    id: str
    failing: str | None
    action: ClassVar[str] = "check"
    lasts: ClassVar[bool] = False

    @property
    def subject(self) -> Subject:
        return Subject(id=self.id)

    def decide(self, txn: Transaction) -> None:
        entry = txn.state.at(self.id)
        txn.authorize(None)
        known = catch_up(txn, entry)
        if known.failing is None and self.failing is None:
            return  # no news, and no reason to stop believing in a suspect
        decree(txn, entry, known._replace(failing=self.failing), self.failing or "its checks pass again")


@dataclass(frozen=True, slots=True)
class Maintain:
    """Opens a maintenance window, in place of one of the same scope. Whether all whom it is for are out of answers now: else
    `Settle` follows.

    UnknownService or UnknownInstance when there is nothing of the kind now; TooManyWindows.
    """

    scope: Scope
    window: Window
    action: ClassVar[str] = "maintain"
    lasts: ClassVar[bool] = True

    @property
    def subject(self) -> Subject:
        return Subject(*self.scope)

    def decide(self, txn: Transaction) -> bool:
        txn.authorize(_owner_of(self.scope))
        txn.state.affected(self.scope, known=True)
        window = replace(self.window, by="" if txn.by.grants.admin else txn.by.name)
        if self.scope not in txn.windows:
            _room_for_window(txn, window.by)
        reason = f"maintenance: {window.reason}"
        set_window(txn, self.scope, window, reason)
        return settle(txn, self.scope, reason)


@dataclass(frozen=True, slots=True)
class EndMaintenance:
    """NoWindow. As `Maintain`."""

    scope: Scope
    reason: str
    action: ClassVar[str] = "end-maintenance"
    lasts: ClassVar[bool] = True

    @property
    def subject(self) -> Subject:
        return Subject(*self.scope)

    def decide(self, txn: Transaction) -> bool:
        scope = self.scope
        txn.authorize(_owner_of(scope))
        if scope not in txn.windows:
            raise NoWindow(scope.service if scope.ip is None else f"{scope.ip} port {scope.port} of {scope.service}")
        set_window(txn, scope, None, self.reason)
        return settle(txn, scope, self.reason)


@dataclass(frozen=True, slots=True)
class Settle:
    """More of those that a window is for, where they were too many for its own commit. Whether that is all."""

    scope: Scope
    action: ClassVar[str] = "settle"
    lasts: ClassVar[bool] = True

    @property
    def subject(self) -> Subject:
        return Subject(*self.scope)

    def decide(self, txn: Transaction) -> bool:
        txn.authorize(_owner_of(self.scope))
        reason = txn.state.unsettled.get(self.scope)
        return reason is None or settle(txn, self.scope, reason)


def _owner_of(scope: Scope) -> str | None:
    """A whole service is taken out by an admin only."""
    return None if scope.ip is None else scope.service


def _room_for_window(txn: Transaction, by: str) -> None:
    owners = [window.by for window in txn.windows.values()]
    if len(owners) >= MAX_WINDOWS:
        raise TooManyWindows(MAX_WINDOWS)
    if by and owners.count(by) >= MAX_WINDOWS_PER_TOKEN:
        raise TooManyWindows(MAX_WINDOWS_PER_TOKEN, f" of the token {by}")
    if by and len(owners) - owners.count("") >= MAX_WINDOWS_OF_TOKENS:
        raise TooManyWindows(MAX_WINDOWS_OF_TOKENS, " of tokens without the right 'admin'")


@dataclass(frozen=True, slots=True)
class ReloadZones:
    """Other zone files are served: what they say is visible from outside, so the index moves."""

    reason: str
    action: ClassVar[str] = "reload-zones"
    lasts: ClassVar[bool] = False

    @property
    def subject(self) -> Subject:
        return Subject()

    def decide(self, txn: Transaction) -> None:
        txn.authorize(None)
        txn.add(ZonesEvent(self.reason))


# -- the passing of time


@dataclass(frozen=True, slots=True)
class Expire:
    """The next thing that time alone has brought about: one decision. Whether there was any.

    Of the node that leads alone. A mass of lapses is not one decision: the brake judges each with what the ones before have come to.
    """

    action: ClassVar[str] = "expire"
    lasts: ClassVar[bool] = False

    @property
    def subject(self) -> Subject:
        return Subject()

    def decide(self, txn: Transaction) -> bool:
        state, now = txn.state, txn.now
        if state.unsettled:
            scope, reason = next(iter(state.unsettled.items()))
            settle(txn, scope, reason)
            return True
        if (over := state.window_over(now)) is not None:
            reason = "the maintenance window is over"
            set_window(txn, over, None, reason)
            settle(txn, over, reason)
            return True
        entry = state.liveness.due(now)
        if entry is None:
            return False
        self._decide(txn, entry)
        return True

    def _decide(self, txn: Transaction, entry: Entry) -> None:
        state, now, instance = txn.state, txn.now, entry.instance
        if instance.status is Status.UNHEALTHY:
            expire(txn, entry, f"no heartbeat for {now - entry.lease.renewed_at:.1f} s")
        elif instance.status is Status.SUSPECT:
            again = ask_brake(txn, entry, state.service_of(entry))
            if again is not None:
                state.liveness.ask_again(entry, again)
        elif entry.lease.alive(now):
            window = state.liveness.damping.window
            txn.change(entry, instance, living(txn, instance), f"quiet for {window:g} s")
        else:
            lapse(txn, entry)


def _entry(txn: Transaction, which: Key | str) -> Entry:
    """The entry that a caller names and may change. A name that may not be changed is not told from one that does not exist."""
    if isinstance(which, Key):
        txn.authorize(which.service)
        return txn.state.at(which)
    entry = txn.state.at(which)
    txn.authorize(entry.instance.spec.key.service)
    return entry
