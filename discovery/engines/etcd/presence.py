"""This node among the others: its batches of heartbeats and its leases in etcd, what it makes of the others' batches, and how old what it
knows is.
"""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from discovery.core.event import InstanceEvent
from discovery.core.status import Status
from discovery.engines.etcd.beats import GOODBYE, Heard, age, pack, unpack
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Decision, Layout
from discovery.engines.etcd.messages import Change, EtcdAway, EtcdError, put, with_hint
from discovery.engines.etcd.overrides import Overrides, Submit
from discovery.engines.etcd.peers import Peers, Sent, Staleness
from discovery.store.registry import Registry
from discovery.store.service import NodeStatus
from discovery.system.turns import turns

_log = logging.getLogger("discovery.etcd")

# Seconds of the lease on this node's keys: for so long its silence is held against nobody, and a node that starts must know of it.
NODE_LEASE_SECONDS = 30
# Handles of one turn of the event loop, 1 µs each.
_PER_TURN = 2_000
# Seconds of the leases on tombstones, which last a minute: one lease serves for so long and then another.
_TOMBSTONES_SECONDS = 180
_TOMBSTONES_FOR = 90.0
# Names of services that are shown of a silent node: an operator needs an idea of what is concerned, not a list.
_NAMES = 10


class Suspected(NamedTuple):
    """Who is a suspect here, and by no decision. `services`: the first of them, as they are shown."""

    instances: int
    services: list[str]


NOBODY = Suspected(0, [])


@dataclass(eq=False)
class Presence:
    """`clock`: monotonic seconds, the registry's; `wall`: epoch seconds. `also`: what else is told to the other nodes, on which lease.
    `submit`: has a write decided.
    """

    etcd: Etcd
    layout: Layout
    registry: Registry
    node: str
    clock: Callable[[], float]
    wall: Callable[[], float]
    peers: Peers
    also: Sequence[Callable[[int], Awaitable[None]]]
    submit: Submit

    def __post_init__(self) -> None:
        self._key = self.layout.key("h", self.node)
        self.heard = Heard(self.registry, self.peers.unknown)
        self.staleness = Staleness(lambda: self.peers.flush)
        self.overrides = Overrides(
            self.registry,
            self.heard,
            self.peers.own,
            self.staleness,
            self.clock,
            self.wall,
            lambda: self.away,
            self.submit,
        )
        self.suspected: dict[NodeStatus, Suspected] = {}  # by the node that heard them last, as of the latest look
        self.lease = 0
        self._kept_at = float("-inf")
        self.tombstone_lease = 0
        self._granted_at = float("-inf")  # the tombstones' lease
        self._trouble: str | None = None  # why the latest batch could not be sent
        self._was_fresh = False
        self._fell_silent: set[str] = set()
        self._was_stale = False
        self.registry.stale_seconds = self.staleness.seconds

    @property
    def away(self) -> str | None:
        """Why nothing can be changed here at the moment. None also while etcd elects a leader, which takes a second or two."""
        if self.staleness.fresh:
            return self.etcd.refused
        why = f" ({self._trouble})" if self._trouble else ""
        return f"etcd has not told this node what happens for {self.staleness.seconds()} s{why}"

    def begin(self, started: float) -> None:
        """All that is in etcd has been read, from that moment on; batches before it may be lost to this node."""
        self.staleness.read_all(started)
        self.peers.begin(self.clock())

    # -- what it warns of

    def cut_off(self, not_ready: str | None) -> Mapping[str, str]:
        """`not_ready`: why it takes no writes."""
        writes = {} if not_ready is None else {"writes": f"this node takes no writes: {not_ready}"}
        was_stale, self._was_stale = self._was_stale, False
        if not (seconds := self.staleness.seconds()) and not was_stale:
            return writes
        how = f"is {seconds} s old" if seconds else "was old for a moment"
        return writes | {"reads": f"what this node answers {how}: it does not hear etcd; look at its way there"}

    def silent_nodes(self) -> Mapping[str, str]:
        """While this node is cut off itself, all others are silent to it: that is told already."""
        fell, self._fell_silent = self._fell_silent, set()
        if not self.staleness.fresh:
            return {}
        peers = {peer["node"]: peer["silentForSeconds"] for peer in self.peers.shown(self.clock())}
        how = {
            node: "was silent for a moment" if seconds is None else f"is silent for {seconds:.0f} s"
            for node, seconds in peers.items()
            if seconds is not None or node in fell
        }
        return {
            node: f"the node {node} {text}: what it heard last is suspect until it beats elsewhere; is its process dead, or cut off "
            "from etcd?"
            for node, text in how.items()
        }

    # -- what it tells

    async def tell(self) -> None:
        """For ever: a batch a flush."""
        while True:
            started = self.clock()
            try:
                await self.renew_leases()
                await self.flush()
                self._trouble = None
                for tell in self.also:
                    await tell(self.lease)
            except (EtcdAway, EtcdError) as error:
                self._kept_at = float("-inf")  # the lease may be over
                self._trouble = with_hint(str(error)) if isinstance(error, EtcdError) else str(error)
                _log.debug(
                    "heartbeats wait for the next batch: %(reason)s", {"event": "etcd.beats_wait", "reason": str(error)}
                )
            await asyncio.sleep(max(0.05, self.peers.flush - (self.clock() - started)))

    async def flush(self) -> None:
        heard = self.heard.take()
        try:
            batch = await self._packed(heard)
            await self.etcd.txn([], [put(self._key, batch, self.lease)])
        except (EtcdAway, EtcdError):
            self.heard.give_back(heard)
            raise

    async def _packed(self, heard: Mapping[int, float]) -> bytes:
        """In pieces: after an outage it may be about all instances."""
        by_age: dict[int, list[int]] = {}
        for number, (handle, at) in enumerate(heard.items(), 1):
            by_age.setdefault(age(self.clock() - at), []).append(handle)
            if number % _PER_TURN == 0:
                await turns().over()
        sent = self.wall()
        self.staleness.sends(sent, self.clock())
        return pack(sent, by_age)

    async def renew_leases(self) -> None:
        now = self.clock()
        if now - self._kept_at > NODE_LEASE_SECONDS / 6:
            if not self.lease or not await self.etcd.keep_alive(self.lease):
                self.lease = await self.etcd.grant(NODE_LEASE_SECONDS)
            self._kept_at = now
        if now - self._granted_at > _TOMBSTONES_FOR:
            self.tombstone_lease, self._granted_at = await self.etcd.grant(_TOMBSTONES_SECONDS), now

    async def say_goodbye(self) -> None:
        """So that nobody waits for this node, or takes its instances for suspects."""
        await self.renew_leases()
        await self.flush()
        await self.etcd.txn([], [put(self._key, GOODBYE, self.lease)])
        await self.etcd.revoke(self.lease)

    # -- what it hears

    def read_again(self) -> None:
        """All that is in etcd. Of each node there is only the latest batch: who was heard in those before it, nobody knows here."""
        self.peers.missed(self.clock())

    async def look(self) -> None:
        """For ever: which nodes are silent, and who is a suspect for that."""
        while True:
            for _ in range(2):
                self._look()
                await asyncio.sleep(self.peers.flush / 2)
            self.suspected = await suspected(self.registry, self.clock)

    def _look(self) -> None:
        fresh = self.staleness.fresh
        changed = self.peers.look(self.clock(), fresh)
        self._fell_silent |= {status.node for status in changed if status.silent}
        self._was_stale |= self._was_fresh and not fresh
        self._was_fresh = fresh
        if fresh:
            self.overrides.settle()
        if changed:
            self.registry.staleness_changed()
        recovers = self.clock() - self.peers.own.since < self.registry.lease_ttl + self.registry.settings.grace
        self.registry.has_own_statuses = not fresh or recovers or self.peers.any_silent or len(self.overrides) > 0

    def on_decision(self, decision: Decision) -> None:
        """As the watch brings it: whoever registers was heard by the node that wrote it, and may be heard only there from now on."""
        seen = [
            event.instance.id for event in decision.commit.events if isinstance(event, InstanceEvent) and event.renews
        ]
        if not seen or not decision.node:
            return
        own = decision.node == self.node
        through = self.peers.own if own else self.peers.wrote(decision.node, self.clock())
        for id in seen:
            if (entry := self.registry.find(id)) is not None:
                entry.through = through

    def on_batch(self, node: str, change: Change) -> None:
        """As the watch brings it. ValueError when it cannot be read."""
        now = self.clock()
        if not change.value:  # a goodbye, or the key has ended with its lease
            if node != self.node and self.peers.gone(node):
                self._log_gone(node)
            return
        sent, handles = unpack(change.value)
        if node != self.node:
            self._renew(handles, self.peers.heard(node, now), now, 0.0)
        elif (echo := self.staleness.came_back(sent)) is not None:
            self._on_echo(*echo, now)

    def _log_gone(self, node: str) -> None:
        _log.warning(
            "the node %(node)s is gone: its instances are judged by their leases", {"event": "peer.gone", "node": node}
        )
        self.registry.staleness_changed()

    def _on_echo(self, sent: Sent, unknown: float, now: float) -> None:
        """A batch of this node has come back, and before it nothing was known for `unknown` seconds."""
        if unknown > self.staleness.limit:
            self.peers.missed(now)  # batches of the others may be lost, or are applied still
        self.peers.heard_all(sent.at)
        if not self._was_fresh:
            self._look()

    def _renew(self, handles: array[int], through: NodeStatus, now: float, ago: float) -> None:
        """A piece of the batch a turn of the event loop: after an outage one may be about all instances."""
        ago, changed = self.heard.renew(handles[:_PER_TURN], through, now, ago)
        if changed:
            self.registry.staleness_changed()
        if len(handles) > _PER_TURN:
            asyncio.get_running_loop().call_soon(self._renew, handles[_PER_TURN:], through, now, ago)


async def suspected(registry: Registry, clock: Callable[[], float]) -> dict[NodeStatus, Suspected]:
    """By the node that heard them last: who is a suspect here though nobody decided so, as it may beat where this node hears nothing."""
    if not registry.has_own_statuses:
        return {}
    numbers: dict[NodeStatus, int] = {}
    names: dict[NodeStatus, dict[str, None]] = {}
    for entries in registry.in_parts():
        now = clock()
        for entry in entries:
            through = entry.through
            is_certain = entry.lease.alive(now) and not through.silent
            if is_certain or entry.status is Status.SUSPECT or not entry.suspect(now):
                continue
            numbers[through] = numbers.get(through, 0) + 1
            of = names.setdefault(through, {})
            if len(of) < _NAMES:
                of[entry.instance.spec.name] = None
        await turns().over()
    return {through: Suspected(number, list(names[through])) for through, number in numbers.items()}
