"""A service and its instances as this process keeps them: an Entry each, read by everyone, written by the registry's apply alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from discovery.core.caller import Caller
from discovery.core.check_states import kept, with_missing
from discovery.core.health import WELL, Finding, Health
from discovery.core.instance import Instance
from discovery.core.lease import Lease, Term
from discovery.core.name import fold, is_label
from discovery.core.status import SILENT, TRUSTED, Probed, Status
from discovery.store.brake import Hold
from discovery.store.checked_lease import CheckedLease
from discovery.store.damping import Flaps


class NodeStatus:
    """One for each node, shared by all entries that were heard through it last, so a change is one assignment. Monotonic seconds.

    `silent`: nothing is heard of it. `since`: from when on all heartbeats at it are known here. `until`: a lease that ends later may have
    been renewed there, and this process could not know. Of a single process both are without end.

    Set by the engine, which calls `registry.staleness_changed`.
    """

    __slots__ = ("node", "silent", "since", "until")

    def __init__(self, node: str = "") -> None:
        self.node = node
        self.silent = False
        self.since = float("-inf")
        self.until = float("inf")


# This process itself, where there is no other.
DIRECT = NodeStatus()


class Override(NamedTuple):
    """What this process believes of an instance in place of what was decided last, as nobody can be told of it now: it beats here
    (`beats`), or has said goodbye here. `reason`: a sentence for `explain`.
    """

    status: Status
    reason: str
    beats: bool


Place = tuple[str, int]  # `Registration.place`: the key of an instance within its service

_HEALTHY = Status.HEALTHY  # looking into an enum takes as long as all the rest of a test
_SUSPECT = Status.SUSPECT
_FLAPPING = Status.FLAPPING

# What stands for the lease of a suspect: it is in answers until a commit says otherwise.
_NEVER_ENDING = Lease(Term(1e9), 0.0)
# Of a suspect whose lease is over, and nobody can tell yet whether it was renewed elsewhere: any moment says. TTL 1, and kept for 50 ms.
_UNCERTAIN = Term(1.05)


class Entry:
    """An instance, its lease, and this process's own estimates about it.

    `index`: of the commit that changed it last. `since`: when its status became what it is, epoch seconds; None: not known. `flaps`: its
    latest changes of health; None before the first. `asker`: who took it out of the answers last; None: not known. `brake_released_at`:
    when the brake last let go of it. `next_action_at`: when one that is unhealthy is removed, or the brake is asked about a suspect again.
    `due`: the deadline under which it waits in the queue, None once it is removed. `through`: the node that heard it last. `beaten_from`:
    from where it beat at this node, if ever from elsewhere than its registrant. `output`: the latest that it said of its health, where no
    event told of it; None: the instance has it. `override`: what is believed here in place of what was decided, while nobody can be told.
    """

    __slots__ = (
        "asker",
        "beaten_from",
        "brake_released_at",
        "due",
        "flaps",
        "index",
        "instance",
        "lease",
        "next_action_at",
        "output",
        "override",
        "since",
        "through",
    )

    def __init__(self, instance: Instance, lease: Lease, index: int = 0, since: float | None = 0.0) -> None:
        self.instance = instance
        self.lease = lease
        self.index = index
        self.since = since
        self.brake_released_at = float("-inf")
        self.flaps: Flaps | None = None
        self.asker: Caller | None = None
        self.next_action_at = 0.0
        self.due: float | None = None
        self.through: NodeStatus = DIRECT
        self.beaten_from: str | None = None
        self.override: Override | None = None
        self.output: str | None = None

    @property
    def own(self) -> Finding:
        """What it says of its health, with its latest words."""
        own = self.instance.own
        return own if self.output is None else own._replace(output=self.output)

    @property
    def status(self) -> Status:
        """As it was decided last, or is believed here in place of that."""
        return self.instance.status if self.override is None else self.override.status

    def status_at(self, now: float) -> Status:
        """As a reader at `now` has to see it: expiry is tested here, at the read, not when a sweep comes by."""
        status = self.instance.status if self.override is None else self.override.status  # as `status`
        if self.lease.alive(now):
            doubted = status is _HEALTHY and self.through.silent and self.instance.spec.lease is None
            return _SUSPECT if doubted else status
        hold = self.instance.spec.hold
        if status in SILENT:
            return Status.UNHEALTHY if hold and now >= self.beats_end + hold else status
        if not self.over(now) or (hold and status is _HEALTHY and self.is_held(now)):
            return _SUSPECT if status is _HEALTHY else status
        if self.beats_end <= now:
            return Status.UNHEALTHY
        return Status.FAILING if status in TRUSTED else status  # reports of its checks are missing

    def rank(self, now: float) -> int:
        """Its place among those that are served: suspects come after the healthy, and first of them those whose port accepts."""
        if self.status_at(now) is not _SUSPECT:
            return 0
        return 1 if self.instance.probed is Probed.ACCEPTED else 2

    def healthy(self, now: float) -> bool:
        return self.status_at(now) is _HEALTHY

    def suspect(self, now: float) -> bool:
        return self.status_at(now) is _SUSPECT

    def over(self, now: float) -> bool:
        """Whether its lease has run out, and this process would know of a heartbeat at any node."""
        through, lease = self.through, self.lease
        if lease.alive(now):  # nearly always
            return False
        end = lease.end_since(through.since)
        return end <= now and end <= through.until and not through.silent

    def missing(self, now: float) -> Mapping[str, float]:
        """Of its checks, those whose report is missing, and this process would know of one: since when."""
        through, lease = self.through, self.lease
        if through.silent or not isinstance(lease, CheckedLease):
            return {}
        return {id: end for id, end in lease.missing(now, through.since).items() if end <= through.until}

    def says(self, check: str, health: Health, now: float) -> bool:
        """Whether a report of this `ttl` check is nothing new: that it came is all there is to note."""
        lease = self.lease
        return (
            isinstance(lease, CheckedLease)
            and lease.is_running(check, now)
            and self.instance.checks.get(check, WELL).health is health
            and self.status not in SILENT
            and lease.alive(now)
        )

    def report(self, check: str, now: float) -> None:
        if isinstance(self.lease, CheckedLease):
            self.lease.report(check, now)

    def note_output(self, check: str, output: str) -> None:
        if isinstance(self.lease, CheckedLease) and (
            check in self.lease.outputs or output != self.instance.checks.get(check, WELL).output
        ):
            self.lease.outputs[check] = kept(output, self.instance.spec.checks)

    def as_seen(self, now: float, wall_of: Callable[[float], float]) -> Instance:
        """With the latest words of itself and its checks, and what a reader at `now` has to know of these. `wall_of`: epoch seconds of
        monotonic ones.
        """
        instance, lease = self.instance, self.lease
        missing = {} if self.suspect(now) else {id: wall_of(at) for id, at in self.missing(now).items()}
        states = with_missing(instance.spec.checks, instance.checks, missing)
        outputs = lease.outputs if isinstance(lease, CheckedLease) else {}
        said = {id: states.get(id, WELL)._replace(output=output) for id, output in outputs.items() if id not in missing}
        return instance._replace(own=self.own, checks=states | said)

    def is_held(self, now: float) -> bool:
        """Because it asked for that, while heartbeats are missing and nothing else."""
        return self.beats_end <= now < self.beats_end + self.instance.spec.hold and now < self.lease.reports_end

    @property
    def beats_end(self) -> float:
        """From then on heartbeats are missing, as `over` has it."""
        return self.lease.beats_end_since(self.through.since)

    @property
    def lease_end(self) -> float:
        """From then on its lease is over, as `over` has it."""
        return self.lease.end_since(self.through.since)

    @property
    def brake_released(self) -> bool:
        """The brake has let go of it since it last beat."""
        return self.brake_released_at > self.lease.renewed_at

    def effective_lease(self, now: float) -> Lease:
        """How long it stays in answers unless a commit says otherwise."""
        if not self.suspect(now):
            return self.lease
        if (hold := self.instance.spec.hold) and self.over(now):
            return Lease(Term(hold), self.beats_end)
        ends_with_word = self.status is _SUSPECT or self.through.silent  # a commit's, or `staleness_changed`
        return _NEVER_ENDING if ends_with_word else Lease(_UNCERTAIN, now)


class Service:
    """`name` as first registered, `folded` as it is compared. `key`: its label in DNS, empty where the name is none, and DNS does not know
    it. `hold`: the brake's, while it has suspects. `calm_at`: when the silent ones were last counted and were not too many. `index`: of the
    last commit about it. `changed_at`: when that was, epoch seconds; None: before this process began, as far as it knows.

    `entries` in the order of registration, those included whose lease has run out.
    """

    __slots__ = ("calm_at", "changed_at", "entries", "folded", "hold", "index", "key", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.folded = fold(name)
        self.key = self.folded.encode("ascii") if is_label(name) else b""
        self.entries: dict[Place, Entry] = {}
        self.hold: Hold | None = None
        self.calm_at: float | None = None
        self.changed_at: float | None = None
        self.index = 0

    @property
    def living(self) -> int:
        """How many there are, without those that are known for some time after their lease."""
        return sum(entry.instance.lapsed_at is None for entry in self.entries.values())

    def healthy(self, now: float) -> list[Entry]:
        """Those whose lease still runs at `now` and that nothing keeps out of answers."""
        return [entry for entry in self.entries.values() if entry.healthy(now)]

    def served(self, now: float) -> list[Entry]:
        return served(self.entries.values(), now)


def served(entries: Iterable[Entry], now: float) -> list[Entry]:
    """Those of `entries` that belong into an answer: the healthy ones, then the suspects; where there are neither, those that flap."""
    entries = list(entries)
    healthy = [
        entry
        for entry in entries
        if entry.instance.status is _HEALTHY
        and entry.lease.alive(now)
        and not entry.through.silent
        and entry.override is None
    ]  # as Entry.healthy
    if len(healthy) == len(entries):  # nearly always
        return healthy
    by_status: dict[Status, list[Entry]] = {_HEALTHY: [], _SUSPECT: [], _FLAPPING: []}
    for entry in entries:
        if (found := by_status.get(entry.status_at(now))) is not None:
            found.append(entry)
    suspects = sorted(by_status[_SUSPECT], key=lambda entry: entry.rank(now))
    return by_status[_HEALTHY] + suspects or by_status[_FLAPPING]
