"""One node decides what time brings: whoever has put the key `leader`, on a lease of 5 s that it keeps alive. The revision at which the
key was created fences the one before: etcd compares it in every transaction that expires something.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.messages import Change, EtcdAway, EtcdError, created_at, put

_log = logging.getLogger("discovery.etcd")

LEASE_SECONDS = 5
_KEEP_SECONDS = 1.0
# A leader whose lease was not kept for so long may have a successor: it decides nothing any more.
_SURE_SECONDS = 3.0


class Leadership:
    """`clock`: monotonic seconds. `note` is told of every change of the key, as the watch brings it."""

    def __init__(self, etcd: Etcd, layout: Layout, node: str, clock: Callable[[], float]) -> None:
        self._etcd = etcd
        self._layout = layout
        self._node = node
        self._clock = clock
        self._lease = 0
        self._kept_at = float("-inf")
        self._vacant = asyncio.Event()
        self._vacant.set()
        self.leader = ""  # its name
        self.created: int | None = None  # the key's create revision, while it is this node's

    @property
    def leads(self) -> bool:
        return self.created is not None and self._clock() - self._kept_at < _SURE_SECONDS

    def note(self, change: Change) -> None:
        leader = "" if change.value is None else change.value.decode("utf-8", "replace")
        mine = leader == self._node and change.create_revision == change.mod_revision
        self.created = change.create_revision if mine else None
        if leader != self.leader:
            _log.info(
                "%(_who)s leads the registry: it decides when leases end",
                {"event": "leader.changed", "node": leader, "_who": leader or "no node"},
            )
        self.leader = leader
        if leader:
            self._vacant.clear()
        else:
            self._vacant.set()

    async def stand(self) -> None:
        """For ever: takes the key when it is vacant, keeps it while it is this node's."""
        while True:
            try:
                if self.created is not None:
                    await self._keep()
                elif self._vacant.is_set():
                    await self._campaign()
                    await asyncio.sleep(_KEEP_SECONDS / 4)  # until the watch tells who it is
                    continue
            except (EtcdAway, EtcdError) as error:
                _log.debug("the leader's lease: %(reason)s", {"event": "leader.not_kept", "reason": str(error)})
            try:
                async with asyncio.timeout(_KEEP_SECONDS):
                    await (self._vacant.wait() if self.created is None else asyncio.sleep(_KEEP_SECONDS))
            except TimeoutError:
                pass

    async def _campaign(self) -> None:
        asked = self._clock()
        if not self._lease or not await self._etcd.keep_alive(self._lease):
            self._lease = await self._etcd.grant(LEASE_SECONDS)
        key = self._layout.leader
        outcome = await self._etcd.txn([created_at(key, 0)], [put(key, self._node.encode(), self._lease)])
        if outcome.succeeded:
            self._kept_at = asked

    async def _keep(self) -> None:
        asked = self._clock()
        if await self._etcd.keep_alive(self._lease):
            self._kept_at = asked
        else:
            self._lease = 0
            self.created = None

    async def resign(self) -> None:
        """So that nobody waits for the lease's end."""
        if self._lease:
            self.created = None
            await self._etcd.revoke(self._lease)
