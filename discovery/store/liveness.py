"""What this process makes of the events it applies: counts by status, the brake's holds, flaps, and what waits for which deadline.

All of it is local or derived and may be lost; none of it decides anything by itself. `store.rules` reads it when it decides.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TypeVar

from discovery.core.address import client_prefix
from discovery.core.caller import Caller
from discovery.core.event import InstanceEvent
from discovery.core.health import Health
from discovery.core.instance import Instance
from discovery.core.status import DOWN, SILENT, TRUSTED, Status
from discovery.store.brake import Brake
from discovery.store.damping import Damping, Flaps
from discovery.store.deadlines import Deadlines
from discovery.store.service import Entry, Service

K = TypeVar("K")

_SUSPECT, _WARNING = Status.SUSPECT, Health.WARNING
# Of one call of `tidy`, 2 µs each. After a start all leases end at once, and nearly all were renewed meanwhile.
_PUT_OFF_AT_ONCE = 500
# Seconds until those are looked at again whose lease has run out, and of whom a node may have heard that this one does not hear.
_LOOK_AGAIN = 2.0


def owner_of(by: Caller) -> str:
    """Whom a limit counts: a token, or who has none by his network."""
    return f"token {by.name}" if by.name else client_prefix(by.address)


def _is_braked(instance: Instance) -> bool:
    """A suspect that the brake holds, not its own registration."""
    return instance.status is _SUSPECT and not instance.spec.hold


class Liveness:
    """Seconds are monotonic. `cleanup_interval`: between two cleanups, counted from `started_at` on. `max_lapsed`: so many are kept after
    their leases because they asked for it; more go as any other.
    """

    def __init__(
        self, brake: Brake, damping: Damping, started_at: float, cleanup_interval: float, max_lapsed: int
    ) -> None:
        self.brake = brake
        self.damping = damping
        self._started_at = started_at
        self._cleanup_interval = cleanup_interval
        self._counts = dict.fromkeys(Status, 0)
        self.warning = 0  # instances that warn of themselves
        self.checks = dict.fromkeys(Health, 0)  # by what they were decided to say
        self.lapsed = 0  # those that are kept after their leases
        self.copies: Counter[tuple[str, Status]] = Counter()  # of other registries' instances, by origin and status
        self.permanent: Counter[str] = (
            Counter()
        )  # those without a lease, by `owner_of` their registrants; no foreign ones
        self.max_lapsed = max_lapsed
        self._deadlines = Deadlines()
        self._retimed: Iterator[list[Entry]] = iter(())
        self.is_retiming = False  # `tidy` has more of these

    @property
    def counts(self) -> Mapping[Status, int]:
        """Entries by the status that was decided last, without those that are kept after their leases."""
        return self._counts

    @property
    def next(self) -> float | None:
        """When `due` has something, or earlier; None when nothing waits."""
        return float("-inf") if self.is_retiming else self._deadlines.next

    def due(self, now: float) -> Entry | None:
        """The next entry about which time alone has something to say. None: nothing, or `tidy` comes first."""
        entry = None if self.is_retiming else self._deadlines.peek(now)
        return entry if entry is not None and self._next_look(entry, now) <= now else None

    def tidy(self, now: float) -> None:
        """Puts off those before the next that is due, whose lease was renewed meanwhile; not all when they are many, and `next` says that
        there may be more.
        """
        if self.is_retiming:
            self.is_retiming = (part := next(self._retimed, None)) is not None
            for each in part or ():
                if each.due is not None:
                    self._deadlines.push(each, self._deadline(each))
            return
        for _ in range(_PUT_OFF_AT_ONCE):
            entry = self._deadlines.find_first(now)
            if entry is None or (deadline := self._next_look(entry, now)) <= now:
                return
            self._deadlines.put_off(entry, deadline)

    def _next_look(self, entry: Entry, now: float) -> float:
        deadline = self._deadline(entry)
        if deadline > now or entry.instance.status in SILENT or entry.over(now):
            return deadline
        if entry.lease.alive(now) and (not entry.instance.spec.checks or _has_news(entry, now)):
            return deadline
        return now + _LOOK_AGAIN

    def ask_again(self, entry: Entry, at: float) -> None:
        """About a suspect that is still held."""
        entry.next_action_at = at + self.brake.spread()
        self._deadlines.put_off(entry, entry.next_action_at)

    # -- what apply tells it

    def added(self, entry: Entry) -> None:
        self._count(entry.instance, 1)
        self._deadlines.push(entry, self._deadline(entry))

    def adopted(self, entry: Entry, service: Service, at: float) -> None:
        """As `added`, of one with a status that another node has decided: what it waits for begins anew."""
        status = entry.instance.status
        if status is _SUSPECT:
            self._suspected(entry, service, at)
        elif status is Status.UNHEALTHY:
            entry.next_action_at = self._removed_at(entry, at)
        elif status is Status.FLAPPING:
            entry.flaps = Flaps()
            entry.flaps.until = at + self.damping.window
        self.added(entry)

    def retime(self, entries: Iterator[list[Entry]]) -> None:
        """Leases have become longer or shorter: `tidy` looks at these again, a part at a time. A later deadline shows when the old one
        comes up.
        """
        self._retimed = entries
        self.is_retiming = True

    def removed(self, entry: Entry, service: Service) -> None:
        status = entry.instance.status
        self._count(entry.instance, -1)
        if _is_braked(entry.instance):
            self._leaves_hold(service)
        self._deadlines.discard(entry, its_turn=status is Status.UNHEALTHY)

    def changed(self, entry: Entry, service: Service, event: InstanceEvent, at: float, released: bool) -> None:
        """After the entry has the event's `after`. `released`: it is a suspect that the brake lets go."""
        assert event.before is not None
        assert event.after is not None
        before, after = event.before.status, event.after.status
        self._count(event.before, -1)
        self._count(event.after, 1)
        if before is not after or event.before.spec.hold != event.after.spec.hold:
            self._moved(entry, service, event.before, event.after, at, released)
        if event.renews and before not in TRUSTED:
            self.brake.came_back(event.after.id)
        self._wait(entry, at)

    def _moved(self, entry: Entry, service: Service, was: Instance, is_: Instance, at: float, released: bool) -> None:
        before, after, lease = was.status, is_.status, entry.lease
        is_silent = after in SILENT and not lease.alive(at)
        if (
            before in TRUSTED
            and not is_.spec.hold
            and (is_silent or (after is Status.FAILING and lease.lapsed_at > -math.inf))
        ):
            self.brake.lapsed(entry.instance.id, at)
        if _is_braked(was) and not _is_braked(is_):
            if released:
                assert service.hold is not None
                self.brake.let_go(service.hold, at)
                entry.brake_released_at = at
            self._leaves_hold(service)
        if after is _SUSPECT:
            self._suspected(entry, service, at)
        elif after is Status.UNHEALTHY:
            since = at if before is _SUSPECT else entry.lease.beats_end_since(-math.inf)
            entry.next_action_at = self._removed_at(entry, since)
        if self.damping.changes and (before in DOWN) != (after in DOWN):
            entry.flaps = entry.flaps or Flaps()
            entry.flaps.note(at, self.damping)

    def _suspected(self, entry: Entry, service: Service, at: float) -> None:
        if not _is_braked(entry.instance):
            entry.next_action_at = entry.beats_end + entry.instance.spec.hold
            return
        if service.hold is None:
            assert entry.since is not None  # of who is silent
            service.hold = self.brake.begin(at, entry.since)
        service.hold.add()
        entry.next_action_at = (self.brake.asks_again(service.hold, at) or at) + self.brake.spread()

    def _leaves_hold(self, service: Service) -> None:
        assert service.hold is not None
        service.hold.suspects -= 1
        if service.hold.suspects == 0:
            service.hold = None

    # -- what comes next

    def _wait(self, entry: Entry, at: float) -> None:
        deadline = self._deadline(entry)
        if entry.due is not None and entry.due <= at:
            self._deadlines.put_off(entry, deadline)  # it was that one's turn
        else:
            self._deadlines.push(entry, deadline)

    def _deadline(self, entry: Entry) -> float:
        status = entry.instance.status
        if status is Status.UNHEALTHY:
            return min(entry.next_action_at, entry.lease.critical_at)
        if status is _SUSPECT:
            return entry.next_action_at
        ends = entry.lease.due
        return min(ends, entry.flaps.until) if status is Status.FLAPPING and entry.flaps is not None else ends

    def _count(self, instance: Instance, by: int) -> None:
        for check in instance.spec.checks:
            self.checks[instance.said_by(check).health] += by
        if instance.lapsed_at is not None:
            self.lapsed += by
        else:
            self._counts[instance.status] += by
            self.warning += by * ((instance.health if instance.spec.checks else instance.own.health) is _WARNING)
        if (origin := instance.spec.imported_from) is not None:
            _add(self.copies, (origin, instance.status), by)
        elif instance.spec.lease is not None and not instance.attachments:
            _add(self.permanent, owner_of(instance.registrant), by)

    def _removed_at(self, entry: Entry, since: float) -> float:
        """When it is forgotten that is unhealthy `since` then."""
        keeps = entry.instance.lapsed_at is not None and self.lapsed <= self.max_lapsed
        return self._cleanup_after(
            (entry.lease.beats_end_since(-math.inf) + entry.instance.spec.keep)
            if keeps
            else since + self._cleanup_interval
        )

    def _cleanup_after(self, time: float) -> float:
        """The first cleanup at or after `time`; cleanups run every `cleanup_interval` from the start on."""
        ticks = math.ceil((time - self._started_at) / self._cleanup_interval)
        return max(time, self._started_at + ticks * self._cleanup_interval)


def _add(counts: Counter[K], key: K, by: int) -> None:
    """No key has 0."""
    counts[key] += by
    if not counts[key]:
        del counts[key]


def _has_news(entry: Entry, now: float) -> bool:
    """Of one with checks, whose lease runs: a report of one is missing, one has failed for too long, or it no longer flaps."""
    flaps = entry.flaps if entry.instance.status is Status.FLAPPING else None
    return bool(entry.missing(now)) or entry.lease.critical_at <= now or (flaps is not None and flaps.until <= now)
