"""Why each instance of a service is in the answers or not, since when, and until when: `dig` and /resolve in words. Pure.

`explain` takes the instances of one service as they stood at an instant, and says of each what `service.served` decided; it asks no
clock and no registry, so it explains a state that was replayed from events as well as the one at hand (`seen` makes that).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from discovery.core.caller import NOBODY, SERVER, Caller
from discovery.core.event import InstanceEvent
from discovery.core.instance import Instance
from discovery.core.maintenance import Window
from discovery.core.status import Probed, Status
from discovery.store.log import Log
from discovery.store.service import Entry, Service


class Seen(NamedTuple):
    """An instance as it stood at an instant. Times are epoch seconds; None: not known.

    `status`: what a reader saw, UNHEALTHY from the end of the lease on (`Entry.status_at`). `since`: when it became that.
    `lease_end`: when the lease runs out, or ran out. `ends`: when the status ends by itself: a flapping one has held still, the brake
    lets go of a suspect, an unhealthy one is removed. `window`: the maintenance that is for it. `by`: who took it out of the answers, and
    `probed`: what its port said when the brake asked, where that may be told. `own`: why this process believes it, though nobody
    decided so. `ttl`: of its lease, seconds.
    """

    instance: Instance
    status: Status
    since: float | None = None
    lease_end: float | None = None
    ends: float | None = None
    window: Window | None = None
    by: Caller | None = None
    probed: Probed | None = None
    own: str | None = None
    ttl: float | None = None


Askers = Mapping[tuple[str, int], Caller]


class Explanation(NamedTuple):
    """`served`: it is in the answers. `why`: a sentence without times. `since`, `until`: of the status; epoch seconds, None: not known, or
    until somebody ends it. A healthy one is served `until` its lease ends, and longer with each heartbeat.
    """

    served: bool
    why: str
    since: float | None
    until: float | None


def seen(
    entry: Entry, service: Service, window: Window | None, now: float, offset: float, by: Askers | None = None
) -> Seen:
    """An entry of `service` as it stands at `now`. `window`: the registry's for it. `offset`: of epoch seconds to monotonic ones. `by`: of
    `askers`, for a reader who may know who did what.
    """
    status, lease_end = entry.status_at(now), entry.lease.expires_at + offset
    lapsed_unnoticed = status is Status.UNHEALTHY and entry.status is not status
    own = _own(entry, status, by is not None)
    since = None if own else lease_end if lapsed_unnoticed else entry.since
    ends, ttl = _ends(entry, service, status, offset), entry.lease.ttl
    seen = Seen(entry.instance, status, since, lease_end, ends, window, own=own, ttl=ttl)
    if by is None:
        return seen
    return seen._replace(by=by.get((entry.instance.id, entry.index)), probed=entry.instance.probed)


_MAY_BEAT = "it may beat at another node, of which this one does not hear: behind the healthy ones until it does"
_SAID_GOODBYE = "it was taken out at this node, and etcd could not be told of that"


def _own(entry: Entry, status: Status, sees_actors: bool) -> str | None:
    """Why this process believes it, and nobody decided so."""
    override = entry.override
    if override is not None and status is override.status:
        return override.reason if sees_actors or override.beats else _SAID_GOODBYE
    return _MAY_BEAT if status is Status.SUSPECT and entry.instance.status is not status else None


def _ends(entry: Entry, service: Service, status: Status, offset: float) -> float | None:
    if status is Status.UNHEALTHY and entry.status is status:
        return entry.next_action_at + offset
    if entry.instance.status is status is Status.SUSPECT and service.hold is not None:
        return service.hold.until + offset
    if status is Status.FLAPPING and entry.flaps is not None:
        return entry.flaps.until + offset
    return None


def askers(service: Service, log: Log) -> Askers:
    """Who took which of its instances out of the answers, by id and the index at which it was: as far as the log goes back. An instance
    whose `index` is another has changed since.
    """
    out = {entry.index for entry in service.entries.values() if entry.status in _TAKEN_OUT}
    if not out:
        return {}
    commits = log.after(max(min(out) - 1, log.oldest), service.key.decode())
    found = {}
    for commit in commits:
        if commit.index in out and commit.by not in (NOBODY, SERVER):
            for event in commit.events:
                if isinstance(event, InstanceEvent) and _takes_out(event):
                    found[event.instance.id, commit.index] = commit.by
    return found


_TAKEN_OUT = (Status.DRAINING, Status.MAINTENANCE)


def _takes_out(event: InstanceEvent) -> bool:
    before, after = event.before, event.after
    return after is not None and after.status in _TAKEN_OUT and (before is None or before.status is not after.status)


_SERVED = (Status.HEALTHY, Status.SUSPECT)


def explain(instances: Iterable[Seen]) -> list[Explanation]:
    """One of each, in order. `instances`: all that the answer could be made of; those that flap depend on the others."""
    instances = list(instances)
    better = any(each.status in _SERVED for each in instances)
    return [_explained(each, better) for each in instances]


def _explained(each: Seen, better: bool) -> Explanation:
    """`better`: there are others that are served before those that flap."""
    status = each.status
    instance, who = each.instance, each.by or "somebody"
    reason = "no reason is known" if each.window is None else each.window.reason
    permanent = status is Status.HEALTHY and instance.spec.lease is not None
    why = [
        _PERMANENT if permanent else each.own or _WHY[status].format(who=who, reason=reason, failing=_failing(instance))
    ]
    if status is Status.UNHEALTHY and each.own is None and each.ttl is not None:
        why[0] += f": no heartbeat for {each.ttl:g} s"
    if status is Status.FLAPPING:
        why.append("others are" if better else "nothing better is left")
    if each.probed is not None:
        why.append(f"its port {each.probed} a connection when the brake asked")
    why += _besides(each)
    served = status in _SERVED or (status is Status.FLAPPING and not better)
    return Explanation(served, "; ".join(why), _since(each), _until(each))


_PERMANENT = "it is registered without a lease, until somebody deregisters it"
_WHY = {
    Status.HEALTHY: "its lease runs",
    Status.UNHEALTHY: "its lease ran out",
    Status.SUSPECT: "it fell silent together with many others: the brake holds it, behind the healthy ones",
    Status.MAINTENANCE: "it is in maintenance, {who} asked for it: {reason}",
    Status.DRAINING: "it is draining, {who} asked for it",
    Status.FAILING: "{failing}",
    Status.FLAPPING: "its health changed too often: until it holds still it is served only where no other is",
}


def _besides(each: Seen) -> list[str]:
    """What would keep it out of answers if its status did not."""
    instance, status = each.instance, each.status
    if status in _SERVED or status is Status.FLAPPING:
        return []
    found = []
    if each.window is not None and status is not Status.MAINTENANCE:
        found.append(f"in maintenance besides: {each.window.reason}")
    if instance.draining and status is not Status.DRAINING:
        found.append("draining besides")
    if instance.failing is not None and status is not Status.FAILING:
        found.append(f"its checks failed besides: {instance.failing}")
    elif instance.fails and status is not Status.FAILING:
        found.append(f"besides, {instance.own.reason}")
    return found


def _failing(instance: Instance) -> str:
    return instance.own.reason if instance.failing is None else f"the checks of it fail: {instance.failing}"


def _since(each: Seen) -> float | None:
    return each.instance.draining_since if each.status is Status.DRAINING else each.since


def _until(each: Seen) -> float | None:
    if each.status is Status.HEALTHY:
        return each.lease_end if each.instance.spec.lease is None else None
    if each.status is Status.MAINTENANCE:
        return None if each.window is None else each.window.until
    return each.ends
