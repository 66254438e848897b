"""This node among the others: its batches of heartbeats and its leases in etcd, and what it makes of the others' batches."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence

from discovery.core.event import RESTORE, Commit, InstanceEvent
from discovery.core.log_fields import fields
from discovery.engines.etcd.beats import GOODBYE, Heard, pack, unpack
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.held import Held, count_held
from discovery.engines.etcd.layout import Decision, Layout
from discovery.engines.etcd.messages import Change, EtcdAway, EtcdError, put
from discovery.engines.etcd.peers import FLUSHES, Peers
from discovery.store.node_status import DIRECT, NodeStatus
from discovery.store.registry import Registry
from discovery.store.service import Entry

_log = logging.getLogger("discovery.etcd")

# Seconds that the lease on this node's keys outlasts `hold`: while its silence counts, a node that starts must know of it.
NODE_LEASE_SECONDS = 30
# Own batches whose echo is awaited; one that comes later than so many others says nothing new.
_MOST_UNDER_WAY = 16
# Handles of one turn of the event loop, 1 µs each.
_PER_TURN = 2_000
# Seconds of the leases on tombstones, which last a minute: one lease serves for so long and then another.
_TOMBSTONES_SECONDS = 180
_TOMBSTONES_FOR = 90.0


class Presence:
    """`clock`: monotonic seconds, the registry's; `wall`: epoch seconds. `also`: what else is told to the other nodes, on which lease.
    `running`: monotonic seconds that go on while the process stands still.
    """

    def __init__(
        self,
        etcd: Etcd,
        layout: Layout,
        registry: Registry,
        node: str,
        clock: Callable[[], float],
        wall: Callable[[], float],
        peers: Peers,
        also: Sequence[Callable[[int], Awaitable[None]]],
        running: Callable[[], float] = time.monotonic,
    ) -> None:
        self._etcd = etcd
        self._registry = registry
        self._node = node
        self._key = layout.key("h", node)
        self._clock = clock
        self._wall = wall
        self._peers = peers
        self._also = also
        self.heard = Heard(registry)
        self.held: dict[NodeStatus, Held] = {}  # by silent node, as of the latest look
        self.lease = 0
        self._lease_seconds = 0
        self.tombstone_lease = 0
        self._granted_at = float("-inf")  # the tombstones' lease
        self._running = running
        self._under_way: dict[float, float] = {}  # own batches: when they were sent, by `wall` and by `running`
        self._known_until = float("-inf")  # when the batch was sent that came back last, by `running`

    @property
    def fresh(self) -> bool:
        """A batch that this node has sent lately has come back: it knows what happens elsewhere."""
        return self.lag < FLUSHES * self._peers.flush

    @property
    def lag(self) -> float:
        """Seconds since that batch was sent, also those in which this process stood still; a million when there was none."""
        return min(self._running() - self._known_until, 1e6)

    async def tell(self) -> None:
        """For ever: a batch a flush, and a look at the other nodes."""
        while True:
            started = self._clock()
            try:
                await self.renew_leases()
                await self.flush()
                for tell in self._also:
                    await tell(self.lease)
            except (EtcdAway, EtcdError) as error:
                _log.debug(
                    "heartbeats wait for the next batch: %s", error, extra=fields("etcd.beats_wait", reason=str(error))
                )
            self._look()
            self.held = await count_held(self._registry, self._peers)
            await asyncio.sleep(max(0.05, self._peers.flush - (self._clock() - started)))

    async def flush(self) -> None:
        handles, sent = self.heard.take(), self._wall()
        self._under_way[sent] = self._running()
        if len(self._under_way) > _MOST_UNDER_WAY:
            del self._under_way[next(iter(self._under_way))]
        try:
            await self._etcd.txn([], [put(self._key, pack(sent, handles), self.lease)])
        except (EtcdAway, EtcdError):
            self.heard.give_back(handles)
            raise

    async def renew_leases(self) -> None:
        now = self._clock()
        seconds = NODE_LEASE_SECONDS + math.ceil(self._peers.hold)
        if not self.lease or seconds > self._lease_seconds or not await self._etcd.keep_alive(self.lease):
            self.lease, self._lease_seconds = await self._etcd.grant(seconds), seconds
        if now - self._granted_at > _TOMBSTONES_FOR:
            self.tombstone_lease, self._granted_at = await self._etcd.grant(_TOMBSTONES_SECONDS), now

    async def say_goodbye(self) -> None:
        """So that nobody waits for this node, or takes its instances for suspects."""
        await self.renew_leases()
        await self.flush()
        await self._etcd.txn([], [put(self._key, GOODBYE, self.lease)])
        await self._etcd.revoke(self.lease)

    def _look(self) -> None:
        changed = self._peers.look(self._clock())
        for status in changed:
            what = "is silent: its instances are suspects" if status.silent else "is no longer waited for"
            event = "silent" if status.silent else "given_up"
            _log.warning("the node %s %s", status.node, what, extra=fields(f"peer.{event}", node=status.node))
        if changed:
            self._staleness_changed()

    def _staleness_changed(self) -> None:
        self._registry.in_doubt = self._peers.any_silent
        self._registry.staleness_changed()

    def follow_commit(self, commit: Commit) -> None:
        """Of whoever is new nobody knows yet through whom it is heard; `on_decision` tells."""
        self.heard.follow(commit)
        for event in commit.events:
            if isinstance(event, InstanceEvent) and (event.before is None or commit.action == RESTORE):
                entry = self._registry.find(event.instance.id)
                if entry is not None:
                    entry.through = self._peers.unknown

    def beat(self, entry: Entry) -> None:
        """This node has heard it."""
        self.heard.note(entry.instance)
        entry.lease.renew(self._clock())
        entry.through = DIRECT

    def on_decision(self, decision: Decision) -> None:
        """As the watch brings it: whoever registers was heard by the node that wrote it, and may be heard only there from now on."""
        seen = [
            event.instance.id for event in decision.commit.events if isinstance(event, InstanceEvent) and event.renews
        ]
        if not seen or not decision.node:
            return
        through = DIRECT if decision.node == self._node else self._peers.heard(decision.node, self._clock())
        for id in seen:
            if (entry := self._registry.find(id)) is not None:
                entry.through = through

    def on_batch(self, node: str, change: Change) -> None:
        """As the watch brings it. ValueError when it cannot be read."""
        if change.value is None:
            return
        now = self._clock()
        if change.value == GOODBYE:
            if self._peers.goodbye(node):
                self._staleness_changed()
            return
        sent, handles = unpack(change.value)
        if node != self._node:
            self._renew(handles, self._peers.heard(node, now), now)
        elif sent in self._under_way:
            self._known_until = max(self._known_until, self._under_way.pop(sent))
            self._peers.begin(now)

    def _renew(self, handles: array[int], through: NodeStatus, at: float) -> None:
        """A piece of the batch a turn of the event loop: after an outage one may be about all instances."""
        self.heard.renew(handles[:_PER_TURN], through, at)
        if len(handles) > _PER_TURN:
            asyncio.get_running_loop().call_soon(self._renew, handles[_PER_TURN:], through, at)
