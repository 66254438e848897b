"""One decision on its way: the state with the events of the decision laid over it. A write's `decide` reads the state here and nowhere
else, and adds events, or raises; the state itself is touched only when the events are applied.

What is read is noted, as what is changed is: an engine of several nodes compares it before the events count. Not noted is what only this
process knows (leases, the brake's counts, what is due) and what grows all the time (how many there are in all).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from discovery.core.caller import Caller
from discovery.core.event import KIND_OF, Event, InstanceEvent, Kind, ValueEvent
from discovery.core.instance import Instance, Key, Registration
from discovery.core.kinds import Drained, RegistrySettings, TokenEvent
from discovery.core.maintenance import Scope, Window
from discovery.core.name import fold
from discovery.core.status import SILENT, Status
from discovery.store.damping import flaps
from discovery.store.errors import PermanentRefused, RegistryFull, UnknownInstance, UnknownService
from discovery.store.liveness import Liveness, owner_of
from discovery.store.service import Entry, Service
from discovery.store.state import State, Unsettled

# Whether `by` may change what belongs to `owner`, the folded name of a service; None: to nobody in particular. Raises Forbidden.
Authorize = Callable[["str | None", Caller], None]

K = TypeVar("K")
V = TypeVar("V")

# Of one commit. A larger decision is several commits in turns of their own, true after each: 100 events take about 2 ms with all that
# follows them, and etcd takes 128 operations a transaction.
MAX_EVENTS = 100


class Transaction:
    """`now`: monotonic seconds; `wall`: epoch seconds.

    What was read: `services`, by folded name, each with its instances, windows, tombstones and remembered drains: a commit about any of
    these is about the service; `ids`, those that were claimed; `values`, what is of no service (`core.kinds`), each with its key;
    `reads_reserved`, whether the names that zone files reserve. The settings are read by every decision.

    For when it is carried out: `beats`, leases that are renewed without an event, each perhaps with a report of a check (by id);
    `settled`, scopes whose instances all follow the windows; `half_held`, services (folded names) of whose silent ones the brake could not
    hold all in one commit; `effects`, what this process notes for itself.
    """

    # Most decisions leave these as they are.
    ids: tuple[str, ...] = ()
    values: tuple[tuple[type[ValueEvent[Any, Any]], Any], ...] = ()
    reads_reserved = False
    beats: tuple[tuple[Entry, str | None], ...] = ()
    effects: tuple[Callable[[], object], ...] = ()
    settled: tuple[Scope, ...] = ()
    half_held: tuple[str, ...] = ()
    _calm: tuple[Service, ...] = ()

    def __init__(
        self,
        state: State,
        now: float,
        wall: float,
        by: Caller,
        authorize: Iterable[Authorize] = (),
        max_events: int = MAX_EVENTS,
    ) -> None:
        self._state = state
        self.now = now
        self.wall = wall
        self.by = by
        self.services: list[str] = []
        # Those in force, with what this transaction changes of them; of services that were read.
        self.windows = state.windows
        self.events: list[Event] = []
        self._authorize = authorize
        self._max_events = max_events
        self._after: dict[str, Instance] = {}  # by id: those that the events have changed

    def authorize(self, owner: str | None) -> None:
        """Forbidden, when the caller may not change what belongs to this service; None: that takes an admin. Unauthorized, when the
        caller's token was revoked.
        """
        if self.by.token:
            self.values += ((TokenEvent, self.by.token),)
        for authorize in self._authorize:
            authorize(owner, self.by)

    @property
    def room(self) -> int:
        """Events that still fit into this commit."""
        return self._max_events - len(self.events)

    # -- what decisions read: services and instances

    def service(self, name: str) -> Service | None:
        """By its folded name."""
        self.services.append(name)
        return self._state.services.get(name)

    def service_of(self, entry: Entry) -> Service:
        service = self.service(fold(entry.instance.spec.name))
        assert service is not None
        return service

    def claim(self, id: str) -> Entry | None:
        """For an instance to come, whose client chose it. Whose it is."""
        self.ids += (id,)
        return self.find(id)

    def find(self, which: Key | str) -> Entry | None:
        entry = self._state.find(which)
        if not isinstance(which, str):
            self.services.append(which.service)
        elif entry is not None:
            self.services.append(fold(entry.instance.spec.name))
        return entry

    def at(self, which: Key | str) -> Entry:
        """As `find`; UnknownInstance."""
        entry = self.find(which)
        if entry is None:
            raise UnknownInstance.at(which)
        return entry

    def affected(self, scope: Scope, known: bool) -> list[Entry]:
        """Those of it that are registered now. `known`: none is UnknownService or UnknownInstance."""
        if scope.ip is not None and scope.port is not None:
            key = Key(scope.service, scope.ip, scope.port)
            entry = self.at(key) if known else self.find(key)
            return [] if entry is None else [entry]
        service = self.service(scope.service)
        if service is None and known:
            raise UnknownService(scope.service)
        return [] if service is None else list(service.entries.values())

    def current(self, entry: Entry) -> Instance:
        """The instance as the events so far leave it."""
        return self._after.get(entry.instance.id, entry.instance) if self._after else entry.instance

    def buried(self, key: Key) -> float:
        """Seconds for which no heartbeat brings it back; 0 when there was no deregistration lately."""
        self.services.append(key.service)
        return self._state.buried(key, self.now)

    def drained(self, key: Key) -> Drained | None:
        """What is remembered of an instance that was draining when it was removed for its silence."""
        self.services.append(key.service)
        return self._state.drains.get(key)

    def window_at(self, scope: Scope) -> Window | None:
        self.services.append(scope.service)
        return self.windows.get(scope)

    # -- what is of no service, names, settings, totals

    def value(self, of: type[ValueEvent[K, V]], key: K) -> V | None:
        """Of a kind that is of no service."""
        self.values += ((of, key),)
        return self._state.values[of].all.get(key)

    def all(self, of: type[ValueEvent[K, V]]) -> Mapping[K, V]:
        """For how many there are, and which of them may go."""
        return self._state.values[of].all

    def reserved(self, name: str) -> str | None:
        """Why no new service may have that folded name."""
        self.reads_reserved = True
        return self._state.reserved.get(name) or self._state.reserved_elsewhere.get(name)

    def why_no_host(self, host: str) -> str | None:
        return self._state.why_no_host(host)

    def ttl_of(self, spec: Registration) -> float:
        return self._state.ttl_of(spec)

    @property
    def settings(self) -> RegistrySettings:
        return self._state.settings

    def new_id(self) -> str:
        return self._state.new_id()

    def refuse_permanent(self) -> None:
        """PermanentRefused, when the caller may not have one more instance without a lease."""
        most = self._state.max_permanent
        if self.liveness.permanent[owner_of(self.by)] >= most:
            raise PermanentRefused(most)

    def limit_of(self, service: Service, is_foreign: bool) -> tuple[int, str]:
        """How many instances the service may have if such a one comes, and the setting that says so."""
        usual, face = self.settings.max_instances_per_service, self._state.face_max_instances
        if len(service.entries) >= usual and (
            is_foreign or any(entry.instance.is_foreign for entry in service.entries.values())
        ):
            return max(usual, face), "FACE_MAX_INSTANCES"
        return usual, "MAX_INSTANCES_PER_SERVICE"

    def is_full(self, *, new_service: bool) -> RegistryFull | None:
        """Why there cannot be one more instance, of a service of its own or of one there is."""
        state, settings = self._state, self._state.settings
        if new_service and len(state.services) >= settings.max_services:
            return RegistryFull("services", settings.max_services)
        return RegistryFull("instances", settings.max_instances) if state.living >= settings.max_instances else None

    # -- what time has brought, and this process's estimates

    def half_held_service(self) -> str | None:
        """One whose silent ones the brake could not hold all in one commit."""
        return next(iter(self._state.half_held), None)

    def unsettled(self, scope: Scope) -> Unsettled | None:
        return self._state.unsettled.get(scope)

    def overdue_scope(self) -> Scope | None:
        """One that is unsettled for so long that time has to finish it."""
        return next((scope for scope, left in self._state.unsettled.items() if left.since <= self.now), None)

    def window_over(self) -> Scope | None:
        """One whose window has ended by itself."""
        return self._state.window_over(self.now)

    def due(self) -> Entry | None:
        """The next entry about which time alone has something to say; None: nothing, or nothing before the queue is tidied."""
        entry = self.liveness.due(self.now)
        if entry is None:
            self.afterwards(self.liveness.tidy, self.now)
        else:
            self.services.append(fold(entry.instance.spec.name))
        return entry

    @property
    def liveness(self) -> Liveness:
        return self._state.liveness

    def lapses_with(self, entry: Entry) -> tuple[int, int]:
        """How many have fallen silent within one timeout, in all services, with this one; and how many there are in all."""
        return self.liveness.brake.lapses(entry.instance.id, self.now), self._state.living

    def calm(self, service: Service, seconds: float) -> bool:
        """Whether its silent ones were counted that lately, and were not too many."""
        return service in self._calm or (service.calm_at is not None and self.now < service.calm_at + seconds)

    # -- what decisions add

    def register(self, instance: Instance, service: str, reason: str) -> None:
        """`service`: its folded name."""
        self.events.append(InstanceEvent(Kind.REGISTERED, service, None, instance, reason, True))

    def remove(self, kind: Kind, entry: Entry, reason: str, buried_until: float | None = None) -> Instance:
        before = self.current(entry)
        lapsed_at = self._lapsed_at(entry, before)
        event = InstanceEvent(kind, fold(before.spec.name), before, None, reason, False, buried_until, lapsed_at)
        self.events.append(event)
        return before

    def change(self, entry: Entry, after: Instance, status: Status, reason: str, renews: bool = False) -> Instance:
        """The entry becomes `after` with this status, unless it changes too often to be called healthy. No event that says nothing."""
        before = self.current(entry)
        if status is Status.HEALTHY and flaps(entry.flaps, self.events, before, self.now, self.liveness.damping):
            status, damping = Status.FLAPPING, self.liveness.damping
            reason = f"{reason}, but it changed more than {damping.changes} times in {damping.window:g} s"
        if after.status is not status:
            after = after.with_status(status)
        lapsed_at = self._lapsed_at(entry, before)
        if status is Status.UNHEALTHY and after.spec.keep and after.lapsed_at is None:
            after = after._replace(lapsed_at=lapsed_at or self.wall)
        if after == before:
            if renews:
                self.beats += ((entry, None),)
            return before
        kind = Kind.UPDATED if status is before.status else KIND_OF[status]
        service = fold(after.spec.name)
        self.events.append(InstanceEvent(kind, service, before, after, reason, renews, lapsed_at=lapsed_at))
        self._after[after.id] = after
        return after

    def add(self, event: Event) -> None:
        self.events.append(event)

    def note_calm(self, service: Service) -> None:
        self._calm += (service,)
        self.afterwards(setattr, service, "calm_at", self.now)

    def note_held(self, service: str) -> None:
        """No longer half held."""
        self.afterwards(self._state.half_held.pop, service, None)

    def afterwards(self, effect: Callable[..., object], *arguments: object) -> None:
        """What this process notes for itself, once the decision is carried out."""
        self.effects += (partial(effect, *arguments),)

    def _lapsed_at(self, entry: Entry, before: Instance) -> float | None:
        """When its lease ran out, if no event has told of that yet. Epoch seconds."""
        if before.status in SILENT or not entry.over(self.now):
            return None
        return self.wall - (self.now - entry.lease_end)
