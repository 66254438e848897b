"""Commits as JSON and back: one text for the history on disk, for other processes and for replay.

A field that a newer version has and this one does not know is passed over; a kind or a status that is not known is UnknownEvent, for
nobody can apply what he does not understand. What is read may have been written by hand: it is as its types say, or a ValueError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from discovery.core import exact_json, remembered
from discovery.core.caller import NOBODY, Caller
from discovery.core.check_states import failed, states_dumped, states_loaded
from discovery.core.checked import flag, moment, or_none, text, whole
from discovery.core.errors import DiscoveryError
from discovery.core.event import Commit, Event, InstanceEvent, Kind
from discovery.core.health import Finding
from discovery.core.instance import Instance, Registration, options
from discovery.core.kinds import KINDS
from discovery.core.options import OPTIONS
from discovery.core.status import Probed, Status

Json = dict[str, Any]


class UnknownEvent(DiscoveryError, ValueError):
    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not known to this version; it was written by a newer one")


class Fact(NamedTuple):
    """What is known of an instance besides its registration, on every node and after a restart. `name`: in JSON. `dumps`, `loads`: to JSON
    and back; `loads` raises ValueError, KeyError or TypeError.
    """

    field: str
    name: str
    dumps: Callable[[Any], Any]
    loads: Callable[[Any], Any]

    @property
    def default(self) -> Any:
        return Instance._field_defaults[self.field]


# The one list for the journal, the history and other nodes. What older versions wrote in other forms (drains, why checks fail) stands
# there.
FACTS = (
    Fact("own", "own", Finding.dumps, Finding.loads),
    Fact("checks", "checkStates", states_dumped, states_loaded),
    Fact("lapsed_at", "lapsedAt", float, moment),
    Fact("attachments", "attachments", remembered.dumps, remembered.loads),
)


def facts(instance: Instance) -> dict[str, Any]:
    """Those that differ from their defaults, as JSON; `facts_of` reads them back."""
    return {fact.name: fact.dumps(value) for fact in FACTS if (value := getattr(instance, fact.field)) != fact.default}


def facts_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """For Instance, by field. What was written by an older version has none."""
    return {fact.field: fact.loads(found[fact.name]) for fact in FACTS if fact.name in found}


def of_commit(commit: Commit) -> Json:
    """Grants are no part of it: what a caller might do is not what he did."""
    head = {"index": commit.index, "wall": commit.wall, "by": of_caller(commit.by), "action": commit.action}
    return head | {"events": [of_event(event) for event in commit.events]}


def commit_of(found: Mapping[str, Any]) -> Commit:
    """ValueError when it is no commit; UnknownEvent."""
    with OfShape("commit"):
        by = caller(found["by"])
        events = tuple(event_of(event) for event in found["events"])
        return Commit(whole(found["index"]), moment(found["wall"]), by, text(found["action"]), events)


class OfShape:
    """While something is read out of JSON: a field that is missing, or something else, is a ValueError too. `what`: it should be."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, KeyError):
            raise ValueError(f"it has no {error}") from None
        if isinstance(error, TypeError | AttributeError):
            raise ValueError(f"it is no {self._what}: {error}") from None


_PROBED = frozenset(Probed)


def of_caller(by: Caller) -> Json:
    return {"name": by.name, "address": by.address}


def caller(found: Mapping[str, Any]) -> Caller:
    return Caller(text(found["address"]), text(found["name"])).known


# Where an instance has more than one: older versions read a text in `protocol`, take it for a tcp one, and keep what they do not know.
PROTOCOLS = "protocols"


def _kept(shown: Json) -> Json:
    if isinstance(shown.get("protocol"), list):
        shown[PROTOCOLS] = shown.pop("protocol")
    return shown


def of_instance(instance: Instance) -> Json:
    spec = instance.spec
    return {
        "id": instance.id,
        "registeredAt": instance.registered_at,
        "name": spec.name,
        "ip": spec.ip,
        "port": spec.port or None,
        "metadata": exact_json.loads(spec.metadata),
        "options": _kept(options(spec)),
        "drainingSince": instance.draining_since,
        "lease": spec.ttl or 0.0,  # older versions want a number here, and find out by themselves which
        "status": instance.status.value,
        "failing": instance.failing,
        "registrant": of_caller(instance.registrant),
        "probed": instance.probed,
    } | facts(instance)


def instance(found: Mapping[str, Any]) -> Instance:
    """ValueError; UnknownEvent."""
    with OfShape("instance"):
        kept = found["options"]
        given = {option.field: kept[option.name] for option in OPTIONS if option.name in kept}
        if PROTOCOLS in kept:
            given["protocol"] = kept[PROTOCOLS]
        spec = Registration.of(found["name"], found["ip"], found["port"], metadata=found["metadata"], **given)
        known = facts_of(found)
        if states := failed(spec.checks, or_none(text, found["failing"])):
            known.setdefault("checks", states)
        return Instance(
            text(found["id"]),
            moment(found["registeredAt"]),
            spec,
            or_none(moment, found["drainingSince"]),
            _known(Status, found["status"]),
            registrant=caller(found["registrant"]) if "registrant" in found else NOBODY,  # an older version has none
            probed=Probed(found["probed"]) if found.get("probed") in _PROBED else None,
            **known,
        )


def of_event(event: Event) -> Json:
    if not isinstance(event, InstanceEvent):
        kind = event.kind
        about = {"kind": kind.name, kind.keys.field: kind.keys.dumps(event.key)}
        return about | {"before": kind.dumps(event.before), "after": kind.dumps(event.after), "reason": event.reason}
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


def event_of(found: Mapping[str, Any]) -> Event:
    reason = text(found["reason"])
    if (made := KINDS.get(found["kind"])) is not None:
        kind = made.kind
        before, after = kind.loads(found.get("before")), kind.loads(found.get("after"))
        return made(key=kind.keys.loads(found.get(kind.keys.field)), before=before, after=after, reason=reason)
    return InstanceEvent(
        _known(Kind, found["kind"]),
        text(found["service"]),
        or_none(instance, found["before"]),
        or_none(instance, found["after"]),
        reason,
        flag(found["renews"]),
        or_none(moment, found["buriedUntil"]),
        or_none(moment, found.get("lapsedAt")),  # an older version has none
    )


def _known(of: Any, value: object) -> Any:
    try:
        return of(value)
    except ValueError:
        raise UnknownEvent(f"The {of.__name__.lower()} {value!r:.80}") from None
