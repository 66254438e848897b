"""Heartbeats between nodes. A node gathers whom it has heard and, once a flush, puts all of them under one key of its own: a few octets
each, where a lease each would cost etcd sixty times as much and see only the path from that node to etcd.

A batch: when it was sent (float64, the sender's wall clock, for people) and N handles (uint64), big-endian. A handle is the
64-bit BLAKE2b of `service/id`, so every node can work it out. An empty value says goodbye: the node ends in order.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable
from hashlib import blake2b

from discovery.core.event import RESTORE, Commit, InstanceEvent
from discovery.core.instance import Instance
from discovery.store.node_status import NodeStatus
from discovery.store.registry import Registry
from discovery.store.service import Entry

GOODBYE = b""
_HEAD = struct.Struct(">d")


def handle_of(instance: Instance) -> int:
    text = f"{instance.spec.key.service}/{instance.id}".encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


def pack(sent: float, handles: Iterable[int]) -> bytes:
    found = array("Q", handles)
    if sys.byteorder == "little":
        found.byteswap()
    return _HEAD.pack(sent) + found.tobytes()


def unpack(batch: bytes) -> tuple[float, array[int]]:
    """ValueError when it is none."""
    if len(batch) < _HEAD.size or len(batch) % 8:
        raise ValueError(f"a batch of heartbeats has {len(batch)} octets")
    handles = array("Q")
    handles.frombytes(batch[_HEAD.size :])
    if sys.byteorder == "little":
        handles.byteswap()
    return _HEAD.unpack_from(batch)[0], handles


class Heard:
    """Whom this node has heard since its last batch, and whom a batch of another is about. `follow` is a follower of commits."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._entries: dict[int, Entry] = {}  # by handle
        self._since: set[int] = set()

    def __len__(self) -> int:
        return len(self._since)

    def follow(self, commit: Commit) -> None:
        for event in commit.events:
            if not isinstance(event, InstanceEvent):
                continue
            if event.after is None:
                self._entries.pop(handle_of(event.instance), None)
            elif event.before is None or commit.action == RESTORE:
                entry = self._registry.find(event.after.id)
                if entry is not None:  # else a later event of this commit has removed it
                    self._entries[handle_of(event.after)] = entry

    def collides(self, instance: Instance) -> bool:
        """Its handle is that of another one: of 10^6 instances, once in 40 million registries."""
        entry = self._entries.get(handle_of(instance))
        return entry is not None and entry.instance.id != instance.id

    def note(self, instance: Instance) -> None:
        self._since.add(handle_of(instance))

    def take(self) -> set[int]:
        """Those of the next batch. `give_back` what could not be sent."""
        taken, self._since = self._since, set()
        return taken

    def give_back(self, handles: set[int]) -> None:
        self._since |= handles

    def renew(self, handles: Iterable[int], through: NodeStatus, at: float) -> int:
        """What another node has heard. How many of them are not known here. 0.5 µs each: 20,000 and more come each second."""
        unknown, find = 0, self._entries.get
        for handle in handles:
            entry = find(handle)
            if entry is None:
                unknown += 1
                continue
            lease = entry.lease  # as Lease.renew, without the call; and what was heard here since is newer
            gap = at - lease.renewed_at
            if gap > 0:
                lease.renewed_at = at
                if gap > lease.longest_gap:
                    lease.longest_gap = gap
                entry.through = through
        return unknown
