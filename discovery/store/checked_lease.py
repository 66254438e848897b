"""The lease of an instance with checks. It ends with its heartbeats, as any lease, or when reports of its `ttl` checks are missing so that
its health fails: whichever is first. All that reads a lease reads this one in the same way.

What was decided of a check stands in `Instance.checks`; here is until when a report counts, which this process's readers test themselves.
A check whose report is missing counts as failing from that instant on; the reaper tells of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from discovery.core.check import TTL, Check
from discovery.core.health import Health
from discovery.core.instance import Instance
from discovery.core.lease import Lease, Term
from discovery.core.status import Status

_NEVER, _ALWAYS = -math.inf, math.inf


class CheckedLease(Lease):
    """`reports_end`: when missing reports make its health fail; infinity while none can. `critical_at`: when it is deregistered for a check
    that fails; where checks have groups, for one in each. `lapsed_at`: when reports were missing, if that is why it fails. `outputs`: the
    latest words of checks, by their ids, where no event told of them. Monotonic seconds.
    """

    __slots__ = ("_groups", "_reported", "_running", "_shortest", "critical_at", "lapsed_at", "outputs", "reports_end")

    def __init__(self, term: Term, renewed_at: float) -> None:
        super().__init__(term, renewed_at)
        self._reported: dict[str, float] = {}  # by id of the ttl checks
        self._running: Mapping[
            str, float
        ] = {}  # seconds within which the next report has to come, of those that do not fail
        self._groups: list[dict[str, float]] = []  # of these: one report missing in each, and its health fails
        self._shortest = _ALWAYS
        self.reports_end = _ALWAYS
        self.critical_at = _ALWAYS
        self.lapsed_at = _NEVER
        self.outputs: dict[str, str] = {}

    # -- what changes it

    def follow(
        self, before: Instance | None, instance: Instance, at: float, offset: float, grace: float, renews: bool
    ) -> None:
        """It is this from now on. `offset`: what makes monotonic seconds of epoch seconds. `grace`: seconds that a report may take from
        another node. `renews`: the instance itself said so; where it is believed then, what was missing has come.
        """
        checks = instance.spec.checks
        is_believed = renews and instance.status is not Status.SUSPECT
        running: dict[str, float] = {}
        gone: dict[str, float] = {}  # by group: when one of its checks has failed for too long
        self._shortest = _ALWAYS
        for check in checks:
            state, reported = instance.said_by(check), self._reported.get(check.id)
            if is_news := before is None or before.said_by(check) is not state:
                self.outputs.pop(check.id, None)
            if check.kind == TTL:
                self._shortest = min(self._shortest, check.ttl + grace)
            if state.health is Health.FAILING:
                if check.critical_after is not None:
                    gone[check.group] = min(gone.get(check.group, _ALWAYS), state.since + check.critical_after + offset)
                if renews:
                    self._reported.pop(check.id, None)
            elif check.kind == TTL:
                running[check.id] = seconds = check.ttl + grace
                if reported is None or (is_believed and (is_news or reported + seconds <= at)):
                    self._reported[check.id] = at
        all_gone = max((gone.get(check.group, _ALWAYS) for check in checks if check.group), default=_ALWAYS)
        self.critical_at = min(gone.get("", _ALWAYS), all_gone)
        lapsed_at = self.reports_end
        self._running = running
        self._groups = _groups(
            instance.own.health,
            checks,
            running,
            {each.id for each in checks if instance.said_by(each).health is Health.FAILING},
        )
        self._measure()
        if renews:
            self.lapsed_at = _NEVER
        elif lapsed_at <= at and not self._groups and instance.fails:
            self.lapsed_at = lapsed_at
        if self.outputs:
            known = {check.id for check in checks}
            self.outputs = {id: output for id, output in self.outputs.items() if id in known}

    def report(self, check: str, at: float) -> None:
        """One that says what the check said before."""
        if check in self._running and at > self._reported[check]:
            self._reported[check] = at
            if self._groups and len(self._running) == 1:  # as usual, and all that `_measure` would find
                self.reports_end = at + self._running[check]
            else:
                self._measure()

    def restart(self, now: float) -> None:
        super().restart(now)
        self._reported = dict.fromkeys(self._reported, now)
        self._measure()

    def _measure(self) -> None:
        self.reports_end = self._end()

    def _end(self, since: float = _NEVER, share: float = 1.0) -> float:
        """`since`: reports before may have been missed here. `share`: of the time within which they have to come."""
        reported = self._reported
        ends = [
            min([max(reported[id], since) + seconds * share for id, seconds in each.items()]) for each in self._groups
        ]
        return max(ends, default=_ALWAYS)

    # -- what readers ask

    @property
    def ttl(self) -> float:
        return min(self.term.seconds, self._shortest)

    @property
    def expires_at(self) -> float:
        return min(self.renewed_at + self.term.seconds, self.reports_end)

    @property
    def due(self) -> float:
        reported = self._reported
        ends = [reported[id] + seconds for id, seconds in self._running.items()]
        return min(self.renewed_at + self.term.seconds, self.critical_at, *ends)

    def left(self, now: float) -> float:
        return self.expires_at - now

    def overdue(self, now: float) -> bool:
        return super().overdue(now) or now > self._end(share=0.5)

    def alive(self, now: float) -> bool:
        return now < self.renewed_at + self.term.seconds and now < self.reports_end

    def end_since(self, since: float) -> float:
        return min(super().end_since(since), self._end(since))

    def missing(self, now: float, since: float = _NEVER) -> Mapping[str, float]:
        """The checks whose report is missing, each with the instant from which on it is."""
        reported = self._reported
        ends = {id: max(reported[id], since) + seconds for id, seconds in self._running.items()}
        return {id: end for id, end in ends.items() if end <= now}

    def is_running(self, check: str, now: float) -> bool:
        """A report that says what the check said before is no event."""
        seconds = self._running.get(check)
        return seconds is not None and now < self._reported[check] + seconds

    def reported_at(self, check: str) -> float | None:
        """The latest report that counts or counted."""
        return self._reported.get(check)


def _groups(
    own: Health, checks: Iterable[Check], running: Mapping[str, float], failing: set[str]
) -> list[dict[str, float]]:
    """Those that do not fail, each with its running checks: none where one of them cannot lapse, or none is left."""
    groups: dict[str, dict[str, float]] = {}
    dead = {""} if own is Health.FAILING else set[str]()
    for check in checks:
        group = groups.setdefault(check.group, {})
        if check.id in failing:
            dead.add(check.group)
        elif check.id in running:
            group[check.id] = running[check.id]
    if own is Health.WARNING:
        groups.setdefault("", {})
    alive = [group for name, group in groups.items() if name not in dead]
    return alive if all(alive) else []
