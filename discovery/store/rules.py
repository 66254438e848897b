"""The rules about one instance: what it becomes when its lease runs out, when it beats, when a person or a check says something.

Each adds events to a transaction and returns the instance as they leave it. An event is made here and nowhere else, with everything in
it resolved, so that whoever applies it derives nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from discovery.core.check import Check
from discovery.core.check_states import not_reported, with_missing
from discovery.core.event import Kind
from discovery.core.health import Health
from discovery.core.instance import Instance, Key
from discovery.core.kinds import Drained, DrainEvent, WindowEvent
from discovery.core.maintenance import Scope, Window
from discovery.core.options import NO_HOLD
from discovery.core.status import SILENT, TRUSTED, Probed, Status
from discovery.store.checked_lease import CheckedLease
from discovery.store.service import Entry, Service
from discovery.store.transaction import Transaction
from discovery.store.values import WindowMap, window_of, with_window

# Seconds for which the drain of an instance that was removed for its silence is remembered: a deployment that is finished next day.
DRAIN_REMEMBERED = 24 * 3600.0
# Seconds for which the silent ones of a service need not be counted again: a mass of lapses takes a few milliseconds.
_CALM = 0.01
# Seconds by which two clocks' sums may differ.
_ROUNDING = 1e-3
# Room in a commit for what a decision does besides: a brake that engages leaves it for the write that came upon it.
_ASIDE = 4


def living(windows: WindowMap, instance: Instance) -> Status:
    """The status of one whose lease runs, whatever it was before."""
    if window_of(windows, instance) is not None:
        return Status.MAINTENANCE
    if instance.draining_since is not None:
        return Status.DRAINING
    return Status.FAILING if instance.fails else Status.HEALTHY


# -- silence


def catch_up(txn: Transaction, entry: Entry) -> Instance:
    """A lapse that nobody was told of yet comes first, so that followers see every state in order."""
    instance = txn.current(entry)
    if instance.status in SILENT:
        return instance
    if entry.over(txn.now):
        return lapse(txn, entry)
    return miss_reports(txn, entry) if instance.spec.checks and entry.missing(txn.now) else instance


def lapse(txn: Transaction, entry: Entry) -> Instance:
    """Its lease has run out: it is unhealthy, or fails for want of reports, or a suspect because it asked to be held, or the brake takes it
    and all the silent ones of its service for suspects.
    """
    service, hold = txn.service_of(entry), entry.instance.spec.hold
    if hold and txn.current(entry).status in TRUSTED and entry.is_held(txn.now):
        reason = f"no heartbeat for {entry.lease.term.seconds:g} s: held for {hold:g} s, as its registration asks"
        return txn.change(entry, txn.current(entry), Status.SUSPECT, reason)
    suspects = _suspects(txn, entry, service)
    if suspects:
        _hold(txn, service, suspects)
        return txn.current(entry)
    lease = entry.lease
    if entry.beats_end > txn.now:
        return miss_reports(txn, entry)
    return txn.change(entry, txn.current(entry), Status.UNHEALTHY, f"no heartbeat for {lease.term.seconds:g} s")


def miss_reports(txn: Transaction, entry: Entry) -> Instance:
    """Reports of its checks are missing: they fail."""
    instance = txn.current(entry)
    after = _without(txn, instance, missing := entry.missing(txn.now))
    first = next(check for check in instance.spec.checks if check.id in missing)
    reason = f"its check {first.label} fails: {not_reported(first)}"
    return txn.change(entry, after, living(txn.windows, after), reason)


def _without(txn: Transaction, instance: Instance, missing: Mapping[str, float]) -> Instance:
    """`missing`: since when, monotonic, by check id."""
    since = {id: txn.wall - (txn.now - at) for id, at in missing.items()}
    return instance._replace(checks=with_missing(instance.spec.checks, instance.checks, since))


def given_up(txn: Transaction, instance: Instance) -> tuple[Check, str]:
    """The check that has failed for so long that who registered it is deregistered, and why in words. One without a group comes first: it
    speaks for itself.
    """
    late = {
        check: said.since + check.critical_after
        for check in instance.spec.checks
        if check.critical_after is not None and (said := instance.said_by(check)).health is Health.FAILING
    }
    over = [check for check, at in late.items() if not check.group and at <= txn.wall + _ROUNDING]
    check = min(over or late, key=late.__getitem__)
    return check, f"its check {check.label} has failed for {check.critical_after:g} s: {instance.said_by(check).output}"


def _hold(txn: Transaction, service: Service, suspects: list[Entry]) -> None:
    held = 0 if service.hold is None else service.hold.suspects
    share = f"as {held + len(suspects)} of {service.living} are: held by the brake"
    for each in suspects:
        silence = f"silent for {txn.now - each.lease.renewed_at:.1f} s, {share}"
        txn.change(each, _not_lapsed(each, txn.current(each)), Status.SUSPECT, silence)


def _not_lapsed(entry: Entry, instance: Instance) -> Instance:
    """Of one that the brake holds, a check whose report is missing says what it said: as far as anybody knows, that it passes."""
    if entry.lease.lapsed_at == -math.inf:
        return instance
    missing = {
        check.id
        for check in instance.spec.checks
        if isinstance(entry.lease, CheckedLease) and entry.lease.reported_at(check.id)
    }
    return instance._replace(checks={id: found for id, found in instance.checks.items() if id not in missing})


def hold_more(txn: Transaction, service: Service) -> bool:
    """More of the silent ones of a service, where they were too many for the commit in which the brake engaged. Whether that is all."""
    if service.hold is None or txn.now >= service.hold.until:
        return True
    silent = [each for each in service.entries.values() if not each.suspect(txn.now) and _is_silent(txn, each)]
    fit = txn.room - _ASIDE
    _hold(txn, service, silent[:fit])
    return len(silent) <= fit


def _suspects(txn: Transaction, entry: Entry, service: Service) -> list[Entry]:
    """Whom the brake holds because this lease has run out; nobody when it does not engage."""
    now, brake = txn.now, txn.liveness.brake
    if brake.percent == 0 or txn.current(entry).status not in TRUSTED or not _is_silent(txn, entry):
        return []
    if service.hold is not None:
        return [entry] if now < service.hold.until else []  # later it is letting go already
    lapses, everywhere = txn.lapses_with(entry)
    if txn.calm(service, _CALM) and not brake.engages_everywhere(lapses, everywhere):
        return []  # a mass of lapses is counted once, not once for each
    silent = [each for each in service.entries.values() if _is_silent(txn, each)]
    if not brake.engages(len(silent), service.living, lapses, everywhere):
        txn.note_calm(service)
        return []
    fit = max(1, txn.room - _ASIDE)
    if len(silent) <= fit:
        return silent
    txn.half_held += (service.folded,)
    return [entry, *(each for each in silent if each is not entry)][:fit]


def _is_silent(txn: Transaction, entry: Entry) -> bool:
    """Fell silent within one timeout, and nothing is known that explains it."""
    instance, lease, now = entry.instance, entry.lease, txn.now
    if entry.brake_released or instance.draining_since is not None or instance.spec.hold:
        return False
    if instance.fails and lease.lapsed_at == -math.inf:
        return False
    if instance.probed is Probed.REFUSED:
        return False
    if window_of(txn.windows, instance) is not None:
        return False
    if instance.status is Status.UNHEALTHY:
        return lease.expires_at > now - lease.ttl
    if instance.fails:
        return lease.lapsed_at > now - lease.ttl
    alive = lease.alive(now)
    if entry.through.silent or not (alive or entry.over(now)):  # it may beat where this node does not hear
        return False
    return not alive or lease.overdue(now)


def ask_brake(txn: Transaction, entry: Entry, service: Service) -> float | None:
    """About a suspect: it is let go, or when to ask again."""
    if entry.instance.spec.hold:
        txn.change(
            entry, entry.instance, Status.UNHEALTHY, f"no heartbeat for {txn.now - entry.lease.renewed_at:.1f} s"
        )
        return None
    assert service.hold is not None
    again = txn.liveness.brake.asks_again(service.hold, txn.now)
    if again is None:
        instance, lease, now = entry.instance, entry.lease, txn.now
        reason = f"no heartbeat for {now - lease.renewed_at:.1f} s"
        status = Status.UNHEALTHY
        if now < lease.beats_end_since(-math.inf):
            if isinstance(lease, CheckedLease) and (missing := lease.missing(now)):
                instance, reason = _without(txn, instance, missing), "no report of its checks"
            status = living(txn.windows, instance)
        txn.change(entry, instance, status, f"{reason}, the brake lets go")
    return again


# -- what it says, and what is said of it


def revive(txn: Transaction, entry: Entry, after: Instance, reason: str, check: str | None = None) -> Instance:
    """It beats, and is `after` from now on. `catch_up` comes before. One that was imported is its own from the first beat on. `check`: it
    reports on that one too. The brake goes on holding one that beats and whose reports are missing.
    """
    if after.spec.imported_from is not None and after.spec is entry.instance.spec:
        after = after._replace(spec=replace(after.spec, imported_from=None, hold=NO_HOLD))
        reason = f"{reason}; it is no longer imported"
    missing = {id: at for id, at in entry.missing(txn.now).items() if id != check} if after.spec.checks else {}
    if missing:
        without = _without(txn, after, missing)
        is_braked = txn.current(entry).status is Status.SUSPECT and not after.spec.hold
        if is_braked and without.fails and not after.fails:
            return txn.change(entry, after, Status.SUSPECT, reason, renews=True)
        after = without
    return txn.change(entry, after, living(txn.windows, after), reason, renews=True)


def override_status(txn: Transaction, entry: Entry, after: Instance, reason: str) -> Instance:
    """A person or a check has decided: what the brake believes no longer counts, and nobody is revived by it. As `revive`."""
    silent = after.status is Status.UNHEALTHY or (
        after.status is Status.SUSPECT and entry.lease.beats_end_since(-math.inf) <= txn.now
    )
    return txn.change(entry, after, Status.UNHEALTHY if silent else living(txn.windows, after), reason)


def expire(txn: Transaction, entry: Entry, reason: str) -> None:
    """It is removed for its silence; its drain is remembered."""
    instance = txn.remove(Kind.EXPIRED, entry, reason)
    if instance.draining_since is not None:
        since, until = instance.draining_since, txn.wall + DRAIN_REMEMBERED
        drained = Drained(instance.id, instance.spec.name, instance.registered_at, since, until)
        txn.add(DrainEvent(instance.spec.key, None, drained, "it was draining when it fell silent"))


def forget_drain(txn: Transaction, key: Key, reason: str) -> Drained | None:
    """What was remembered, if anything."""
    drained = txn.drained(key)
    if drained is None or txn.wall >= drained.until:
        return None
    txn.add(DrainEvent(key, drained, None, reason))
    return drained


# -- maintenance windows


def set_window(txn: Transaction, scope: Scope, window: Window | None, reason: str) -> None:
    """A window begins, is exchanged or (None) ends. `settle` follows, for those that it is for."""
    before = txn.window_at(scope)
    if window != before:
        txn.add(WindowEvent(scope, before, window, reason))
        txn.windows = with_window(txn.windows, scope, window)


def settle(txn: Transaction, scope: Scope, reason: str) -> bool:
    """Those of the scope whose status does not follow the windows yet, as many as fit into the commit. Whether all do now."""
    for entry in txn.affected(scope, known=False):
        if txn.room < _ASIDE:
            return False
        override_status(txn, entry, catch_up(txn, entry), reason)
    txn.settled += (scope,)
    return True
