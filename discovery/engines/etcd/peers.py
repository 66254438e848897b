"""The other nodes, as this one hears them. Pure: `now` is monotonic seconds.

A node that sends no batch for three flushes is silent: perhaps it is dead, perhaps it is cut off from etcd and hears its clients all
the same. So the instances that were heard through it last are suspects, not dead, until it has been back for a whole window, at
most for `hold` seconds. A node that says goodbye takes nobody with it. To a node that is cut off itself, all others are silent.
"""

from __future__ import annotations

from discovery.store.hearing import Hearing

# Batches that may be missing. One may be late for a garbage collection, two for an election of etcd's.
FLUSHES = 3


class Peer:
    """`last`: when its latest batch came. `since`: of its present or latest silence. `back`: when that ended; None while it lasts."""

    def __init__(self, node: str, now: float) -> None:
        self.hearing = Hearing(node)
        self.last = now
        self.since: float | None = None
        self.back: float | None = None
        self.gone = False


class Peers:
    """`flush`, `hold`, `window`: seconds."""

    def __init__(self, flush: float, hold: float, window: float) -> None:
        self.flush = flush
        self.hold = hold
        self.window = window
        self._peers: dict[str, Peer] = {}

    def heard(self, node: str, now: float) -> Hearing:
        """A batch of it has come."""
        peer = self._peers.get(node)
        if peer is None or peer.gone:
            peer = self._peers[node] = Peer(node, now)
        if peer.since is not None and peer.back is None:
            peer.back = now
        peer.last = now
        return peer.hearing

    def goodbye(self, node: str) -> bool:
        """It ends in order. Whether that changes what is believed."""
        peer = self._peers.pop(node, None)
        return peer is not None and self._set(peer, False)

    def look(self, now: float) -> list[Hearing]:
        """Those that have fallen silent, or have come back, since the last look."""
        changed = []
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
                changed.append(peer.hearing)
        return changed

    def _set(self, peer: Peer, silent: bool) -> bool:
        changed = peer.hearing.silent is not silent
        peer.hearing.silent = silent
        return changed

    @property
    def hearings(self) -> list[Hearing]:
        """One for each node that is waited for."""
        return [peer.hearing for peer in self._peers.values()]

    def shown(self, now: float) -> list[dict[str, object]]:
        """For /stats."""
        return [
            {"node": node, "silent": peer.hearing.silent, "lastHeardSeconds": round(now - peer.last, 1)}
            for node, peer in sorted(self._peers.items())
        ]
