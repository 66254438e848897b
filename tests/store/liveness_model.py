"""What the registry may say of instances that fall silent, drain, are maintained, fail or flap: a judge that knows the rules alone.

It hears the same writes, plays the published changes to itself one by one and refuses those that break a rule: nothing is called
unhealthy early, suspects are only those the brake may hold, no longer than it may, and so on. Where chance decides (whom the brake
lets go first) or a write overtakes the reaper, more than one outcome is allowed.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from discovery.core.event import Kind
from discovery.core.instance import Key, Registration
from discovery.core.maintenance import Scope, Window
from discovery.core.status import Status
from tests.store.drawing import LEASE_TTL
from tests.store.making import COME, Replica, Told

PERCENT, MAX_SECONDS, SHARE = 30.0, 20.0, 0.2
FLAP_CHANGES, FLAP_WINDOW = 2, 8.0
DOWN = {Status.UNHEALTHY, Status.FAILING}


@dataclass
class Row:
    """`gap`: the longest between two heartbeats. `let_go`: by the brake, since its last heartbeat. `refused`: so did its port."""

    id: str
    registered_at: float
    spec: Registration
    renewed_at: float
    gap: float = 0.0
    status: Status = Status.HEALTHY
    draining_since: float | None = None
    failing: bool = False
    let_go: bool = False
    refused: bool = False
    gone_since: float = math.inf
    flaps: list[float] = field(default_factory=list)
    flapping_until: float = 0.0

    @property
    def ttl(self) -> float:
        return LEASE_TTL if self.spec.ttl is None else self.spec.ttl

    @property
    def ends(self) -> float:
        return self.renewed_at + self.ttl

    def beat(self, now: float) -> None:
        """A renewal counts as late while the lease runs; after that the instance was away."""
        if now < self.ends and self.status is not Status.UNHEALTHY:
            self.gap = max(self.gap, now - self.renewed_at)
        self.renewed_at, self.let_go = now, False


@dataclass
class Hold:
    """The suspects of one service, from the first to the last. `freed`: how many were let go, by round."""

    until: float
    most: int = 0
    freed: Counter[int] = field(default_factory=Counter)


class Judge:
    """`percent` 0: no brake. `flap_changes` 0: no damping. `interval`: between cleanups, and between rounds of letting go."""

    def __init__(self, started: float, interval: float, percent: float, flap_changes: int, index: int) -> None:
        self.started, self.interval = started, interval
        self.percent, self.flap_changes = percent, flap_changes
        self.rows: dict[Key, Row] = {}
        self.windows: dict[Scope, tuple[Window, float]] = {}
        self.holds: dict[str, Hold] = {}
        self.lapses: dict[str, float] = {}  # of those that have not beaten since
        self.drains: dict[Key, float] = {}  # of those that were removed for their silence: since when
        self.replica = Replica(index)
        self.cleanups = 0

    # -- the rules

    def peers(self, service: str) -> list[Row]:
        return [row for key, row in self.rows.items() if key.service == service]

    def suspects(self, service: str) -> int:
        return sum(row.status is Status.SUSPECT for row in self.peers(service))

    def maintained(self, key: Key) -> bool:
        return Scope.of(key) in self.windows or Scope(key.service) in self.windows

    def out(self, key: Key) -> Status | None:
        """What keeps it out of answers though it is alive."""
        row = self.rows[key]
        if self.maintained(key):
            return Status.MAINTENANCE
        if row.draining_since is not None:
            return Status.DRAINING
        return Status.FAILING if row.failing else None

    def silent(self, key: Key, now: float) -> bool:
        """Whether the brake may count it: it should have beaten by now, for no known reason did not, and not only long ago."""
        row = self.rows[key]
        if row.let_go or row.refused or self.out(key):
            return False
        if row.status is Status.UNHEALTHY:
            return row.ends > now - row.ttl
        return now >= row.ends or now - row.renewed_at > max(row.ttl / 2, row.gap * 1.25)

    def too_many(self, service: str, silent: int, now: float) -> bool:
        self.lapses = {id: when for id, when in self.lapses.items() if when > now - LEASE_TTL}
        peers, lapses = len(self.peers(service)), len(self.lapses)
        if not self.percent or peers < 3:
            return False
        of_all = lapses >= 3 and lapses / len(self.rows) > 0.2
        return of_all or (silent >= 3 and silent / peers > self.percent / 100)

    def cleanup_of(self, row: Row) -> float:
        """The first one that finds it gone for an interval."""
        rounds = math.ceil((row.gone_since + self.interval - self.started) / self.interval)
        return self.started + rounds * self.interval

    # -- the changes

    def hear(self, changes: list[Told], now: float, told: bool) -> None:
        """`told`: by `advance`, so every lapse among them was the brake's to judge with all that is known."""
        for number, change in enumerate(changes):
            self.replica.apply(change)
            key, kind = change.instance.spec.key, change.kind
            if kind in COME:
                assert key in self.rows
            elif kind is Kind.EXPIRED:
                self._expired(key, now, told)
            elif kind is Kind.DEREGISTERED:
                self._forget(key)
            elif kind is not Kind.UPDATED:
                burst = [each.instance.spec.key for each in changes[number:] if each.kind is Kind.SUSPECT]
                self._becomes(key, Status(kind.value), burst, now, told)

    def _becomes(self, key: Key, status: Status, burst: list[Key], now: float, told: bool) -> None:
        row = self.rows[key]
        before = row.status
        if status is Status.SUSPECT:
            self._suspected(key, burst, now)
        elif status is Status.UNHEALTHY:
            assert now >= row.ends, "called unhealthy though its lease runs"
            row.gone_since = now if before is Status.SUSPECT else row.ends
            if before is not Status.SUSPECT:
                if before in (Status.HEALTHY, Status.FLAPPING):  # of others it is known why they may be silent
                    self.lapses[self.rows[key].id] = now
                self._not_braked(key, before, now, told)
        if before in (Status.UNHEALTHY, Status.SUSPECT) and row.renewed_at == now:
            self.lapses.pop(row.id, None)
        row.status = status
        row.refused &= status is Status.UNHEALTHY
        if before is Status.SUSPECT:
            self._no_suspect(key, now, told)
        if self.flap_changes and (before in DOWN) != (status in DOWN):
            row.flaps.append(now)
            recent = [time for time in row.flaps if time > now - FLAP_WINDOW]
            if len(recent) > self.flap_changes or now < row.flapping_until:
                row.flapping_until = now + FLAP_WINDOW

    def _suspected(self, key: Key, burst: list[Key], now: float) -> None:
        assert self.percent, "the brake is off"
        service = key.service
        if service in self.holds:
            hold = self.holds[service]
            assert now < hold.until, "held though the brake is letting go"
            # The first of a burst has begun the hold; whoever comes later has run out himself.
            assert self.silent(key, now)
        else:
            together = {each for each in burst if each.service == service}
            silent = {each for each in self.rows if each.service == service and self.silent(each, now)}
            assert key in together <= silent, "held though not silent"
            trusted = [each for each in together if self.rows[each].status in (Status.HEALTHY, Status.FLAPPING)]
            lapsed = [each for each in trusted if now >= self.rows[each].ends]
            assert lapsed, "held though no lease ran out"
            assert together == silent, "not all of the silent ones are held"
            # One whose lease has just run out made it engage; the others of the burst count afterwards.
            self.lapses[self.rows[lapsed[0]].id] = now
            assert self.too_many(service, len(together), now), "the brake engaged for too few"
            hold = self.holds[service] = Hold(now + MAX_SECONDS)
            self._burst = set(together)
        if now >= self.rows[key].ends:
            self.lapses[self.rows[key].id] = now
        self._burst.discard(key)
        if not self._burst:
            hold.most = max(hold.most, self.suspects(service) + 1)

    def _not_braked(self, key: Key, before: Status, now: float, told: bool) -> None:
        trusted = before in (Status.HEALTHY, Status.FLAPPING) and self.silent(key, now)
        if not told or not trusted:
            return
        hold = self.holds.get(key.service)
        if hold is not None:
            assert now >= hold.until, "let lapse while its neighbours are held"
            return
        silent = sum(each.service == key.service and self.silent(each, now) for each in self.rows)
        assert not self.too_many(key.service, silent, now), "the brake did not engage"

    def _no_suspect(self, key: Key, now: float, told: bool) -> None:
        """It has beaten, or was taken out, or (`told`) was let go."""
        hold = self.holds[key.service]
        if told and not self.out(key):
            assert now >= hold.until, "let go too early"
            this = math.floor((now - hold.until) / self.interval)
            hold.freed[this] += 1
            assert hold.freed[this] <= max(1, math.ceil(hold.most * SHARE)), "let go too many at once"
            self.rows[key].let_go = True
        self._end_hold(key.service)

    def _end_hold(self, service: str) -> None:
        if service in self.holds and not self.suspects(service):
            del self.holds[service]

    def _expired(self, key: Key, now: float, told: bool) -> None:
        row = self.rows[key]
        assert now >= row.ends, "removed though its lease runs"
        if told:
            assert row.status is Status.UNHEALTHY
            assert now >= self.cleanup_of(row), "removed too early"
            self.cleanups += 1
        if row.draining_since is not None:
            self.drains[key] = row.draining_since
        self._forget(key)

    def _forget(self, key: Key) -> None:
        del self.rows[key]
        self._end_hold(key.service)

    # -- what must hold when `advance` has done all there was to do

    def settled(self, now: float) -> None:
        for key, row in self.rows.items():
            if now >= row.ends:
                assert row.status in (Status.UNHEALTHY, Status.SUSPECT)
            if row.status is Status.UNHEALTHY:
                assert now < self.cleanup_of(row), "not removed in time"
            if row.status is Status.FLAPPING:
                assert now < row.flapping_until, "it has been quiet long enough"
            if row.status is Status.SUSPECT:
                self._still_held(self.holds[key.service], now)
        assert all(ends > now for _, ends in self.windows.values())

    def _still_held(self, hold: Hold, now: float) -> None:
        """Each round lets its share go, in the first hundredth of the interval; so five rounds are enough."""
        this = math.floor((now - hold.until) / self.interval)
        if this >= 0 and (now - hold.until) - this * self.interval > self.interval / 100:
            assert hold.freed[this] == max(1, math.ceil(hold.most * SHARE)), "nobody was let go in this round"
        assert len(hold.freed) <= 5
