"""This node's copy of what is in etcd: filled by one range read, kept by one watch, and the only one who changes the registry.

A revision is applied whole: its decisions are told by the key `commit`, and one counts when etcd took it, that is when its services'
versions were put in the same revision. Keys that changed without a decision (somebody's `etcdctl`), or by one that cannot be read, become
events all the same. What cannot be read is passed over (`unreadable`). Where the watch can't go on (`following`), everything is read again
and the difference is applied: in pieces, and seen by readers when it is whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

from discovery.core.caller import SERVER
from discovery.core.event import Commit, Event
from discovery.core.instance import Instance
from discovery.core.kinds import SettingsEvent, ZonesEvent
from discovery.engines.etcd import layout as keys
from discovery.engines.etcd.difference import Together, difference
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Decision, Layout
from discovery.engines.etcd.messages import Change, Changes
from discovery.engines.etcd.read_all import Found, OnKey, Reader
from discovery.engines.etcd.unreadable import Misfits, Unreadable
from discovery.store.fits import DoesNotFit
from discovery.store.operations import ChangeSettings, ReloadZones
from discovery.store.registry import Registry
from discovery.system.turns import turns

_log = logging.getLogger("discovery.etcd")

# Events that are applied in one turn, 30 µs each with all that follows them.
_PIECE = 32
_READ_AGAIN = "found in etcd when everything was read again"


@dataclass(eq=False)
class Mirror:
    """`clock`: monotonic seconds; `wall`: epoch seconds. `on_key`: told of batches, the leader, the configuration. `on_decision`: told of
    each, once it is applied. `on_sync`: told when everything was read again and is applied, before the batches that were found then.

    `etcd`: the id of the cluster of members that all was read from; empty: it is to be read again. `offset`: see `conf`.
    """

    client: Etcd
    layout: Layout
    registry: Registry
    clock: Callable[[], float]
    wall: Callable[[], float]
    on_key: OnKey
    on_decision: Callable[[Decision], None]
    on_sync: Callable[[], None]

    def __post_init__(self) -> None:
        self.reader = Reader(self.layout, self.on_key)
        self.unreadable = self.reader.unreadable
        self.offset = 0
        self.etcd = ""
        self.settings = self.registry.settings  # that hold for all nodes
        self.revision = 0  # the latest event's
        self._advanced = asyncio.Event()  # another one for each revision
        self.changing = asyncio.Lock()  # held while the registry is changed
        self.revisions: dict[bytes, int] = {}  # of the keys that decisions compare: of their last change
        self.deleted: set[bytes] | None = None  # of those keys, while a comparison reads
        self.syncs = 0
        self._of_no_service_at = 0  # the revision that last changed what is of no service
        self.misfits = Misfits()

    async def reached(self, revision: int, seconds: float) -> None:
        """Returns when everything up to the revision is applied here; TimeoutError."""
        if self.revision < revision:
            async with asyncio.timeout(seconds):
                while self.revision < revision:
                    await self._advanced.wait()

    def _advance(self, revision: int) -> None:
        self.revision = revision
        self._advanced.set()
        self._advanced = asyncio.Event()

    # -- what the watch brings

    async def take(self, changes: Changes) -> None:
        """In order, from the next revision on."""
        async with self.changing:
            try:
                for revision, group in groupby(changes.changes, lambda change: change.mod_revision):
                    if revision > self.revision:  # 3.4 may tell something twice
                        await self._apply(revision, list(group))
            except Exception:  # a defect: half of a revision may be applied, and it must not be tried again for ever
                self.etcd = ""
                raise

    async def _apply(self, revision: int, changes: list[Change]) -> None:
        decisions: list[Decision] = []
        versions: set[str] = set()
        values: list[Change] = []
        compared: list[Change] = []
        has_conf = False
        for change in changes:
            if change.key == self.layout.commit:
                decisions = self._decisions(change)
                continue
            parts = self.layout.parts(change.key)
            if parts[0] in keys.COMPARED:
                compared.append(change)
            if parts[0] == "v" and len(parts) == 2:
                versions.add(parts[1])
            elif keys.is_state(parts[0]):
                if parts[0] in keys.OF_NO_SERVICE:
                    self._of_no_service_at = revision
                values.append(change)
                self.unreadable.forget(change.key)
            elif parts[0] != "id":
                has_conf |= parts == ["conf"] and change.value is not None
                self.reader.other(parts, change)
        taken = [each for each in decisions if each.services and versions.issuperset(each.services)]
        index, now = revision + self.offset, self.clock()
        for decision in taken:
            if decision.commit.events:
                self._put_through(decision.commit._replace(index=index), now)
            self.on_decision(decision)
            self.registry.note(decision.settled, decision.half_held)
        if values and not taken:
            await self._apply_by_hand(values, index)
        for change in compared:  # not earlier: a decision about what is not applied yet must not count
            self._note_revision(change)
        if has_conf:
            self._adopt(index)
        self.publish(index)
        self._advance(revision)

    def _adopt(self, index: int) -> None:
        """What all nodes agree on was changed; the index moves whatever it was, as a node that starts now has it."""
        before, after = self.registry.settings, self.settings
        if after != before:
            self._change([SettingsEvent(before, after, before.changed_to(after))], ChangeSettings.action, index)
        else:
            self._change([ZonesEvent("what all nodes agree on was changed")], ReloadZones.action, index)

    def _note_revision(self, change: Change) -> None:
        if change.value is not None:
            self.revisions[change.key] = change.mod_revision
            return
        self.revisions.pop(change.key, None)
        if self.deleted is not None:
            self.deleted.add(change.key)

    def _decisions(self, change: Change) -> list[Decision]:
        self.unreadable.forget(change.key)
        if change.value is None:
            return []
        try:
            return keys.loads(change.value, self._known, self.layout.unknown)
        except ValueError as error:
            self.unreadable.note(change.key, Unreadable(str(error)))
            return []

    def _known(self, id: str) -> Instance | None:
        entry = self.registry.find(id)
        return None if entry is None else entry.instance

    # -- changes without a decision

    async def _apply_by_hand(self, changes: Iterable[Change], index: int) -> None:
        """Somebody has changed keys himself."""
        found, gone = Found(), list[bytes]()
        for change in changes:
            if change.value is None:
                gone.append(change.key)
            else:
                self.reader.read(found, self.layout.parts(change.key), change)
        events = difference(self.layout, self.registry, found, "changed in etcd by hand", gone)
        await self.change_in_pieces(events, "by-hand", index)
        self.note(found)

    def note(self, found: Found) -> None:
        self.unreadable.note_all(found.unreadable)
        self.unreadable.note_all(found.passed_over)

    async def change_in_pieces(self, events: Iterable[Together], action: str, index: int) -> int:
        """Of the table alone; `publish` follows. How many events there were."""
        number, piece = 0, list[Event]()
        for together in events:
            piece += together
            if len(piece) >= _PIECE:
                self._change(piece, action, index)
                number, piece = number + len(piece), []
            await turns().over()
        if piece:
            self._change(piece, action, index)
        return number + len(piece)

    def publish(self, index: int) -> None:
        """If anything was changed."""
        if self.registry.is_ahead:
            self.registry.publish(index)

    def _change(self, events: Iterable[Event], action: str, index: int) -> None:
        self._put_through(Commit(index, self.wall(), SERVER, action, tuple(events)), self.clock())

    def _put_through(self, commit: Commit, now: float) -> None:
        """Of what does not fit nothing is changed, and its services are read again."""
        try:
            self.registry.change(commit, now)
        except DoesNotFit as error:
            self.misfits.note(error)

    # -- everything at once

    async def fill(self, last: int) -> None:
        """The first time: the registry is empty and is given its state. `last`: an index that it has had; what is left in etcd does not
        tell of a key that somebody has deleted.
        """
        found = await self.reader.read_all(self.client)
        self.reader.hear(found)
        self.note(found)
        self.revisions = found.revisions
        index = max(found.changed + self.offset, last)
        self.registry.adopt(self.settings)
        self.registry.load(found.snapshot(index), self.clock(), self.wall(), goes_on=True)
        self.revision = found.revision
        self.etcd = found.etcd

    async def sync(self) -> None:
        """Again: what is different from the registry is applied. One that is cut off is begun again."""
        self.etcd = ""
        found = await self.reader.read_all(self.client)
        async with self.changing:
            # Where it can be, the index that the others have, whenever they read.
            known = found.changed + self.offset > self.registry.index
            index = (found.changed if known else found.revision) + self.offset
            if self.settings != self.registry.settings:
                self._adopt(index)
            events = difference(self.layout, self.registry, found, _READ_AGAIN)
            number = await self.change_in_pieces(events, "resync", index)
            if known and not self.registry.is_ahead:
                self._change([ZonesEvent(_READ_AGAIN)], ReloadZones.action, index)
            self.publish(index)
            self.note(found)
            self._of_no_service_at = found.revision
            self.revisions = found.revisions  # not earlier: a decision about what is not applied yet must not count
            self.etcd = found.etcd
            self.syncs += 1
            self.misfits.clear()
            _log.info(
                "read from etcd at revision %(revision)d: %(differences)d differences",
                {"event": "etcd.read", "revision": found.revision, "differences": number},
            )
            self.on_sync()
            self.reader.hear(found)  # not earlier: this node's own makes it fresh
            self._advance(found.revision)

    def changed_at(self, event: Event) -> int:
        """The index of the last change of what the event is about."""
        if event.service is None:
            return self._of_no_service_at + self.offset
        return self.registry.index_of(event.service)
