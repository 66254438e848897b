"""What an entry is (its Status) against time, heartbeats, the brake, windows, drains, checks and damping: the one state machine.

The flags of the entry say what holds; `show` derives the status from them and publishes when it is another one. An entry waits
in the queue of deadlines for the next thing that time alone can change.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from discovery.core.change import Kind
from discovery.core.instance import Instance
from discovery.core.status import Status
from discovery.store.brake import Brake
from discovery.store.damping import Damping, Flaps
from discovery.store.deadlines import Deadlines
from discovery.store.service import Entry, Service
from discovery.store.windows import Windows

Publish = Callable[[Kind, Instance, str], None]

_DOWN = (Status.UNHEALTHY, Status.FAILING)
# Whose silence means anything: of the others it is known why they may be down.
_TRUSTED = (Status.HEALTHY, Status.FLAPPING)


class Liveness:
    """Seconds are monotonic. `counts`: entries by status."""

    def __init__(
        self,
        publish: Publish,
        windows: Windows,
        brake: Brake,
        damping: Damping,
        started_at: float,
        cleanup_interval: float,
    ) -> None:
        self.counts = dict.fromkeys(Status, 0)
        self._publish = publish
        self._windows = windows
        self._brake = brake
        self._damping = damping
        self._started_at = started_at
        self._cleanup_interval = cleanup_interval
        self._deadlines = Deadlines()

    @property
    def next(self) -> float | None:
        """When `pop` has something, or earlier; None when nothing waits."""
        return self._deadlines.next

    def pop(self, now: float) -> Entry | None:
        """The next entry for `settle`."""
        return self._deadlines.pop(now)

    def begin(self, entry: Entry) -> None:
        self.counts[entry.status] += 1
        self._wait(entry)

    def end(self, entry: Entry, service: Service) -> None:
        """It is removed."""
        self._unhold(entry, service)
        self.counts[entry.status] -= 1
        self._deadlines.discard(entry)

    def settle(self, entry: Entry, service: Service, now: float) -> str | None:
        """Whenever its deadline is up. The reason to remove it, if there is one."""
        if entry.gone:
            if now >= entry.then:
                return f"no heartbeat for {now - entry.lease.renewed_at:.1f} s"
        elif entry.held:
            self._ask_again(entry, service, now)
        elif not entry.lease.alive(now):
            self._lapse(entry, service, now)
        else:
            self.show(entry, f"quiet for {self._damping.window:g} s", now)
        self._wait(entry)
        return None

    def renew(self, entry: Entry, service: Service, now: float, reason: str) -> None:
        if not entry.gone and not entry.held and entry.lease.alive(now):
            entry.lease.renew(now)  # the common case, and nothing else: its deadline is looked at when it is up
            return
        self.catch_up(entry, service, now)
        self._unhold(entry, service)
        self._brake.forgets(entry.instance.id)
        entry.gone = False
        if entry.lease.alive(now):
            entry.lease.renew(now)  # a suspect that is only late
        else:
            entry.lease.renewed_at = now
        if not self.show(entry, reason, now):
            self._wait(entry)

    def catch_up(self, entry: Entry, service: Service, now: float) -> None:
        """Publishes a lapse that the reaper has not come round to, so that listeners see every state in order."""
        if not entry.gone and not entry.held and not entry.lease.alive(now):
            self._deadlines.discard(entry)
            self.settle(entry, service, now)

    def registered_again(self, entry: Entry, service: Service, ttl: float, now: float) -> None:
        """A renewal, with another ttl perhaps."""
        reason = "registered again"
        self.renew(entry, service, now, reason)
        entry.lease.ttl = ttl  # only now: a shorter one must not make out that the old one had run out
        self.show(entry, reason, now)
        self._wait(entry)

    def take_out(self, entry: Entry, service: Service, reason: str, now: float) -> bool:
        """A person or a check has decided: what the brake believes no longer counts. Whether the status is another one now."""
        if entry.held:
            self._unhold(entry, service)
            if not entry.lease.alive(now):
                self._go(entry, now)
                self._wait(entry)
        return self.show(entry, reason, now)

    def show(self, entry: Entry, reason: str, now: float) -> bool:
        """Publishes the status that follows from the flags; False when it is the same."""
        status = self._status(entry)
        if self._damping.changes and (entry.status in _DOWN) != (status in _DOWN):
            entry.flaps = entry.flaps or Flaps()
            entry.flaps.note(now, self._damping)
        if status is Status.HEALTHY and entry.flaps is not None and entry.flaps.held(now):
            status = Status.FLAPPING
            reason = f"{reason}, but it changed more than {self._damping.changes} times in {self._damping.window:g} s"
        if status is entry.status:
            return False
        self.counts[entry.status] -= 1
        self.counts[status] += 1
        entry.status = status
        self._wait(entry)  # before listeners hear of it: the reaper asks for the next deadline
        self._publish(Kind(status.value), entry.instance, reason)
        return True

    def _status(self, entry: Entry) -> Status:
        if entry.gone:
            return Status.UNHEALTHY
        if self._windows.of(entry.instance) is not None:
            return Status.MAINTENANCE
        if entry.instance.draining:
            return Status.DRAINING
        if entry.failing is not None:
            return Status.FAILING
        return Status.SUSPECT if entry.held else Status.HEALTHY

    # -- silence

    def _lapse(self, entry: Entry, service: Service, now: float) -> None:
        if entry.status in _TRUSTED:
            self._brake.counts(entry.instance.id, now)
        if not self._brake_takes(entry, service, now):
            self._go(entry, entry.lease.expires_at)
            self.show(entry, f"no heartbeat for {entry.lease.ttl:g} s", now)

    def _go(self, entry: Entry, since: float) -> None:
        entry.gone = True
        entry.then = self._cleanup_after(since + self._cleanup_interval)

    def _brake_takes(self, entry: Entry, service: Service, now: float) -> bool:
        if self._brake.percent == 0 or entry.status not in _TRUSTED or not self._is_silent(entry, now):
            return False
        if service.hold is not None:
            if now >= service.hold.until:  # it is letting go already
                return False
            silent = [entry]
        else:
            everywhere = sum(self.counts.values())
            if service.calm_at == now and not self._brake.engages_everywhere(everywhere):
                return False  # a mass of lapses is counted once, not once for each
            silent = [each for each in service.entries.values() if self._is_silent(each, now)]
            if not self._brake.engages(len(silent), len(service.entries), everywhere):
                service.calm_at = now
                return False
            service.hold = self._brake.hold(now)
        share = f"as {service.hold.suspects + len(silent)} of {len(service.entries)} are"
        for each in silent:
            each.gone, each.held = False, True
            service.hold.add()
            each.then = self._brake.asks_again(service.hold, now) or now
            self.show(each, f"silent for {now - each.lease.renewed_at:.1f} s, {share}: held by the brake", now)
            self._wait(each)
        return True

    def _is_silent(self, entry: Entry, now: float) -> bool:
        """Fell silent within one timeout, and nothing is known that explains it."""
        if entry.spared or self._windows.of(entry.instance) or entry.instance.draining or entry.failing:
            return False
        lease = entry.lease
        return lease.expires_at > now - lease.ttl if entry.gone else lease.overdue(now) or not lease.alive(now)

    def _ask_again(self, entry: Entry, service: Service, now: float) -> None:
        assert service.hold is not None
        again = self._brake.asks_again(service.hold, now)
        if again is not None:
            entry.then = again
            return
        self._unhold(entry, service)
        entry.let_go_at = now
        if not entry.lease.alive(now):
            self._go(entry, now)
        self.show(entry, f"no heartbeat for {now - entry.lease.renewed_at:.1f} s, the brake lets go", now)

    def _unhold(self, entry: Entry, service: Service) -> None:
        if entry.held:
            entry.held = False
            assert service.hold is not None
            service.hold.suspects -= 1
            if service.hold.suspects == 0:
                service.hold = None

    # -- what comes next

    def _wait(self, entry: Entry) -> None:
        deadline = entry.then if entry.gone or entry.held else entry.lease.expires_at
        if entry.status is Status.FLAPPING and entry.flaps is not None:
            deadline = min(deadline, entry.flaps.until)
        self._deadlines.push(entry, deadline)

    def _cleanup_after(self, time: float) -> float:
        """The first cleanup at or after `time`; cleanups run every `cleanup_interval` from the start on."""
        ticks = math.ceil((time - self._started_at) / self._cleanup_interval)
        return max(time, self._started_at + ticks * self._cleanup_interval)
