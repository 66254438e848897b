"""Instances as JSON: which fields each answer shows, in the original's camelCase."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from heapq import nlargest

import orjson

from discovery.core.check_states import States
from discovery.core.health import Finding, Health
from discovery.core.instance import Instance, Key, options
from discovery.core.maintenance import Window
from discovery.rest.api.answers import Json
from discovery.rest.api.times import Times, iso
from discovery.store.explain import Account
from discovery.store.service import Entry, Service

# Services that are shown as held by the brake.
_MOST_HOLDS = 100
# Services that are named of those whose instances have gone, and that are counted one by one.
_MOST_GONE, _MOST_REMOVED = 8, 100


def brake_holds(services: Iterable[Service], times: Times) -> list[Json]:
    """The largest first."""
    held = [(service.hold, service) for service in services if service.hold is not None]
    largest = nlargest(_MOST_HOLDS, held, key=lambda each: each[0].suspects)
    return [
        {
            "serviceName": service.name,
            "suspects": hold.suspects,
            "since": iso(hold.since),
            "until": times.of(hold.until),
        }
        for hold, service in largest
    ]


def gone_together(gone: Mapping[Key, float], registered: Mapping[str, Service]) -> Json:
    """`gone`: since when each is. Who fails its checks or is drained is listed still. `registered`: services, by folded name."""
    services = list(dict.fromkeys(key.service for key in gone))
    removed = Counter(
        key.service
        for key in gone
        if (service := registered.get(key.service)) is not None and key[1:] not in service.entries
    )
    return {
        "instances": len(gone),
        "serviceCount": len(services),
        "services": services[:_MOST_GONE],
        "removed": dict(removed.most_common(_MOST_REMOVED)),
        "since": iso(min(gone.values())) if gone else None,
        "until": iso(max(gone.values())) if gone else None,
    }


def identity(instance: Instance) -> Json:
    return {"id": instance.id, "name": instance.spec.name, "ip": instance.spec.ip, "port": instance.spec.port or None}


def registered(instance: Instance) -> Json:
    """Just registered, or renewed: its lease runs."""
    return identity(instance) | {"status": instance.status, "registeredAt": iso(instance.registered_at)}


def renewed(entry: Entry, now: float, times: Times) -> Json:
    instance = entry.instance
    spec = instance.spec
    return {
        "id": instance.id,
        "name": spec.name,
        "ip": spec.ip,
        "port": spec.port or None,
        "status": entry.status_at(now),
        "lastHeartbeat": times.of(entry.lease.renewed_at, now),
    }


def resolved(entry: Entry, now: float, times: Times) -> Json:
    """What a client needs to choose and connect; the optional fields only where a registration set them."""
    instance = entry.instance
    said = options(instance.spec)
    said.pop("checks", None)  # they may be long, and are the operator's business
    return {
        "id": instance.id,
        "ip": instance.spec.ip,
        "port": instance.spec.port or None,
        "status": entry.status_at(now),
        "lastHeartbeat": times.of(entry.lease.renewed_at, now),
        "registeredAt": iso(instance.registered_at),
        "metadata": orjson.Fragment(instance.spec.metadata),
    } | (said | health(instance, entry.own))


def health(instance: Instance, own: Finding) -> Json:
    """What it says of it, where that is more than that it is well; and whether that or a check of it warns."""
    if own.health is not Health.PASSING:
        shown: Json = {"health": own.health, "output": own.output}
    else:
        shown = {"output": own.output} if own.output else {}
    if instance.warns:
        shown["warning"] = True
    return shown


def listed(entry: Entry, now: float, times: Times, window: Window | None) -> Json:
    """What an operator wants to see. `window`: the maintenance that keeps it out of answers."""
    shown = resolved(entry, now, times) | {
        "name": entry.instance.spec.name,
        "isHealthy": entry.healthy(now),
        "timeSinceHeartbeat": f"{max(0.0, now - entry.lease.renewed_at):.0f}s",
    }
    instance = entry.instance
    if instance.spec.checks:
        shown |= options(instance.spec)
        instance = entry.as_seen(now, times.walls())
    if window is not None:
        shown["maintenance"] = maintenance(window)
    return shown | decided(instance)


def decided(instance: Instance) -> Json:
    """What was decided about it besides its status."""
    shown: Json = {"draining": True} if instance.draining else {}
    if instance.failing is not None:
        shown["checkFailure"] = instance.failing
    if instance.checks:
        shown["checkStates"] = check_states(instance.checks)
    if instance.lapsed_at is not None:
        shown["lapsedAt"] = iso(instance.lapsed_at)
    return shown


def check_states(states: States) -> Json:
    """What checks say, by their ids. `since` null: they have always passed."""
    return {id: each._asdict() | {"since": iso(each.since) if each.since else None} for id, each in states.items()}


def explained(account: Account, sees_names: bool) -> Json:
    """An instance and its account."""
    instance = account.instance
    return {
        "id": instance.id,
        "ip": instance.spec.ip,
        "port": instance.spec.port or None,
        "status": account.status,
        **({"checkStates": check_states(instance.checks)} if instance.checks else {}),
    } | accounted(account, sees_names)


def accounted(account: Account, sees_names: bool) -> Json:
    """Its account. Null: not known, or, of `until`, until somebody ends it."""
    beats, refused, check = account.beats, account.refused, account.check
    shown: Json = {
        "served": account.served,
        "why": account.why,
        "since": _time(account.since),
        "until": _time(account.until),
        "by": None if account.by is None else str(account.by),
        "next": account.next,
        "lastHeartbeat": _time(account.last_heartbeat),
    }
    if beats is not None:
        shown["heartbeats"] = {
            "everySeconds": round(beats.every, 3), "nextDue": iso(beats.due), "missed": beats.missed,
        }  # fmt: skip
    if refused is not None:
        why = refused.why.text if sees_names else refused.why.plain
        shown["refusedHeartbeats"] = {"since": iso(refused.since), "count": refused.times, "why": why}
    if check is not None:
        shown["lastCheck"] = {"at": iso(check.at), "failure": check.failure}
    return shown


def _time(wall: float | None) -> str | None:
    return None if wall is None else iso(wall)


def maintenance(window: Window) -> Json:
    return {"reason": window.reason, "until": iso(window.until)}
