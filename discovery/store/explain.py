"""The account of an instance: why it is in the answers or not, since when and until when, who did that, and what happens next.

HTTP, DNS, the command line and the dashboard show this and nothing else, so that all of them tell the same. `accounts` makes those of the
registry as it is, `told` one of a state that was replayed from events. Who may not know the names of tokens, actors and clients (all but
admins and owners, and DNS) gets `by` None, and texts without them. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import NamedTuple

from discovery.core import moment
from discovery.core.caller import Caller
from discovery.core.health import Health
from discovery.core.instance import Instance
from discovery.core.lease import PERMANENT_TTL, Lease
from discovery.core.maintenance import Window
from discovery.core.name import is_label
from discovery.core.status import TAKEN_OUT, Status
from discovery.store.refused import Refused
from discovery.store.service import Entry, Service
from discovery.store.state import CheckResult, State, WallOf


class Beats(NamedTuple):
    """Of heartbeats: the last one and when the next is due, epoch seconds. `every`: seconds between two, as it was told at first, and at
    most so far. `missed`: how many since the last.
    """

    last: float
    every: float
    due: float
    missed: int


class Account(NamedTuple):
    """`served`: it is in the answers. `why`: clauses; the times of the status are in none of them. `since`, `until`: of the status, epoch
    seconds; None: not known, or until somebody ends it. A healthy one is served `until` its lease ends, and longer with each heartbeat.
    `by`: who took it out. `next`: what happens next; "" of the past. `last_heartbeat`: None: not known.
    """

    instance: Instance
    status: Status
    served: bool
    why: str
    since: float | None = None
    until: float | None = None
    by: Caller | None = None
    next: str = ""
    last_heartbeat: float | None = None
    beats: Beats | None = None
    refused: Refused | None = None
    check: CheckResult | None = None


_SERVED = (Status.HEALTHY, Status.SUSPECT)


def any_better(statuses: Iterable[Status]) -> bool:
    """Whether there are some that are served before those that flap."""
    return any(status in _SERVED for status in statuses)


def accounts(
    registry: State, service: Service, entries: Collection[Entry], now: float, sees_names: bool = False
) -> list[Account]:
    """One of each of `entries`, of which the answer could be made, in order."""
    better, wall_of = any_better(entry.status_at(now) for entry in entries), registry.walls()
    return [account(registry, service, entry, now, wall_of, better, sees_names) for entry in entries]


def account(
    registry: State, service: Service, entry: Entry, now: float, wall_of: WallOf, better: bool, sees_names: bool = False
) -> Account:
    """`wall_of`: of `State.walls`. `better`: of `any_better`. 6 µs."""
    instance, status, lease = entry.instance, entry.status_at(now), entry.lease
    if entry.output is not None or instance.spec.checks:
        instance = entry.as_seen(now, wall_of)
    own = _own(entry, status, now, sees_names)
    refused = registry.refused.of(instance.spec.key, entry, now) if registry.refused else None
    check = _last_check(registry, instance)
    is_due = instance.spec.lease is None and instance.lapsed_at is None
    beats = None if not is_due else _beats(lease, registry.settings.grace, now, wall_of)
    more = []
    if sees_names and instance.probed is not None:
        more.append(f"its port {instance.probed} a connection when the brake asked")
    if beats is not None and beats.missed and status is Status.HEALTHY:
        more.append("heartbeats are missing")
    if refused is not None:
        more.append(f"its {refusal(refused, wall_of(now), sees_names)}")
    if check is not None and check.failure is not None and instance.failing is None:
        more.append(f"its last check failed: {check.failure}")
    is_doubted = own is _MAY_BEAT
    window, until = registry.window(instance), None if is_doubted else _until(entry, service, status)
    who = entry.asker if sees_names and status in TAKEN_OUT else None
    why, served = told(instance, status, better, lease.term.seconds, window, who, own, more)
    return Account(
        instance, status, served, why,
        since_of(entry, status, own, wall_of),
        window.until if window is not None and status is Status.MAINTENANCE else None if until is None else wall_of(until),
        who, _next(entry, status, until, is_doubted, refused is not None), wall_of(lease.renewed_at), beats, refused,
        None if check is None else CheckResult(wall_of(check.at), check.failure),
    )  # fmt: skip


def _last_check(registry: State, instance: Instance) -> CheckResult | None:
    """The first that fails, or the latest."""
    made = (
        [result for last in registry.last_checks for result in last(instance.id).values()]
        if instance.spec.checks
        else []
    )
    failed = (result for result in made if result.failure is not None)
    return next(failed, max(made, key=lambda result: result.at, default=None))


def told(
    instance: Instance, status: Status, better: bool, ttl: float | None = None, window: Window | None = None,
    by: Caller | None = None, own: str | None = None, more: Iterable[str] = (),
) -> tuple[str, bool]:  # fmt: skip
    """`why`, and whether it is `served`. `ttl`: of its lease, seconds. `window`: the maintenance that is for it. `own`: why this process
    believes it, though nobody decided so. `more`: further clauses.
    """
    if own is not None:
        first = own
    elif status is Status.SUSPECT and instance.spec.hold:
        first = f"its lease ran out: it is held for {instance.spec.hold:g} s, as its registration asks, behind the healthy ones"
    elif status is Status.HEALTHY:
        first = "its lease runs" if instance.spec.lease is None else _PERMANENT
    else:
        reason = "no reason is known" if window is None else window.reason
        first = _WHY[status].format(who=by or "somebody", reason=reason, failing=_failing(instance))
    why = [first, *more]
    if status is Status.UNHEALTHY and own is None and ttl is not None:
        why[0] += f": no heartbeat for {ttl:g} s"
    if instance.lapsed_at is not None:
        why.insert(1, "it stays known")
    if status is Status.FLAPPING:
        why.insert(1, "others are" if better else "nothing better is left")
    why += _besides(instance, status, window)
    return "; ".join(why), status in _SERVED or (status is Status.FLAPPING and not better)


def since_of(entry: Entry, status: Status, own: str | None, wall_of: WallOf) -> float | None:
    if own is not None:  # for which a node's silence may be the reason: it was heard until then
        is_known = entry.override is None and math.isfinite(entry.through.until)
        return wall_of(entry.through.until) if is_known else None
    if status is Status.DRAINING:
        return entry.instance.draining_since
    # No event has told that its lease has run out, or that reports of its checks are missing.
    is_unnoticed = status in (Status.UNHEALTHY, Status.FAILING) and entry.status is not status
    return wall_of(entry.lease_end) if is_unnoticed else entry.since


_PERMANENT = "it is registered without a lease, until somebody deregisters it"
_WHY = {
    Status.UNHEALTHY: "its lease ran out",
    Status.SUSPECT: "it fell silent together with many others: the brake holds it, behind the healthy ones",
    Status.MAINTENANCE: "it is in maintenance, {who} asked for it: {reason}",
    Status.DRAINING: "it is draining, {who} asked for it",
    Status.FAILING: "{failing}",
    Status.FLAPPING: "its health changed too often: until it holds still it is served only where no other is",
}


_MAY_BEAT = "it may beat at another node, of which this one does not hear: behind the healthy ones until it does"
_SAID_GOODBYE = "it was taken out at this node, and etcd could not be told of that"


def _own(entry: Entry, status: Status, now: float, sees_actors: bool) -> str | None:
    """Why this process believes it, and nobody decided so."""
    override = entry.override
    if override is not None and status is override.status:
        return override.reason if sees_actors or override.beats else _SAID_GOODBYE
    is_held = entry.instance.spec.hold and entry.over(now)
    return _MAY_BEAT if status is Status.SUSPECT and entry.instance.status is not status and not is_held else None


def _failing(instance: Instance) -> str:
    if (first := instance.first_failing) is None:
        return instance.own.reason
    found = instance.said_by(first)
    if first.is_plain and len(instance.spec.checks) == 1:
        return f"the checks of it fail: {found.output}"
    return f"its check {first.label} fails: {found.output}"


def _besides(instance: Instance, status: Status, window: Window | None) -> list[str]:
    """What would keep it out of answers if its status did not; of one that is served what its answers lack."""
    if status in _SERVED or status is Status.FLAPPING:
        found, spec = list[str](), instance.spec
        if instance.health is Health.WARNING:
            found += [instance.own.reason] if instance.own.health is Health.WARNING else []
            said = [(check.label, instance.said_by(check)) for check in spec.checks]
            found += [f"its check {name} warns: {each.output}" for name, each in said if each.health is Health.WARNING]
            found.append(f"its weight is {instance.weight} meanwhile")
        if not is_label(spec.name):
            found.append("its name is no DNS label: it is found over HTTP alone")
        else:
            if not spec.port:
                named = " but for its named ports" if spec.ports else ""
                found.append(f"it has no port, and so no SRV record in DNS{named}")
            if spec.is_host_name:
                found.append(
                    "its host name is no address in DNS, where it is the service's alias while no address is healthy"
                )
        return found
    found = []
    if window is not None and status is not Status.MAINTENANCE:
        found.append(f"in maintenance besides: {window.reason}")
    if instance.draining and status is not Status.DRAINING:
        found.append("draining besides")
    if instance.failing is not None and status is not Status.FAILING:
        found.append(f"its checks failed besides: {instance.failing}")
    elif instance.fails and status is not Status.FAILING:
        found.append(f"besides, {instance.own.reason}")
    return found


def _until(entry: Entry, service: Service, status: Status) -> float | None:
    """When the status ends by itself, monotonic: the lease, or a flapping one has held still, the brake lets go, it is removed."""
    if status is Status.HEALTHY:
        ends = entry.lease.expires_at
        return ends if entry.instance.spec.lease is None or ends - entry.lease.renewed_at < PERMANENT_TTL else None
    if status is Status.FAILING and entry.lease.critical_at < math.inf:
        return entry.lease.critical_at
    if status is Status.UNHEALTHY and entry.status is status:
        return entry.next_action_at
    if status is Status.SUSPECT and entry.instance.spec.hold:
        return entry.beats_end + entry.instance.spec.hold
    if entry.instance.status is status is Status.SUSPECT and service.hold is not None:
        return service.hold.until
    return entry.flaps.until if status is Status.FLAPPING and entry.flaps is not None else None


_NEXT = {
    Status.HEALTHY: "without a heartbeat it leaves the answers",
    Status.UNHEALTHY: "without a heartbeat it is removed",
    Status.SUSPECT: "without a heartbeat the brake lets go of it",
    Status.MAINTENANCE: "it is back when the window ends, if its lease runs",
    Status.DRAINING: "it stays out until the drain is ended",
    Status.FAILING: "it is back when its checks pass",
    Status.FLAPPING: "it is healthy when it has held still",
}


def _next(entry: Entry, status: Status, until: float | None, is_doubted: bool, is_refused: bool) -> str:
    if is_doubted:
        return "it is judged when that node is heard again, or is gone for good"
    if status is Status.SUSPECT and entry.instance.spec.hold:
        return _NEXT[Status.HEALTHY]
    if status is Status.FAILING and entry.lease.critical_at < math.inf:
        return "it is back when its checks pass, and deregistered if one fails for so long"
    if status is Status.FAILING and not entry.instance.spec.checks:
        return "it is back when it says that it passes"
    if status is Status.HEALTHY and entry.instance.spec.lease is not None:
        return "" if until is None else "without a report of its checks it leaves the answers"
    if entry.instance.lapsed_at is not None:
        return "a heartbeat brings it back with all that it said, without one it is forgotten"
    if is_refused:
        return _NEXT[status].replace("a heartbeat", "a heartbeat that is taken")
    return _NEXT[status]


# Of the time between two heartbeats: one that is no later than that is not missing yet.
_LATE = 0.25


def _beats(lease: Lease, grace: float, now: float, wall_of: WallOf) -> Beats:
    # As registering advises; a check's deadline may have less of a grace than there is now.
    every, last = lease.longest_gap or max(lease.ttl - grace, lease.ttl / 3) / 3, wall_of(lease.renewed_at)
    missed = int(max(0.0, (now - lease.renewed_at) / every - _LATE))
    return Beats(last, every, last + every, missed)


def refusal(refused: Refused, wall: float, sees_names: bool) -> str:
    """`heartbeats are refused since 04:12:03Z, 588 times: its token expired`."""
    why = refused.why.text if sees_names else refused.why.plain
    count = "once" if refused.times == 1 else f"{refused.times} times"
    return f"heartbeats are refused since {moment.short(refused.since, wall)}, {count}: {why}"
