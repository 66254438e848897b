"""The nodes of the registry, as this one hears them, itself too. Pure: `now` is monotonic seconds.

A node that sends no batch for three flushes is silent: perhaps it is dead, perhaps it is cut off from etcd and hears its clients all
the same. So the instances that were heard through it last are suspects, not dead, until they are heard elsewhere or its key in etcd has
ended, with its lease. A node that says goodbye takes nobody with it. To a node that is cut off itself, all others are silent; those that it
hears itself are healthy, and suspects when their lease has run out.

Through whom an instance was heard before this node began it cannot know: `unknown`, which is silent as long as any node is.

This node puts a batch of its own in etcd once a flush. One that comes back proves that all is known here which happened before it was
sent. Not all before it came back: where etcd takes 30 s for it, that is old.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from discovery.store.service import NodeStatus

# -- how old what this node knows is: DNS, HTTP, metrics, warnings and refusals go by this one account

# Batches that may be missing. One may be late for a garbage collection, two for an election of etcd's.
FLUSHES = 3
# Own batches whose echo is awaited; one that comes later than so many others says nothing new.
_MOST_UNDER_WAY = 16


class Sent(NamedTuple):
    """When a batch was sent, by `running` and by the registry's clock."""

    running: float
    at: float


class Staleness:
    """`flush()`: seconds between two batches. `running`: monotonic seconds that go on while the process stands still."""

    def __init__(self, flush: Callable[[], float], running: Callable[[], float] = time.monotonic) -> None:
        self._flush = flush
        self.running = running
        self.known_until = float("-inf")  # by `running`
        self._under_way: dict[float, Sent] = {}  # own batches, by the time that they carry

    def sends(self, carries: float, at: float) -> None:
        """A batch, now. `carries`: what it will be known by. `at`: by the registry's clock."""
        self._under_way[carries] = Sent(self.running(), at)
        if len(self._under_way) > _MOST_UNDER_WAY:
            del self._under_way[next(iter(self._under_way))]

    def came_back(self, carried: float) -> tuple[Sent, float] | None:
        """When it was sent, and for how many seconds nothing was known until then; None when that says nothing new."""
        sent = self._under_way.pop(carried, None)
        if sent is None or sent.running <= self.known_until:
            return None
        before, self.known_until = self.known_until, sent.running
        return sent, sent.running - before

    def read_all(self, started: float) -> None:
        """Everything has been read, from that moment on, by `running`."""
        self.known_until = max(self.known_until, started)

    @property
    def limit(self) -> float:
        """Seconds."""
        return FLUSHES * self._flush()

    @property
    def lag(self) -> float:
        """Seconds, also those in which this process stood still; a million when nothing is known."""
        return min(self.running() - self.known_until, 1e6)

    @property
    def fresh(self) -> bool:
        return self.running() - self.known_until < self.limit

    def seconds(self) -> int:
        """Whole ones, from 1 on; 0 while it is fresh."""
        return 0 if self.fresh else max(1, int(self.lag))


# A lease that ends so many flushes after the latest news has been renewed by nobody: news is late by one, and half a one is for its way.
_KNOWN_FLUSHES = 1.5
# As much, and the flush until it is looked at again.
_UNKNOWN_FLUSHES = 2.5

# Seconds that the key of a node of any version outlasts it: for one whose key nobody has seen end.
_LONGEST_LEASE = 3700.0


class Peer:
    """`last`: when it was heard last. `told`: it has told of all heartbeats until then. `silent_since`: None while it is heard."""

    __slots__ = ("last", "silent_since", "status", "told")

    def __init__(self, node: str, now: float) -> None:
        self.status = NodeStatus(node)
        self.last = self.told = now
        self.silent_since: float | None = None


class Peers:
    """`own`: this node's. `flush`: seconds. Nobody is silent before `begin`: this node does not follow yet."""

    def __init__(self, node: str, flush: float) -> None:
        self.flush = flush
        self.own = NodeStatus(node)
        self.own.until = float("-inf")
        self.unknown = NodeStatus()
        self._peers: dict[str, Peer] = {}
        self._begun_at: float | None = None

    def begin(self, now: float) -> None:
        """All has been read, and this node follows: silence counts from now on, so a long start is no alarm."""
        self._begun_at = now
        self.missed(now)
        for peer in self._peers.values():
            peer.last = now

    def heard_all(self, sent: float) -> None:
        """A batch of this node has come back that was sent then, and all that the others had sent by that time before it."""
        self.own.until = sent + _KNOWN_FLUSHES * self.flush
        self._judge_unknown()

    def missed(self, now: float) -> None:
        """Batches of anybody may be lost to this node: only a whole lease from now on proves that somebody does not beat."""
        for status in (self.own, self.unknown, *(peer.status for peer in self._peers.values())):
            status.since = now

    def heard(self, node: str, now: float) -> NodeStatus:
        """A batch of it has come. Of some that were held up and come together, the first does not tell what the others will."""
        status = self.wrote(node, now)
        peer, news = self._peers[node], _KNOWN_FLUSHES * self.flush
        peer.told = max(now - FLUSHES * self.flush, min(now, peer.told + news))
        status.until = peer.told + news
        return status

    def wrote(self, node: str, now: float) -> NodeStatus:
        """A write of it has come, which tells of no heartbeats."""
        peer = self._peers.get(node)
        if peer is None:
            peer = self._peers[node] = Peer(node, now)
            peer.status.until = now
        peer.last = now
        return peer.status

    def gone(self, node: str) -> bool:
        """It ends in order, or its key has ended with its lease. Whether that changes what is believed."""
        peer = self._peers.pop(node, None)
        if peer is None:
            return False
        changed = peer.status.silent
        peer.status.silent, peer.status.since, peer.status.until = False, float("-inf"), float("inf")
        self._judge_unknown()
        return changed

    def look(self, now: float, fresh: bool) -> list[NodeStatus]:
        """Those that have fallen silent, or have come back, since the last look. `fresh`: this node hears etcd."""
        changed: list[NodeStatus] = []
        if self._begun_at is None:
            return changed
        fresh = fresh or now - self._begun_at < FLUSHES * self.flush
        for node, peer in list(self._peers.items()):
            if fresh and now - max(peer.last, self.own.since) > _LONGEST_LEASE:
                self.gone(node)
                changed.append(peer.status)
                continue
            silent = not fresh or now - peer.last > FLUSHES * self.flush
            if silent is peer.status.silent:
                continue
            peer.status.silent = silent
            peer.silent_since = peer.last if silent else None
            if not silent:
                peer.status.since = now
            changed.append(peer.status)
        self._judge_unknown()
        return changed

    def _judge_unknown(self) -> None:
        """It may have been any of them."""
        statuses = [self.own, *(peer.status for peer in self._peers.values())]
        self.unknown.silent = self.any_silent
        self.unknown.since = max(self.unknown.since, *(status.since for status in statuses))
        oldest = min((peer.told for peer in self._peers.values()), default=float("inf"))
        self.unknown.until = min(self.own.until, oldest + _UNKNOWN_FLUSHES * self.flush)

    def is_silent(self, node: str) -> bool:
        """Or not known at all."""
        peer = self._peers.get(node)
        return peer is None or peer.status.silent

    @property
    def any_silent(self) -> bool:
        """Whether any node is silent."""
        return any(peer.status.silent for peer in self._peers.values())

    @property
    def others(self) -> list[NodeStatus]:
        """One for each node that is waited for, in the order of their names."""
        return [peer.status for _, peer in sorted(self._peers.items())]

    def shown(self, now: float) -> list[dict[str, Any]]:
        """For /stats. `silentForSeconds`: null of one that is not silent."""
        return [
            {
                "node": node,
                "silent": peer.status.silent,
                "lastHeardSeconds": round(now - peer.last, 1),
                "silentForSeconds": None if peer.silent_since is None else round(now - peer.silent_since, 1),
            }
            for node, peer in sorted(self._peers.items())
        ]
