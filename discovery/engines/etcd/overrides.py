"""What this node believes of instances in place of what was decided, while etcd cannot be told: whoever beats here is alive, and whoever
says goodbye here is out of its answers. When etcd is heard again all are told of those that beat, and goodbyes are forgotten: whoever has
left beats no more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from discovery.core.caller import SERVER, Caller
from discovery.core.errors import DiscoveryError
from discovery.core.event import InstanceEvent
from discovery.core.status import Status
from discovery.engines.etcd.beats import Heard
from discovery.engines.etcd.peers import Staleness
from discovery.store.registration import Register, Revive
from discovery.store.registry import Registry
from discovery.store.rules import living
from discovery.store.service import Entry, NodeStatus, Override
from discovery.store.transaction import Authorize, Transaction
from discovery.store.write import Write

_log = logging.getLogger("discovery.etcd")

Submit = Callable[[Write[Any], Caller], "asyncio.Future[Any]"]


@dataclass(eq=False)
class Overrides:
    """`clock`: the registry's; `wall`: epoch seconds. `own`: of this node. `away`: why etcd cannot be told; None: it can."""

    registry: Registry
    heard: Heard
    own: NodeStatus
    staleness: Staleness
    clock: Callable[[], float]
    wall: Callable[[], float]
    away: Callable[[], str | None]
    submit: Submit

    def __post_init__(self) -> None:
        self._reviving: set[str] = set()
        self._since: dict[Entry, float] = {}  # by the clock `running` of the staleness

    def __len__(self) -> int:
        return len(self._since)

    def beat(self, entry: Entry, check: str | None = None) -> bool:
        """This node has heard it, and perhaps a report of its `check`. False when it takes a `Revive`; while nobody can be told, it is
        believed here all the same.
        """
        registry, own, now = self.registry, self.own, self.clock()
        self.heard.note(entry.instance, now)
        if check is not None:
            self.heard.note(entry.instance, now, check)
            entry.report(check, now)
        if entry.through is own and entry.override is None and entry.lease.alive(now):  # nearly always
            return registry.beat(entry, now)
        before = entry.status_at(now)
        entry.override = None
        lives = registry.beat(entry, now)
        if not lives and self.away() is not None:
            entry.lease.restart(now)
            status = living(registry.windows, entry.instance)
            self._override(entry, Override(status, "it beats here, and etcd could not be told of that yet", True))
        if lives or entry.override is not None:
            entry.through = own
        if entry.status_at(now) is not before:
            registry.staleness_changed(entry.instance.spec.key.service)
        return lives

    def revive(self, id: str, by: Caller) -> None:
        """All are told that it beats again."""
        if id in self._reviving:
            return
        self._reviving.add(id)

        def revived(done: asyncio.Future[Any]) -> None:
            self._reviving.discard(id)
            if not done.cancelled() and (error := done.exception()) is not None:
                _log.debug(
                    "%(id)s could not be revived yet: %(reason)s",
                    {"event": "lease.not_revived", "id": id, "reason": str(error)},
                )

        self.submit(Revive(id), by).add_done_callback(revived)

    def heed(self, write: Write[Any], by: Caller, authorize: Iterable[Authorize]) -> None:
        """A write that etcd could not be told of: a goodbye, or a registration, which is a sign of life, is followed here."""
        txn = Transaction(self.registry, self.clock(), self.wall(), by, authorize)
        try:
            if write.says_goodbye:
                write.decide(txn)
            elif isinstance(write, Register):
                txn.authorize(write.spec.key.service)
                self.beat(self.registry.at(write.spec.key))
        except DiscoveryError:
            return
        for event in txn.events:
            if isinstance(event, InstanceEvent) and (entry := self.registry.find(event.instance.id)) is not None:
                status = Status.DRAINING if event.after is None else event.after.status
                self._override(entry, Override(status, f"{event.reason}; etcd could not be told of that", False))
                self.registry.staleness_changed(event.service)

    def settle(self) -> None:
        """Of those about whom etcd was heard since."""
        for entry, since in list(self._since.items()):
            override = entry.override
            if override is not None and since > self.staleness.known_until:
                continue
            if override is not None and override.beats and self.registry.find(entry.instance.id) is entry:
                self.revive(entry.instance.id, SERVER)
            else:
                entry.override = None
                del self._since[entry]
                self.registry.staleness_changed(entry.instance.spec.key.service)

    def _override(self, entry: Entry, override: Override) -> None:
        entry.override = override
        self._since[entry] = self.staleness.running()
        self.registry.has_own_statuses = True
