"""The state that decisions read: the table, its windows, tombstones and drains, and this process's estimates. Changed by
`registry.Registry` alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping
from random import Random
from typing import Any, NamedTuple

from discovery.core.event import Commit, ValueEvent
from discovery.core.instance import Instance, Key, Registration
from discovery.core.kinds import KINDS, Drained, DrainEvent, TokenEvent, WindowEvent
from discovery.core.maintenance import Scope, Window
from discovery.core.name import fold
from discovery.core.revocation import Revocation
from discovery.store.brake import Brake
from discovery.store.damping import NO_DAMPING, Damping
from discovery.store.liveness import Liveness
from discovery.store.log import Log
from discovery.store.table import Table
from discovery.store.tombstones import Tombstones
from discovery.store.values import Holder, Values
from discovery.store.windows import Windows, window_of

# 500 octets each. Beyond, the oldest are given up.
MAX_DRAINS = 16_384

# Called for each commit once the table has it, in order: never blocks, never raises, never writes.
Follower = Callable[[Commit], None]
# Called when the index and the log have moved, with the services (folded names) that this is about. Likewise.
IndexFollower = Callable[[Collection[str]], None]


class Unsettled(NamedTuple):
    """Of a window over more instances than one commit holds. `since`: when time has to finish it, monotonic seconds, should whoever opened
    or ended it have gone.
    """

    reason: str
    since: float


def _as_new_as_can_be() -> int:
    return 0


class State(Table):
    """Services by folded name, instances by id. `max_instances`: of one service. `max_services`, `max_in_all`: ceilings.

    `index`: of the last commit that readers see; the table may be ahead of it, never behind.
    `loaded` is False while the table is still being filled at start: a name that is missing then
    proves nothing. `reserved`: folded names that no new service may take, with the reason as NameReserved shows it;
    each node's own. `reserved_elsewhere`: those of the other nodes. `zones`: that this node serves, by name: `SERIAL DIGEST` of the file,
    empty without one. `unsettled`: large services whose window has
    changed and whose instances may not follow it yet. `half_held`: services with silent ones that the brake has yet to hold.
    `stale_seconds`: how old what this process knows is: 0 while it hears of everything.
    `revoked`: tokens that are no longer taken, by the SHA-256 of their secrets. `values`: all that is kept besides the instances, by kind.
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
        log: Log | None = None,
    ) -> None:
        super().__init__()
        self.lease_ttl = lease_ttl
        self.cleanup_interval = cleanup_interval
        self.max_instances = max_instances
        self.max_services = max_services
        self.max_in_all = max_in_all
        self.new_id = new_id
        self.index = index
        self.loaded = True
        self.reserved: Mapping[str, str] = {}
        self.zones: Mapping[str, str] = {}
        self.reserved_elsewhere: Mapping[str, str] = {}
        self.followers: list[Follower] = []
        self.index_followers: list[IndexFollower] = []
        self.staleness_followers: list[Callable[[str | None], None]] = []  # see `Registry.staleness_changed`
        self.staleness = 0  # how often that was called
        self.stale_seconds: Callable[[], int] = _as_new_as_can_be
        self.has_own_statuses = False  # readers may see other statuses here than were decided last
        self.grace = 0.0  # seconds that a heartbeat may be under way between the nodes of the registry: a lease lasts so much longer
        self.accepted: Counter[str] = Counter()  # writes by action, since the start
        self.renewals = 0  # heartbeats
        self.unknown_heartbeats = 0  # of instances that are not registered
        self.cleanups = 0  # instances that were removed for their silence
        self.log = log or Log()
        self.log.begin(index)
        no_brake = Brake(0, 0, cleanup_interval, lease_ttl, Random())
        self.liveness = Liveness(brake or no_brake, damping, started_at, cleanup_interval)
        self.drains: Values[Key, Drained] = Values(MAX_DRAINS)
        self.revoked: Values[bytes, Revocation] = Values()
        self.unsettled: dict[Scope, Unsettled] = {}
        self.half_held: dict[str, None] = {}
        self._tombstones = Tombstones()
        self._windows = Windows()
        self.values: Mapping[type[ValueEvent[Any, Any]], Holder] = {
            **{each: Values() for each in KINDS.values() if each.kind.kept},
            WindowEvent: self._windows, DrainEvent: self.drains, TokenEvent: self.revoked,
        }  # fmt: skip

    def all_are_held(self, service: str) -> None:
        """Of one that was half held."""
        self.half_held.pop(service, None)

    # -- reading

    @property
    def windows(self) -> Mapping[Scope, Window]:
        """The maintenance windows; another mapping after each change."""
        return self._windows.all

    def window(self, instance: Instance) -> Window | None:
        """The one that keeps the instance out of answers."""
        return window_of(self._windows.all, instance)

    @property
    def is_ahead(self) -> bool:
        """The table has changes that the index does not tell of yet."""
        return self.log.is_staged

    def view(self) -> Hashable:
        """What tells answers of one index apart: it changes with what this process believes though no commit says so. None: nothing."""
        return (self.staleness, self.stale_seconds() > 0) if self.staleness or self.has_own_statuses else None

    def index_of(self, name: str) -> int:
        """Of the last commit about the service. Of a name that nobody has, as far as the log goes back: commits about others do not
        move it, so that whoever waits for the name is not woken by them.
        """
        service = self.service(name)
        return self.log.index_of(fold(name)) if service is None else service.index

    def ttl_of(self, spec: Registration) -> float:
        """Seconds of its lease."""
        return self.lease_ttl if spec.ttl is None else spec.ttl

    def buried(self, key: Key, now: float) -> float:
        """Seconds for which no heartbeat brings it back; 0 when there was no deregistration lately."""
        return self._tombstones.left(key, now)

    def window_over(self, now: float) -> Scope | None:
        """One whose window has ended by itself."""
        return self._windows.over(now)

    def next_deadline(self) -> float | None:
        """When `Expire` has something to do, or earlier; None when nothing is registered."""
        if self.half_held:
            return float("-inf")
        deadline = self.liveness.next
        if self._windows.next is not None:
            deadline = self._windows.next if deadline is None else min(deadline, self._windows.next)
        if self.unsettled:
            since = min(left.since for left in self.unsettled.values())
            deadline = since if deadline is None else min(deadline, since)
        return deadline
