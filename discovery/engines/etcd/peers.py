"""The other nodes, as this one hears them. Pure: `now` is monotonic seconds.

A node that sends no batch for three flushes is silent: perhaps it is dead, perhaps it is cut off from etcd and hears its clients all
the same. So the instances that were heard through it last are suspects, not dead, until it has been back for a whole window, at
most for `hold` seconds. A node that says goodbye takes nobody with it. To a node that is cut off itself, all others are silent.

Through whom an instance was heard before this node began, or while it did not follow, it cannot know: `unknown`, which is silent as long as
any node is.
"""

from __future__ import annotations

from typing import Any

from discovery.store.node_status import NodeStatus

# Batches that may be missing. One may be late for a garbage collection, two for an election of etcd's.
FLUSHES = 3


class Peer:
    """`last`: when its latest batch came. `since`: of its present or latest silence. `back`: when that ended; None while it lasts."""

    def __init__(self, node: str, now: float) -> None:
        self.status = NodeStatus(node)
        self.last = now
        self.since: float | None = None
        self.back: float | None = None
        self.gone = False


class Peers:
    """`flush`, `hold`, `window`: seconds. Nobody is silent before `begin`: this node does not follow yet."""

    def __init__(self, flush: float, hold: float, window: float) -> None:
        self.flush = flush
        self.hold = hold
        self.window = window
        self.unknown = NodeStatus()
        self._peers: dict[str, Peer] = {}
        self._begun = False

    def begin(self, now: float) -> None:
        """This node hears itself for the first time, so it would hear others: silence counts from now on."""
        if not self._begun:
            self._begun = True
            for peer in self._peers.values():
                peer.last = now

    def heard(self, node: str, now: float) -> NodeStatus:
        """A batch of it has come."""
        peer = self._peers.get(node)
        if peer is None or peer.gone:
            peer = self._peers[node] = Peer(node, now)
        if peer.since is not None and peer.back is None:
            peer.back = now
        peer.last = now
        return peer.status

    def goodbye(self, node: str) -> bool:
        """It ends in order. Whether that changes what is believed."""
        peer = self._peers.pop(node, None)
        changed = peer is not None and self._set(peer, False)
        self.unknown.silent = self.any_silent
        return changed

    def look(self, now: float) -> list[NodeStatus]:
        """Those that have fallen silent, or have come back, since the last look."""
        changed: list[NodeStatus] = []
        if not self._begun:
            return changed
        for node, peer in list(self._peers.items()):
            if peer.back is not None and now - peer.back >= self.window:
                peer.since = peer.back = None
            if now - peer.last > FLUSHES * self.flush:
                if peer.since is None or peer.back is not None:  # anew, also within the window after it came back
                    peer.since, peer.back = peer.last, None
                if now - peer.since > self.hold:
                    del self._peers[node]
            silent = peer.since is not None and now - peer.since <= self.hold
            if self._set(peer, silent):
                changed.append(peer.status)
        self.unknown.silent = self.any_silent
        return changed

    def _set(self, peer: Peer, silent: bool) -> bool:
        changed = peer.status.silent is not silent
        peer.status.silent = silent
        return changed

    def is_silent(self, node: str) -> bool:
        """Or not known at all."""
        peer = self._peers.get(node)
        return peer is None or peer.status.silent

    def status_of(self, node: str) -> NodeStatus | None:
        peer = self._peers.get(node)
        return None if peer is None else peer.status

    @property
    def any_silent(self) -> bool:
        """Whether any node is silent."""
        return any(peer.status.silent for peer in self._peers.values())

    @property
    def statuses(self) -> list[NodeStatus]:
        """One for each node that is waited for."""
        return [peer.status for peer in self._peers.values()]

    def shown(self, now: float) -> list[dict[str, Any]]:
        """For /stats. `silentForSeconds`, `holdsForSeconds`: null of one that is not silent."""
        return [
            {
                "node": node,
                "silent": peer.status.silent,
                "lastHeardSeconds": round(now - peer.last, 1),
                "silentForSeconds": None if peer.since is None else round(now - peer.since, 1),
                "holdsForSeconds": self._holds_for(peer, now),
            }
            for node, peer in sorted(self._peers.items())
        ]

    def _holds_for(self, peer: Peer, now: float) -> float | None:
        """How much longer its instances are held, if nothing else happens."""
        if peer.since is None or not peer.status.silent:
            return None
        ends = peer.since + self.hold
        if peer.back is not None:
            ends = min(ends, peer.back + self.window)
        return round(max(0.0, ends - now), 1)
