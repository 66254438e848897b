"""What has changed, as values: an Event says what one thing was before and is after; a Commit holds the events of one decision.

State follows from events by put and delete alone (`store.registry.change`), so whoever has the commits has the table: the journal, the
audit log, watches, zone serials, other nodes. Heartbeats renew leases and are no events. There are two forms of events: of instances,
here; and of everything else that is kept under a key, whose kinds `core.kinds` declares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from discovery.core.caller import Caller
from discovery.core.instance import Instance
from discovery.core.schema import Schema
from discovery.core.status import Status

K = TypeVar("K")
V = TypeVar("V")


class Kind(StrEnum):
    """What happened to an instance's place in the table, or the status it has from now on (`Status`, of the same names)."""

    REGISTERED = "registered"
    RESTORED = "restored"  # known from before this process
    UPDATED = "updated"  # other contents, and the same status
    DEREGISTERED = "deregistered"  # somebody asked for it
    EXPIRED = "expired"  # removed because its lease had run out

    HEALTHY = Status.HEALTHY.value
    UNHEALTHY = Status.UNHEALTHY.value
    SUSPECT = Status.SUSPECT.value
    MAINTENANCE = Status.MAINTENANCE.value
    DRAINING = Status.DRAINING.value
    FAILING = Status.FAILING.value
    FLAPPING = Status.FLAPPING.value


KIND_OF = {status: Kind(status.value) for status in Status}


class InstanceEvent(NamedTuple):
    """`service`: folded. `before` None: it was not registered; `after` None: it is no longer. Never both.

    `renews`: its lease begins anew with the commit. `buried_until`: epoch seconds, on DEREGISTERED: until then a heartbeat that carries
    the whole registration does not bring it back. `lapsed_at`: epoch seconds, on the first event after its lease has run out: since
    then it has been in no answer, as readers test the lease themselves, whenever the reaper came by.
    """

    kind: Kind
    service: str
    before: Instance | None
    after: Instance | None
    reason: str
    renews: bool = False
    buried_until: float | None = None
    lapsed_at: float | None = None

    @property
    def name(self) -> str:
        """What /changes, /events and the history call it."""
        return self.kind.value

    @property
    def instance(self) -> Instance:
        """As it is now, or as it was last."""
        instance = self.after or self.before
        assert instance is not None
        return instance

    def asker(self, by: Caller, known: Caller | None) -> Caller | None:
        """Who asked for the instance to be out of answers, once `by` has brought this about; `known`: before it. None: nobody known.

        Who drains comes back into the drain by itself. Who comes back into a window may have been away when it began.
        """
        before, after = self.before, self.after
        if before is None or after is None:
            return None
        if after.draining and not before.draining and after.status is not Status.MAINTENANCE:
            return by.asker
        if after.status is not Status.MAINTENANCE:
            return known if after.draining and before.status is not Status.MAINTENANCE else None
        if after.status is before.status:
            return known
        return None if self.renews or before.status is Status.UNHEALTHY else by.asker


class KeyForm(NamedTuple, Generic[K]):
    """How a key is written. `parts`: what people see of it, by name, with their schemas; `service` and `ip` among them if it has any.
    `values`: in that order. `field`: its name in an event as JSON. `path`: as the end of a key in etcd, and in the journal. `loads` and
    `of_path` raise ValueError or TypeError.
    """

    field: str
    parts: Mapping[str, Schema]
    values: Callable[[K], tuple[Any, ...]]
    loads: Callable[[Any], K]
    path: Callable[[K], tuple[str, ...]]
    of_path: Callable[[Sequence[str]], K]

    def dumps(self, key: K) -> Any:
        """As `loads` wants it."""
        values = self.values(key)
        return list(values) if len(values) > 1 else next(iter(values), None)


class Field(NamedTuple):
    """`check`: makes it of JSON; ValueError where that is none. `dumps`: JSON again. `is_moment`: epoch seconds, perhaps None."""

    schema: Schema
    check: Callable[[Any], Any]
    is_moment: bool = False
    dumps: Callable[[Any], Any] = lambda value: value


@dataclass(frozen=True, kw_only=True)
class ValueKind(Generic[K, V]):
    """A kind of event about something that is kept under a key, besides the instances: all that anybody who stores or shows one has to
    know. `core.kinds` has them.

    `name`: in JSON and in the journal. `noun`: for people; the event is called NOUN-VERB, and what it shows stands under NOUN. `verbs`:
    it begins, is exchanged, ends; `log_verbs`: in the names of the log's lines, where they are others. `text`: what the log says it is
    about, with `{place}` or `{name}`; empty: the log has a line of its own. `value`: made of `fields`, whose names it has, and its JSON
    too. `shown`: those that people see. `secret`: they are for who may see who asked. `warns`: its line in the log is a warning.
    `letter`: of its keys in etcd; None: it has none. `kept`: in the journal, and so after a restart. `fades`: it is over at its `until`,
    and no event tells so. `octets`: of a value, beyond a few hundred.
    """

    name: str
    noun: str
    text: str
    verbs: tuple[str, str, str]
    keys: KeyForm[K]
    value: Callable[..., V]
    fields: Mapping[str, Field]
    shown: tuple[str, ...] = ()
    secret: bool = False
    warns: bool = False
    letter: str | None = None
    kept: bool = True
    fades: bool = False
    log_verbs: tuple[str, str, str] | None = None
    octets: Callable[[V], int] = lambda value: 0

    @property
    def of_service(self) -> bool:
        """Whether each is of a service, by its key."""
        return "service" in self.keys.parts

    @property
    def names(self) -> tuple[str, ...]:
        """What its events are called (`ValueEvent.name`)."""
        return tuple(dict.fromkeys(f"{self.noun}-{verb}" for verb in self.verbs))

    def dumps(self, value: V | None) -> dict[str, Any] | None:
        """The value as JSON."""
        return None if value is None else {name: of.dumps(getattr(value, name)) for name, of in self.fields.items()}

    def loads(self, found: Mapping[str, Any] | None) -> V | None:
        """ValueError, KeyError, TypeError: somebody may have written it by hand."""
        if found is None:
            return None
        return self.value(**{name: field.check(found[name]) for name, field in self.fields.items()})


@dataclass(frozen=True, slots=True)
class ValueEvent(Generic[K, V]):
    """Something that is kept under `key` begins (`before` None), is exchanged, or ends (`after` None)."""

    key: K
    before: V | None
    after: V | None
    reason: str
    kind: ClassVar[ValueKind[Any, Any]]

    @property
    def phase(self) -> int:
        """Which of the verbs: 0 it begins, 1 it is exchanged, 2 it ends."""
        return 0 if self.before is None else 2 if self.after is None else 1

    @property
    def name(self) -> str:
        """What /changes, /events and the history call it."""
        return f"{self.kind.noun}-{self.kind.verbs[self.phase]}"

    @property
    def place(self) -> dict[str, Any]:
        """The key by its parts, for people."""
        keys = self.kind.keys
        return dict(zip(keys.parts, keys.values(self.key), strict=True))

    @property
    def service(self) -> str | None:
        """Folded. None: it is of no service."""
        return self.place.get("service")


Event = InstanceEvent | ValueEvent[Any, Any]


# Of an event about plain instances: two instances, a reason, and their share of the commit.
_EVENT_OCTETS = 750


def octets_of(event: Event) -> int:
    """About what keeping it costs."""
    if not isinstance(event, InstanceEvent):
        values = (event.before, event.after)
        return _EVENT_OCTETS + sum(event.kind.octets(value) for value in values if value is not None)
    after, before = event.after, event.before
    new = 0 if after is None else after.extra_octets
    is_same = before is None or (
        after is not None and before.spec is after.spec and before.attachments is after.attachments
    )
    old = 0 if before is None or is_same else before.extra_octets
    return _EVENT_OCTETS + new + old


def instant_of(event: Event, wall: float) -> float:
    """When it came about, epoch seconds: a lapse at the end of the lease, all else with its commit, at `wall`."""
    if isinstance(event, InstanceEvent) and event.kind is Kind.UNHEALTHY and event.lapsed_at is not None:
        return event.lapsed_at
    return wall


# The action of the commit that tells what was known from before this process. It has that state, and is not in the log.
RESTORE = "restore"


class Commit(NamedTuple):
    """The events of one decision, in order. `index` grows with every commit, by 1 on a single node; consumers allow gaps.

    `wall`: when it was decided, epoch seconds. `by`: who asked. `action`: the name of the write.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks
    wall: float
    by: Caller
    action: str
    events: tuple[Event, ...]
