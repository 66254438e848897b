"""What has changed, as values: an Event says what one thing was before and is after; a Commit holds the events of one decision.

State follows from events by put and delete alone (`store.registry.apply`), so whoever has the commits has the table: the journal, the
audit log, watches, zone serials, other nodes. Heartbeats renew leases and are no events.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from discovery.core.caller import Caller
from discovery.core.instance import Instance, Key, Registration
from discovery.core.maintenance import Scope, Window
from discovery.core.revocation import Revocation
from discovery.core.status import Status


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
    def instance(self) -> Instance:
        """As it is now, or as it was last."""
        instance = self.after or self.before
        assert instance is not None
        return instance


class WindowEvent(NamedTuple):
    """A maintenance window begins (`before` None), is exchanged, or ends (`after` None)."""

    scope: Scope
    before: Window | None
    after: Window | None
    reason: str

    @property
    def service(self) -> str:
        return self.scope.service


class Drained(NamedTuple):
    """What is remembered of an instance that was draining when it was removed for its silence: it drains again, `since` then, if it comes
    back before `until`. Epoch seconds. `name`: of its service, as shown.
    """

    id: str
    name: str
    registered_at: float
    since: float
    until: float

    def instance(self, key: Key) -> Instance:
        """As far as it is remembered, and no longer draining."""
        spec = Registration(name=self.name, ip=key.ip, port=key.port)
        return Instance(self.id, self.registered_at, spec, status=Status.UNHEALTHY)


class DrainEvent(NamedTuple):
    """The drain of an instance that is not registered is remembered (`before` None), or no longer (`after` None)."""

    key: Key
    before: Drained | None
    after: Drained | None
    reason: str

    @property
    def service(self) -> str:
        return self.key.service


class ZonesEvent(NamedTuple):
    """Other zone files are served, so that any name in them may have changed. They are each node's own configuration."""

    reason: str


class TokenEvent(NamedTuple):
    """A token is revoked (`before` None), or no longer (`after` None). `sha256`: 32 octets."""

    sha256: bytes
    before: Revocation | None
    after: Revocation | None
    reason: str


Event = InstanceEvent | WindowEvent | DrainEvent | ZonesEvent | TokenEvent
# Those of no service.
OF_NO_SERVICE = (ZonesEvent, TokenEvent)


# Of an event about plain instances: two instances, a reason, and their share of the commit.
_EVENT_OCTETS = 750


def octets_of(event: Event) -> int:
    """About what keeping it costs."""
    if not isinstance(event, InstanceEvent):
        return _EVENT_OCTETS
    after, before = event.after, event.before
    new = 0 if after is None else after.spec.extra_octets
    old = 0 if before is None or (after is not None and before.spec is after.spec) else before.spec.extra_octets
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
