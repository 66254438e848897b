"""The state that decisions read: the table, its windows, tombstones and drains, and this process's estimates. Changed by
`registry.Registry` alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping
from random import Random
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from discovery.core.caller import Caller
from discovery.core.event import Commit, ValueEvent
from discovery.core.instance import Instance, Key, Registration
from discovery.core.kinds import (
    KINDS,
    Document,
    DocumentEvent,
    DocumentKey,
    Drained,
    DrainEvent,
    RegistrySettings,
    Revocation,
    SettingsEvent,
    TokenEvent,
    WindowEvent,
)
from discovery.core.lease import PERMANENT_TTL, Term
from discovery.core.maintenance import Scope, Window
from discovery.core.name import fold
from discovery.store.brake import Brake
from discovery.store.change_log import OutputLog
from discovery.store.damping import NO_DAMPING, Damping
from discovery.store.liveness import Liveness
from discovery.store.log import Log
from discovery.store.losses import Losses
from discovery.store.nearness import Missing
from discovery.store.refused import RefusedHeartbeats
from discovery.store.table import Table
from discovery.store.values import Documents, Holder, Setting, Tombstones, Values, Windows, window_of

# 500 octets each. Beyond, the oldest are given up.
MAX_DRAINS = 16_384

# Services that are not there any more, 300 octets each. Likewise.
MAX_GONE = 10_000

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


_PERMANENT = Term(PERMANENT_TTL)


# Epoch seconds of a reading of the registry's clock, for people.
WallOf = Callable[[float], float]


class Gone(NamedTuple):
    """The last instance of a service was there until `wall`, epoch seconds. `silent`: nobody asked for that. `by`: who did, if known."""

    wall: float
    silent: bool
    by: Caller | None


class CheckResult(NamedTuple):
    """Of a check that the registry makes. `failure`: None: it passed. `at`: monotonic seconds."""

    at: float
    failure: str | None


def _as_new_as_can_be() -> int:
    return 0


class State(Table):
    """Services by folded name, instances by id. `settings`: those that hold, until others are adopted.

    `index`: of the last commit that readers see; the table may be ahead of it, never behind.
    `loaded` is False while the table is still being filled at start: a name that is missing then
    proves nothing. `reserved`: folded names that no new service may take, with the reason as NameReserved shows it;
    each node's own. `reserved_elsewhere`: those of the other nodes. `why_no_host`: why no instance may have a host name, as InvalidField
    shows it; by this node's zone files. `zones`: that this node serves, by name: `SERIAL DIGEST` of the file,
    empty without one. `unsettled`: large services whose window has
    changed and whose instances may not follow it yet. `half_held`: services with silent ones that the brake has yet to hold.
    `stale_seconds`: how old what this process knows is: 0 while it hears of everything.
    `last_checks`: what the last probes of an instance came to, by its id: by the checks' ids. `walls()`: what tells people's times,
    as they are now. `gone`: what is known of services that were there, by folded name.
    `revoked`: tokens that are no longer taken, by the SHA-256 of their secrets. `values`: all that is kept besides the instances, by kind.
    """

    def __init__(
        self,
        settings: RegistrySettings,
        *,
        cleanup_interval: float,
        new_id: Callable[[], str],
        started_at: float,
        index: int = 0,
        brake: Brake | None = None,
        damping: Damping = NO_DAMPING,
        log: Log | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self._term = Term(self.lease_ttl)
        self._own_terms: WeakValueDictionary[float, Term] = WeakValueDictionary()  # of those with a ttl of their own
        self.cleanup_interval = cleanup_interval
        self.new_id = new_id
        self.index = index
        self.loaded = True
        self.reserved: Mapping[str, str] = {}
        self.why_no_host: Callable[[str], str | None] = lambda host: None
        self.zones: Mapping[str, str] = {}
        self.reserved_elsewhere: Mapping[str, str] = {}
        self.losses = Losses()
        self.missing = Missing()
        self.gone: Values[str, Gone] = Values(MAX_GONE)
        self.followers: list[Follower] = [self.losses.follow_commit]
        self.index_followers: list[IndexFollower] = []
        self.staleness_followers: list[Callable[[str | None], None]] = []  # see `staleness_changed`
        self.staleness = 0  # how often that was called
        self.stale_seconds: Callable[[], int] = _as_new_as_can_be
        self.max_permanent = 1000  # without a lease, of one token or client prefix; 0: none may
        self.face_max_instances = 1000  # of a service that has one which came by another registry's API or an import
        self.has_own_statuses = False  # readers may see other statuses here than were decided last
        self.accepted: Counter[str] = Counter()  # writes by action, since the start
        self.renewals = 0  # heartbeats
        self.unknown_heartbeats = 0  # of instances that are not registered
        self.refused = RefusedHeartbeats()
        self.last_checks: list[Callable[[str], Mapping[str, CheckResult]]] = []
        self.outputs = OutputLog()
        self.walls: Callable[[], WallOf] = lambda: float
        self.cleanups = 0  # instances that were removed for their silence
        self.log = log or Log()
        self.log.begin(index)
        no_brake = Brake(0, 0, cleanup_interval, self.lease_ttl, Random())
        self.liveness = Liveness(brake or no_brake, damping, started_at, cleanup_interval, settings.max_instances)
        self.drains: Values[Key, Drained] = Values(MAX_DRAINS)
        self.revoked: Values[bytes, Revocation] = Values()
        self._documents = Documents()
        self.unsettled: dict[Scope, Unsettled] = {}
        self.half_held: dict[str, None] = {}
        self._tombstones = Tombstones()
        self._windows = Windows()
        self.values: Mapping[type[ValueEvent[Any, Any]], Holder] = {
            **{each: Values() for each in KINDS.values() if each.kind.kept},
            WindowEvent: self._windows, DrainEvent: self.drains, TokenEvent: self.revoked, DocumentEvent: self._documents,
            SettingsEvent: Setting(lambda: self.settings, self.adopt),
        }  # fmt: skip

    def adopt(self, settings: RegistrySettings) -> None:
        """They hold from now on: each lease is as long as they say, whenever it began."""
        before, self.settings = self.settings, settings
        self.liveness.brake.timeout = self.lease_ttl
        self.liveness.max_lapsed = settings.max_instances
        self._term.seconds = self.lease_ttl + settings.grace
        for ttl, term in self._own_terms.items():
            term.seconds = ttl + settings.grace
        if self._term.seconds != before.heartbeat_timeout_seconds + before.grace or settings.grace != before.grace:
            self.liveness.retime(self.in_parts())
            self.staleness_changed()

    def staleness_changed(self, service: str | None = None) -> None:
        """Instances of the service (its folded name; None: of any) have another status here, or other leases, and no commit about it says
        so (`service.NodeStatus`): who keeps answers ready drops them.
        """
        self.staleness += 1
        for follow in self.staleness_followers:
            follow(service)

    # -- reading

    @property
    def windows(self) -> Mapping[Scope, Window]:
        """The maintenance windows; another mapping after each change."""
        return self._windows.all

    def document(self, plugin: str, key: str) -> Any:
        """What the plugin remembers under this key, as JSON; None: nothing."""
        document = self._documents.get(DocumentKey(plugin, key))
        return None if document is None else document.value

    def documents(self, plugin: str) -> Mapping[str, Document]:
        """All that the plugin remembers, by key; changes under the feet of a reader who awaits."""
        return self._documents.of.get(plugin, {})

    def window(self, instance: Instance) -> Window | None:
        """The one that keeps the instance out of answers."""
        return window_of(self._windows.all, instance)

    @property
    def is_ahead(self) -> bool:
        """The table has changes that the index does not tell of yet."""
        return self.log.is_staged

    def view(self) -> Hashable:
        """What tells answers of one index apart: it changes with what this process believes though no commit says so. None: nothing."""
        stale = self.stale_seconds() > 0
        return (self.staleness, stale) if stale or self.staleness or self.has_own_statuses else None

    def index_of(self, name: str) -> int:
        """Of the last commit about the service. Of a name that nobody has, as far as the log goes back: commits about others do not
        move it, so that whoever waits for the name is not woken by them.
        """
        service = self.service(name)
        return self.log.index_of(fold(name)) if service is None else min(service.index, self.index)

    @property
    def living(self) -> int:
        """How many instances there are, without those that are known for some time after their lease."""
        return len(self) - self.liveness.lapsed

    @property
    def lease_ttl(self) -> float:
        """Seconds, of a lease that has no ttl of its own."""
        return self.settings.heartbeat_timeout_seconds

    def term_of(self, spec: Registration) -> Term:
        """How long its lease lasts."""
        if spec.ttl is None:
            return self._term if spec.lease is None else _PERMANENT
        term = self._own_terms.get(spec.ttl)
        if term is None:
            self._own_terms[spec.ttl] = term = Term(spec.ttl + self.settings.grace)
        return term

    def ttl_of(self, spec: Registration) -> float:
        """Seconds of its lease."""
        if spec.lease is not None:
            return PERMANENT_TTL
        return self.settings.heartbeat_timeout_seconds if spec.ttl is None else spec.ttl

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
