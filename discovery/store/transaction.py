"""The table with the events of one decision laid over it. A write's `decide` reads it and adds events, or raises; the table itself is
touched only when the events are applied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from discovery.core.caller import Caller
from discovery.core.event import KIND_OF, Event, InstanceEvent, Kind
from discovery.core.instance import Instance
from discovery.core.maintenance import Scope
from discovery.core.name import fold
from discovery.core.status import DOWN, SILENT, Status
from discovery.store.damping import Flaps
from discovery.store.service import Entry
from discovery.store.state import State

# Whether `by` may change what belongs to `owner`, the folded name of a service; None: to nobody in particular. Raises Forbidden.
Authorize = Callable[["str | None", Caller], None]

# Of one commit. A larger decision is several commits in turns of their own, true after each: 100 events take about 2 ms with all that
# follows them, and etcd takes 128 operations a transaction.
MAX_EVENTS = 100


class Transaction:
    """`now`: monotonic seconds; `wall`: epoch seconds.

    For when it is carried out: `beats`, leases that are renewed without an event; `settled`, scopes whose instances all follow the windows;
    `half_held`, services (folded names) of whose silent ones the brake could not hold all in one commit.
    """

    __slots__ = (
        "_after",
        "_authorize",
        "_max_events",
        "beats",
        "by",
        "events",
        "half_held",
        "now",
        "settled",
        "state",
        "wall",
        "windows",
    )

    def __init__(
        self,
        state: State,
        now: float,
        wall: float,
        by: Caller,
        authorize: Iterable[Authorize] = (),
        max_events: int = MAX_EVENTS,
    ) -> None:
        self.state = state
        self.now = now
        self.wall = wall
        self.by = by
        self.windows = state.windows  # those in force, with what this transaction changes of them
        self.events: list[Event] = []
        self.beats: list[Entry] = []
        self.settled: tuple[Scope, ...] = ()
        self.half_held: tuple[str, ...] = ()
        self._authorize = authorize
        self._max_events = max_events
        self._after: dict[str, Instance] = {}  # by id: those that the events have changed

    def authorize(self, owner: str | None) -> None:
        """Forbidden, when the caller may not change what belongs to this service; None: that takes an admin."""
        for authorize in self._authorize:
            authorize(owner, self.by)

    @property
    def room(self) -> int:
        """Events that still fit into this commit."""
        return self._max_events - len(self.events)

    def current(self, entry: Entry) -> Instance:
        """The instance as the events so far leave it."""
        return self._after.get(entry.instance.id, entry.instance)

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
        if status is Status.HEALTHY and self._flaps(entry, before):
            status = Status.FLAPPING
            damping = self.state.liveness.damping
            reason = f"{reason}, but it changed more than {damping.changes} times in {damping.window:g} s"
        if after.status is not status:
            after = after.with_status(status)
        if after == before:
            if renews:
                self.beats.append(entry)
            return before
        kind = Kind.UPDATED if status is before.status else KIND_OF[status]
        lapsed_at = self._lapsed_at(entry, before)
        service = fold(after.spec.name)
        self.events.append(InstanceEvent(kind, service, before, after, reason, renews, lapsed_at=lapsed_at))
        self._after[after.id] = after
        return after

    def add(self, event: Event) -> None:
        self.events.append(event)

    def _lapsed_at(self, entry: Entry, before: Instance) -> float | None:
        """When its lease ran out, if no event has told of that yet. Epoch seconds."""
        lease = entry.lease
        if lease.alive(self.now) or before.status in SILENT:
            return None
        return self.wall - (self.now - lease.expires_at)

    def _flaps(self, entry: Entry, before: Instance) -> bool:
        """Whether it changes its health too often, with what this transaction changes of it."""
        damping = self.state.liveness.damping
        if not damping.changes:
            return False
        changes = sum(_changes_health(event, before.id) for event in self.events) + (before.status in DOWN)
        return self.now < (entry.flaps or _STEADY).until_with(changes, self.now, damping)


_STEADY = Flaps()


def _changes_health(event: Event, id: str) -> bool:
    if not isinstance(event, InstanceEvent) or event.before is None or event.after is None or event.after.id != id:
        return False
    return (event.before.status in DOWN) != (event.after.status in DOWN)
