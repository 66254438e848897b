"""This node's copy of what is in etcd: filled by one range read, kept by one watch, and the only one who changes the registry.

A revision is applied whole: its decisions are told by the key `commit`, and one counts when etcd took it, that is when its services'
versions were put in the same revision. Keys that changed without a decision (somebody's `etcdctl`) become events all the same. What
cannot be read is named in the log, counted and passed over. When the watch can't go on where it ended (compacted, too far
behind, an older etcd restored), everything is read again and the difference is applied.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from itertools import groupby

from discovery.core import codec
from discovery.core.caller import SERVER
from discovery.core.event import Commit, Event
from discovery.core.instance import Instance
from discovery.core.kinds import ZonesEvent
from discovery.core.log_fields import fields
from discovery.engines.etcd import layout as keys
from discovery.engines.etcd.continuity import Continuity
from discovery.engines.etcd.difference import Found, difference
from discovery.engines.etcd.everything import OnKey, Reader
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Decision, Layout
from discovery.engines.etcd.messages import Change, Changes, EtcdAway, EtcdError, KeyValue, end_of
from discovery.engines.etcd.reached import Reached
from discovery.store.errors import NewerVersion
from discovery.store.operations import ReloadZones
from discovery.store.registry import Registry
from discovery.store.transaction import MAX_EVENTS

_log = logging.getLogger("discovery.etcd")

# Revisions behind from which on everything is read again: faster than 2,000 steps of history.
_TOO_FAR = 2000
_TURN_SECONDS = 0.002
# Seconds that a comparison waits for the watch; a watch that is broken may have gone back to before what was read.
_REACH_SECONDS = 10.0
_READ_AGAIN = "found in etcd when everything was read again"
_RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)


class Mirror:
    """`clock`: monotonic seconds; `wall`: epoch seconds. `on_key`: told of batches, the leader, the configuration. `silence`: seconds
    without a word from an endpoint until another is tried. `went_back`: sees to it that the index does not, with the `offset` (see `conf`).
    `on_decision`: told of each, once it is applied.
    """

    def __init__(
        self,
        etcd: Etcd,
        layout: Layout,
        registry: Registry,
        clock: Callable[[], float],
        wall: Callable[[], float],
        on_key: OnKey,
        silence: Callable[[], float],
        went_back: Callable[[int], Awaitable[None]],
        on_decision: Callable[[Decision], None],
    ) -> None:
        self._etcd = etcd
        self._layout = layout
        self._registry = registry
        self._clock = clock
        self._wall = wall
        self._reader = Reader(self._timed, on_key, self._skip, layout.unknown)
        self._silence = silence
        self._on_decision = on_decision
        self.offset = 0
        self.revision = 0  # the latest event's
        self._continuity = Continuity(went_back)
        self.revisions: dict[bytes, int] = {}  # of the keys that decisions compare: of their last change
        self._deleted: set[bytes] | None = None  # of those keys, while `check` reads
        self.skipped = 0  # values that could not be read
        self.syncs = 0
        self.mended = 0  # differences that `check` has found
        self._tokens_at = 0  # the revision that changed revoked tokens last
        self._reached = Reached()

    @property
    def lost(self) -> str | None:
        """Why there is nothing to follow; None: there is."""
        return self._continuity.lost

    async def reached(self, revision: int, seconds: float) -> None:
        """Returns when everything up to the revision is applied here; TimeoutError."""
        if self.revision < revision:
            async with asyncio.timeout(seconds):
                await self._reached.wait_for(revision)

    # -- the watch

    async def follow(self) -> None:
        """For ever: applies what happens in etcd. `fill` came before."""
        failed = 0
        while True:
            try:
                if failed:
                    await self._catch_up()
                async with aclosing(self._watched()) as watched:
                    turned = self._clock()
                    async for changes in watched:
                        failed = 0
                        self._take(changes)
                        if self._clock() - turned > _TURN_SECONDS:  # many may have come at once
                            await asyncio.sleep(0)
                            turned = self._clock()
            except (EtcdError, EtcdAway) as error:
                failed += 1
                if failed == 1:
                    _log.warning(
                        "the watch of etcd ended: %s; this node answers from what it knows and tries again", error,
                        extra=fields("etcd.away", reason=str(error)),
                    )  # fmt: skip
                if isinstance(error, EtcdError) and error.is_compacted:
                    await self._again(error)
            await asyncio.sleep(_RETRY_SECONDS[min(failed, len(_RETRY_SECONDS)) - 1])

    def _watched(self) -> AsyncGenerator[Changes, None]:
        prefix = self._layout.prefix
        return self._etcd.watch(prefix, end_of(prefix), self.revision + 1, self._silence())

    async def _catch_up(self) -> None:
        """Proves that there is a quorum, and whether the watch can go on."""
        conf = await self._etcd.range(self._layout.conf)
        if await self._continuity.is_broken(conf, self.revision):
            await self.sync()
        elif conf.revision - self.revision > _TOO_FAR:
            await self._again(f"{conf.revision - self.revision} revisions behind")

    async def _again(self, why: object) -> None:
        _log.warning("everything is read from etcd again: %s", why, extra=fields("etcd.reading_again", reason=str(why)))
        await self.sync()

    def _take(self, changes: Changes) -> None:
        for revision, group in groupby(changes.changes, lambda change: change.mod_revision):
            if revision > self.revision:  # 3.4 may tell something twice
                self._apply(revision, list(group))

    def _apply(self, revision: int, changes: list[Change]) -> None:
        decisions: list[keys.Decision] = []
        versions: set[str] = set()
        values: list[tuple[list[str], Change]] = []
        has_conf = False
        for change in changes:
            if change.key == self._layout.commit:
                decisions = self._decisions(change)
                continue
            parts = self._layout.parts(change.key)
            if parts[0] in keys.COMPARED:
                self._note_revision(change)
            if parts[0] == "v" and len(parts) == 2:
                versions.add(parts[1])
            elif keys.is_state(parts[0]):
                if parts[0] == "r":
                    self._tokens_at = revision
                values.append((parts, change))
            else:
                has_conf |= parts == ["conf"] and change.value is not None
                self._reader.other(parts, change)
        taken = [decision for decision in decisions if versions.issuperset(decision.services)]
        now = self._clock()
        for decision in taken:
            self._tell(decision.commit, revision, now)
            self._on_decision(decision)
            self._registry.note(decision.settled, decision.half_held)
        if values and not taken:
            self._apply_by_hand(values, revision, now)
        if has_conf:  # leases may be others now, and with them every TTL
            self._commit([ZonesEvent("what all nodes agree on was changed")], ReloadZones.action, revision, now)
        self.revision = revision
        self._reached.tell(self.revision)

    def _note_revision(self, change: Change) -> None:
        if change.value is not None:
            self.revisions[change.key] = change.mod_revision
            return
        self.revisions.pop(change.key, None)
        if self._deleted is not None:
            self._deleted.add(change.key)

    def _tell(self, commit: Commit, revision: int, now: float) -> None:
        if commit.events:
            self._registry.apply(commit._replace(index=revision + self.offset), now)

    def _decisions(self, change: Change) -> list[keys.Decision]:
        if change.value is None:
            return []
        try:
            return keys.loads(change.value, self._known, self._timed, self._layout.unknown)
        except codec.UnknownEvent as error:
            raise NewerVersion(str(error)) from None
        except ValueError as error:
            self._skip(change.key, error)
            return []

    def _known(self, id: str) -> Instance | None:
        entry = self._registry.find(id)
        return None if entry is None else entry.instance

    def _timed(self, instance: Instance) -> Instance:
        """With the ttl that holds now: who wrote it may not have known of a new configuration."""
        ttl = self._registry.ttl_of(instance.spec)
        return instance if ttl == instance.ttl else instance._replace(ttl=ttl)

    def _apply_by_hand(self, values: Iterable[tuple[list[str], Change]], revision: int, now: float) -> None:
        """Somebody has changed keys himself."""
        found = Found()
        gone: list[list[str]] = []
        for parts, change in values:
            if change.value is None:
                gone.append(parts)
            else:
                self._reader.read(found, parts, KeyValue(change.key, change.value, change.create_revision, revision))
        events = difference(self._registry, found, "changed in etcd by hand", gone)
        self._commit([event for event in events if event is not None], "by-hand", revision, now)

    def _commit(self, events: Sequence[Event], action: str, revision: int, now: float) -> None:
        for start in range(0, len(events), MAX_EVENTS):
            part = tuple(events[start : start + MAX_EVENTS])
            self._tell(Commit(0, self._wall(), SERVER, action, part), revision, now)

    # -- everything at once

    async def fill(self, last: int) -> None:
        """The first time: the registry is empty and is given its state. `last`: an index that it has had; what is left in etcd does not
        tell of a key that somebody has deleted.
        """
        found = await self._reader.read_all(self._etcd, self._layout)
        self.revisions = found.revisions
        index = max(found.changed + self.offset, last)
        self._registry.load(found.snapshot(index), self._clock(), self._wall(), goes_on=True)
        self.revision = found.revision
        self._continuity.begin(found.etcd)

    async def sync(self) -> None:
        """Again: what is different from the registry is applied, some of it a turn."""
        found = await self._reader.read_all(self._etcd, self._layout)
        events = await self._differences(found, _READ_AGAIN)
        # Where it can be, the index that the others have, whenever they read.
        known = found.changed + self.offset > self._registry.index
        if known and not events:
            self._commit([ZonesEvent(_READ_AGAIN)], ReloadZones.action, found.changed, self._clock())
        for start in range(0, len(events), MAX_EVENTS):
            part = events[start : start + MAX_EVENTS]
            self._commit(part, "resync", found.changed if known else found.revision, self._clock())
            await asyncio.sleep(0)
        self.revision = self._tokens_at = found.revision
        self.revisions = found.revisions  # not earlier: a decision about what is not applied yet must not count
        self._continuity.begin(found.etcd)
        self.syncs += 1
        _log.info(
            "read from etcd at revision %d: %d differences", found.revision, len(events),
            extra=fields("etcd.read", revision=found.revision, differences=len(events)),
        )  # fmt: skip
        self._reached.tell(self.revision)

    async def _differences(self, found: Found, reason: str) -> list[Event]:
        events = []
        for event in difference(self._registry, found, reason):
            if event is None:
                await asyncio.sleep(0)
            else:
                events.append(event)
        return events

    async def check(self) -> int:
        """Compares what is in etcd with what is here, and mends it. How many differences there were: 0, unless etcd or this mirror has a
        defect. What has changed since the reading began is left out.
        """
        syncs, self._deleted = self.syncs, set()
        found = await self._reader.read_all(self._etcd, self._layout, of_state_alone=True)
        await self.reached(found.revision, _REACH_SECONDS)
        events = await self._differences(found, "found in etcd by the comparison")
        if self.syncs != syncs:  # etcd may have gone back meanwhile, and what was read with it
            return 0
        last = found.revision + self.offset
        events = [event for event in events if self._changed_at(event) <= last]
        for key, revision in found.revisions.items():
            if self.revisions.get(key, 0) < revision and key not in self._deleted:
                self.revisions[key] = revision
        if events:
            _log.error(
                "this node differed from etcd in %d things, which is mended: a defect, please report it", len(events),
                extra=fields("etcd.differed", differences=len(events)),
            )  # fmt: skip
            self._commit(events, "mended", self.revision, self._clock())
        self.mended += len(events)
        return len(events)

    def _changed_at(self, event: Event) -> int:
        """The index of the last change of what the event is about."""
        if event.service is None:
            return self._tokens_at + self.offset
        return self._registry.index_of(event.service)

    def _skip(self, key: bytes, error: Exception) -> None:
        self.skipped += 1
        shown = key.decode("utf-8", "replace")
        _log.error(
            "the key %s in etcd cannot be read and is passed over: %s", shown, error,
            extra=fields("etcd.unreadable", key=shown, reason=str(error)),
        )  # fmt: skip
