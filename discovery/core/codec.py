"""Commits as JSON and back: one text for the history on disk, for other processes and for replay.

A field that a newer version has and this one does not know is passed over; a kind or a status that is not known is UnknownEvent, for
nobody can apply what he does not understand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discovery.core import exact_json
from discovery.core.caller import NOBODY, Caller
from discovery.core.errors import DiscoveryError, InvalidField
from discovery.core.event import (
    Commit,
    Drained,
    DrainEvent,
    Event,
    InstanceEvent,
    Kind,
    TokenEvent,
    WindowEvent,
    ZonesEvent,
)
from discovery.core.instance import OPTIONS, Instance, Key, Registration, options
from discovery.core.maintenance import Scope, Window
from discovery.core.revocation import Revocation
from discovery.core.status import Probed, Status

Json = dict[str, Any]

# The first second that no date can show.
_YEAR_10000 = 253_402_300_800


class UnknownEvent(DiscoveryError):
    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not known to this version; it was written by a newer one")


def encode(commit: Commit) -> bytes:
    """Grants are no part of it: what a caller might do is not what he did."""
    return exact_json.dumps(of_commit(commit))


def decode(text: bytes) -> Commit:
    """ValueError when it is no commit; UnknownEvent."""
    return commit_of(exact_json.loads(text))


def of_commit(commit: Commit) -> Json:
    head = {"index": commit.index, "wall": commit.wall, "by": of_caller(commit.by), "action": commit.action}
    return head | {"events": [of_event(event) for event in commit.events]}


def commit_of(found: Mapping[str, Any]) -> Commit:
    """As `decode`."""
    try:
        by = caller(found["by"])
        events = tuple(event_of(event) for event in found["events"])
        return Commit(found["index"], found["wall"], by, found["action"], events)
    except (KeyError, TypeError, AttributeError, InvalidField) as error:
        raise ValueError(f"it is no commit: {error!r}") from None


def of_caller(by: Caller) -> Json:
    return {"name": by.name, "address": by.address}


def caller(found: Mapping[str, Any]) -> Caller:
    return Caller(_text(found["address"]), _text(found["name"])).known


def of_instance(instance: Instance) -> Json:
    spec = instance.spec
    return {
        "id": instance.id,
        "registeredAt": instance.registered_at,
        "name": spec.name,
        "ip": spec.ip,
        "port": spec.port,
        "metadata": exact_json.loads(spec.metadata),
        "options": options(spec),
        "drainingSince": instance.draining_since,
        "lease": instance.ttl,
        "status": instance.status.value,
        "failing": instance.failing,
        "registrant": of_caller(instance.registrant),
        "probed": instance.probed,
    }


def instance(found: Mapping[str, Any]) -> Instance:
    given = {field: found["options"][name] for field, name in OPTIONS if name in found["options"]}
    spec = Registration.of(found["name"], found["ip"], found["port"], metadata=found["metadata"], **given)
    return Instance(
        found["id"],
        found["registeredAt"],
        spec,
        found["drainingSince"],
        found["lease"],
        _known(Status, found["status"]),
        found["failing"],
        caller(found["registrant"]) if "registrant" in found else NOBODY,  # an older version has none
        _known(Probed, found["probed"]) if found.get("probed") else None,
    )


def of_event(event: Event) -> Json:
    if isinstance(event, InstanceEvent):
        return {
            "kind": event.kind.value,
            "service": event.service,
            "before": event.before and of_instance(event.before),
            "after": event.after and of_instance(event.after),
            "reason": event.reason,
            "renews": event.renews,
            "buriedUntil": event.buried_until,
            "lapsedAt": event.lapsed_at,
        }
    if isinstance(event, WindowEvent):
        before, after = of_window(event.before), of_window(event.after)
        return {"kind": "window", "scope": list(event.scope), "before": before, "after": after, "reason": event.reason}
    if isinstance(event, DrainEvent):
        before, after = of_drained(event.before), of_drained(event.after)
        return {"kind": "drain", "key": list(event.key), "before": before, "after": after, "reason": event.reason}
    if isinstance(event, TokenEvent):
        before, after = of_revocation(event.before), of_revocation(event.after)
        return {"kind": "token", "sha256": event.sha256.hex(), "before": before, "after": after, "reason": event.reason}
    return {"kind": "zones", "reason": event.reason}


def event_of(found: Mapping[str, Any]) -> Event:
    kind, reason = found["kind"], found["reason"]
    if kind == "zones":
        return ZonesEvent(reason)
    if kind == "window":
        return WindowEvent(Scope(*found["scope"]), window(found["before"]), window(found["after"]), reason)
    if kind == "drain":
        return DrainEvent(Key(*found["key"]), drained(found["before"]), drained(found["after"]), reason)
    if kind == "token":
        before, after = revocation(found["before"]), revocation(found["after"])
        return TokenEvent(bytes.fromhex(found["sha256"]), before, after, reason)
    before, after = found["before"], found["after"]
    return InstanceEvent(
        _known(Kind, kind),
        found["service"],
        before and instance(before),
        after and instance(after),
        reason,
        found["renews"],
        found["buriedUntil"],
        found.get("lapsedAt"),  # an older version has none
    )


def of_window(window: Window | None) -> Json | None:
    return None if window is None else {"reason": window.reason, "until": window.until, "by": window.by}


def window(found: Mapping[str, Any] | None) -> Window | None:
    return None if found is None else Window(_text(found["reason"]), _moment(found["until"]), _text(found["by"]))


def of_drained(drained: Drained | None) -> Json | None:
    return None if drained is None else drained._asdict()


def drained(found: Mapping[str, Any] | None) -> Drained | None:
    if found is None:
        return None
    moments = (_moment(found[field]) for field in ("registered_at", "since", "until"))
    return Drained(_text(found["id"]), _text(found["name"]), *moments)


def of_revocation(revoked: Revocation | None) -> Json | None:
    return None if revoked is None else revoked._asdict()


def revocation(found: Mapping[str, Any] | None) -> Revocation | None:
    if found is None:
        return None
    expires = found["expires"]
    return Revocation(
        _text(found["name"]), _moment(found["at"]), _text(found["by"]), None if expires is None else _moment(expires)
    )


def _text(value: object) -> str:
    """Somebody may have written it by hand. ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.80} is no text")
    return value


def _moment(value: object) -> float:
    """Epoch seconds. ValueError."""
    if not isinstance(value, int | float) or not 0 <= value < _YEAR_10000:
        raise ValueError(f"{value!r:.80} is no time in seconds since 1970")
    return float(value)


def _known(of: Any, value: object) -> Any:
    try:
        return of(value)
    except ValueError:
        raise UnknownEvent(f"The {of.__name__.lower()} {value!r:.80}") from None
