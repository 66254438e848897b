"""What is in etcd against what this node has, while the watch goes on: all of it now and then, and one service where a commit did not fit.
A difference is a defect, and is mended.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from discovery.core.log_fields import fields
from discovery.engines.etcd.difference import Together, difference, here
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.mirror import Mirror
from discovery.engines.etcd.read_all import Found
from discovery.store.registry import Registry
from discovery.system.turns import turns

_log = logging.getLogger("discovery.etcd")

# Seconds to wait for the watch; one that is broken may have gone back to before what was read.
_REACH_SECONDS = 10.0


class Comparing:
    """`mended`: differences that were found."""

    def __init__(self, etcd: Etcd, layout: Layout, registry: Registry, mirror: Mirror) -> None:
        self._etcd = etcd
        self._layout = layout
        self._registry = registry
        self._mirror = mirror
        self.mended = 0

    async def all(self) -> int:
        """How many differences there were: 0, unless etcd or the mirror has a defect. What has changed since the reading began is left out.
        EtcdAway, EtcdError, TimeoutError.
        """
        mirror = self._mirror
        syncs, mirror.deleted = mirror.syncs, set()
        try:
            found = await mirror.reader.read_all(self._etcd, is_comparison=True)
            await mirror.reached(found.revision, _REACH_SECONDS)
            differing = list[Together]()
            for together in difference(self._layout, self._registry, found, "found in etcd by the comparison"):
                differing += [together] if together else []
                await turns().over()
            while True:
                async with mirror.changing:
                    if mirror.syncs != syncs:  # etcd may have gone back meanwhile, and what was read with it
                        return 0
                    if not differing or self._is_unseen(self._index):
                        return await self._mend(found, differing)
                await mirror.reached(mirror.revision + 1, _REACH_SECONDS)
        finally:
            mirror.deleted = None

    async def service(self, service: str) -> None:
        """Reads it again, where a commit about it did not fit. As `all`."""
        mirror = self._mirror
        found = await mirror.reader.read_service(self._etcd, service)
        await mirror.reached(max(found.revision, self._registry.index - mirror.offset + 1), _REACH_SECONDS)
        async with mirror.changing:
            version, index = self._layout.version(service), self._index
            if found.revisions.get(version) != mirror.revisions.get(version) or not self._is_unseen(index):
                return  # it has changed meanwhile
            gone = [key for key in here(self._layout, self._registry, service) if key not in found.revisions]
            reason, times = "found in etcd when its service was read again", mirror.misfits.times
            events = difference(self._layout, self._registry, found, reason, gone)
            self.mended += await mirror.change_in_pieces(events, "mended", index)
            mirror.publish(index)
            mirror.note(found)
            if mirror.misfits.times == times:
                mirror.misfits.forget(service)

    @property
    def _index(self) -> int:
        return self._mirror.revision + self._mirror.offset

    def _is_unseen(self, index: int) -> bool:
        """Nobody has seen it, so that more may belong to it."""
        return index > self._registry.index

    async def _mend(self, found: Found, differing: Iterable[Together]) -> int:
        mirror, index, last = self._mirror, self._index, found.revision + self._mirror.offset
        since = [each for each in differing if all(mirror.changed_at(event) <= last for event in each)]
        for key, revision in found.revisions.items():
            if mirror.revisions.get(key, 0) < revision and key not in (mirror.deleted or ()):
                mirror.revisions[key] = revision
        number = await mirror.change_in_pieces(since, "mended", index)
        if number:
            _log.error(
                "this node differed from etcd in %d things, which is mended: a defect, please report it", number,
                extra=fields("etcd.differed", differences=number),
            )  # fmt: skip
        mirror.publish(index)
        self.mended += number
        return number
