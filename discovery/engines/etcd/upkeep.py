"""What is done once in a while: what is in etcd is compared with what this node has, all of it, or a service where a commit did not fit.

The watch goes on meanwhile; a difference is a defect, and is mended. The leader clears away what nobody compares any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count

from discovery.core.ids import is_made_here
from discovery.engines.etcd.difference import Together, difference, here
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.messages import EtcdAway, EtcdError, Json, created_at, delete, nested, put, unchanged_since
from discovery.engines.etcd.mirror import Mirror
from discovery.engines.etcd.read_all import Found
from discovery.store.registry import Registry
from discovery.system.turns import turns

_log = logging.getLogger("discovery.etcd")

# Seconds between two comparisons of etcd with this node.
COMPARE_SECONDS = 600
# Seconds between two looks whether this node has begun to lead.
LOOK_SECONDS = 5
# Seconds to wait for the watch; one that is broken may have gone back to before what was read.
_REACH_SECONDS = 10.0
# Keys of ids that are put in one transaction.
_IDS_AT_ONCE = 50
# Comparisons that a service's version outlives its last instance: an hour. Versions that go with one of them: 1 ms each.
_IDLE_TIMES = 6
_SWEPT_AT_ONCE = 1000


@dataclass(eq=False)
class Upkeep:
    """`mended`: differences that were found."""

    etcd: Etcd
    layout: Layout
    mirror: Mirror
    registry: Registry
    leads: Callable[[], bool]

    def __post_init__(self) -> None:
        self.mended = 0
        self._revisions: deque[int] = deque(maxlen=_IDLE_TIMES)  # at the latest sweeps

    async def run(self) -> None:
        """For ever."""
        led = False
        for number in count(1):
            await asyncio.sleep(LOOK_SECONDS)
            compares = number % (COMPARE_SECONDS // LOOK_SECONDS) == 0
            try:
                if compares:
                    await self.compare()
                    if self.leads():
                        await self.sweep()
                if self.leads() and (compares or not led):
                    await self.keep_ids()
                led = self.leads()
            except (EtcdAway, EtcdError, TimeoutError) as error:
                reason = str(error) or "the watch does not bring what was read"
                _log.info(
                    "what is in etcd could not be compared with this node: %(reason)s",
                    {"event": "etcd.not_compared", "reason": reason},
                )

    async def mend(self) -> None:
        """For ever: reads again the services of commits that did not fit."""
        await self.mirror.misfits.mend(self._read_service)

    async def keep_ids(self) -> None:
        """Ids that clients chose have a key each: of instances that an older version registered it is missing, and it is left over of those
        that such a version removed.
        """
        revisions, layout = self.mirror.revisions, self.layout
        missing = list[Json]()
        for entries in self.registry.in_parts():
            for instance in (entry.instance for entry in entries if not is_made_here(entry.instance.id)):
                key, service = layout.id(instance.id), instance.spec.key.service
                if key not in revisions:
                    version = layout.version(service)
                    compare = [unchanged_since(version, revisions.get(version, 0)), created_at(key, 0)]
                    missing.append(nested(compare, [put(key, service.encode())]))
            await turns().over()
        for start in range(0, len(missing), _IDS_AT_ONCE):
            await self.etcd.txn([], missing[start : start + _IDS_AT_ONCE])
        prefix = layout.id("")
        left = [
            (key, at) for key, at in revisions.items() if key.startswith(prefix) and self._is_free(key[len(prefix) :])
        ]
        for key, revision in left[:_SWEPT_AT_ONCE]:
            await self.etcd.txn([unchanged_since(key, revision)], [delete(key)])

    def _is_free(self, id: bytes) -> bool:
        return self.registry.find(id.decode("utf-8", "replace")) is None

    async def sweep(self) -> None:
        """The versions of services that have had no instance for an hour."""
        known, versions = self.registry.services, self.layout.versions(self.mirror.revisions)
        until = self._revisions[0] if len(self._revisions) == _IDLE_TIMES else 0
        self._revisions.append(self.mirror.revision)
        # Whoever registers puts the version anew.
        idle = [each for each in versions.items() if each[0] not in known and each[1] <= until]
        for service, version in idle[:_SWEPT_AT_ONCE]:
            key = self.layout.version(service)
            await self.etcd.txn([unchanged_since(key, version)], [delete(key)])

    # -- comparisons

    async def compare(self) -> int:
        """How many differences there were: 0, unless etcd or the mirror has a defect. What has changed since the reading began is left out.
        EtcdAway, EtcdError, TimeoutError.
        """
        mirror = self.mirror
        syncs, mirror.deleted = mirror.syncs, set()
        try:
            found = await mirror.reader.read_all(self.etcd, is_comparison=True)
            await mirror.reached(found.revision, _REACH_SECONDS)
            differing = list[Together]()
            for together in difference(self.layout, self.registry, found, "found in etcd by the comparison"):
                differing += [together] if together else []
                await turns().over()
            while True:
                async with mirror.changing:
                    if mirror.syncs != syncs:  # etcd may have gone back meanwhile, and what was read with it
                        return 0
                    if not differing or self._is_unseen(self._index):
                        return await self._apply(found, differing)
                await mirror.reached(mirror.revision + 1, _REACH_SECONDS)
        finally:
            mirror.deleted = None

    async def _read_service(self, service: str) -> None:
        """Reads it again, where a commit about it did not fit. As `compare`."""
        mirror = self.mirror
        found = await mirror.reader.read_service(self.etcd, service)
        await mirror.reached(max(found.revision, self.registry.index - mirror.offset + 1), _REACH_SECONDS)
        async with mirror.changing:
            version, index = self.layout.version(service), self._index
            if found.revisions.get(version) != mirror.revisions.get(version) or not self._is_unseen(index):
                return  # it has changed meanwhile
            gone = [key for key in here(self.layout, self.registry, service) if key not in found.revisions]
            reason, times = "found in etcd when its service was read again", mirror.misfits.times
            events = difference(self.layout, self.registry, found, reason, gone)
            self.mended += await mirror.change_in_pieces(events, "mended", index)
            mirror.publish(index)
            mirror.note(found)
            if mirror.misfits.times == times:
                mirror.misfits.forget(service)

    @property
    def _index(self) -> int:
        return self.mirror.revision + self.mirror.offset

    def _is_unseen(self, index: int) -> bool:
        """Nobody has seen it, so that more may belong to it."""
        return index > self.registry.index

    async def _apply(self, found: Found, differing: Iterable[Together]) -> int:
        mirror, index, last = self.mirror, self._index, found.revision + self.mirror.offset
        since = [each for each in differing if all(mirror.changed_at(event) <= last for event in each)]
        for key, revision in found.revisions.items():
            if mirror.revisions.get(key, 0) < revision and key not in (mirror.deleted or ()):
                mirror.revisions[key] = revision
        number = await mirror.change_in_pieces(since, "mended", index)
        if number:
            _log.error(
                "this node differed from etcd in %(differences)d things, which is mended: a defect, please report it",
                {"event": "etcd.differed", "differences": number},
            )
        mirror.publish(index)
        self.mended += number
        return number
