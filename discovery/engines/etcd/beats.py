"""Heartbeats between nodes. A node gathers whom it has heard and, once a flush, puts all of them under one key of its own: a few octets
each, where a lease each would cost etcd sixty times as much and see only the path from that node to etcd.

A batch: when it was sent (float64, the sender's wall clock, for people) and N words (uint64), big-endian. A word is a handle, the 64-bit
BLAKE2b of `service/id`, so every node can work it out; or how long ago those behind it were heard, which older nodes take for the handle of
nobody. An empty value says goodbye: the node ends in order.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Mapping
from hashlib import blake2b

from discovery.core.check import TTL
from discovery.core.event import RESTORE, Commit, InstanceEvent
from discovery.core.instance import Instance
from discovery.core.status import Status
from discovery.store.errors import IdTaken
from discovery.store.registry import Registry
from discovery.store.service import Entry, NodeStatus

GOODBYE = b""
_HEAD = struct.Struct(">d")
# Of a word that is an age: its upper 48 bits. The lower 16 are tenths of a second: enough for the longest lease.
_AGE, _AGE_BITS = 0xA6E0_0B0E_A75F, 16
_MAX_AGE = (1 << _AGE_BITS) - 1
_TENTHS = 10


def handle_of(instance: Instance, check: str | None = None) -> int:
    """`check`: of a report of that `ttl` check."""
    text = f"{instance.spec.key.service}/{instance.id}{'' if check is None else f'/{check}'}".encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


def pack(sent: float, by_age: Mapping[int, Iterable[int]]) -> bytes:
    """`by_age`: handles, by tenths of a second since they were heard."""
    found = array("Q")
    for age, handles in sorted(by_age.items()):
        if age:
            found.append(_AGE << _AGE_BITS | min(age, _MAX_AGE))
        found.extend(handles)
    if sys.byteorder == "little":
        found.byteswap()
    return _HEAD.pack(sent) + found.tobytes()


def age(seconds: float) -> int:
    """As `pack` wants it."""
    return max(0, int(seconds * _TENTHS))


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
    """Whom this node has heard since its last batch, and whom a batch of another is about. `follow` is a follower of commits. `unknown`:
    stands for the node that has heard whoever is new, until that is told.
    """

    def __init__(self, registry: Registry, unknown: NodeStatus) -> None:
        self._registry = registry
        self._unknown = unknown
        self._entries: dict[int, Entry] = {}  # by handle
        self._checks: dict[int, tuple[Entry, str]] = {}  # by handles of reports
        self._since: dict[int, float] = {}  # when, by handle

    def __len__(self) -> int:
        return len(self._since)

    def follow(self, commit: Commit) -> None:
        for event in commit.events:
            if not isinstance(event, InstanceEvent):
                continue
            before, after = event.before, event.after
            if before is not None and before.spec.checks and (after is None or after.spec is not before.spec):
                for check in before.spec.checks:
                    self._checks.pop(handle_of(before, check.id), None)
            if after is None:
                self._entries.pop(handle_of(event.instance), None)
                continue
            is_new = before is None or commit.action == RESTORE
            if not is_new and (not after.spec.checks or after.spec is event.instance.spec is (before and before.spec)):
                continue
            entry = self._registry.find(after.id)
            if entry is None:  # a later event of this commit has removed it
                continue
            if is_new:
                entry.through = self._unknown
                self._entries[handle_of(after)] = entry
            for check in after.spec.checks:
                if check.kind == TTL:
                    self._checks[handle_of(after, check.id)] = entry, check.id

    def collides(self, instance: Instance) -> bool:
        """Its handle is that of another one, or an age: of 10^6 instances, once in 40 million registries."""
        handle = handle_of(instance)
        entry = self._entries.get(handle)
        return handle >> _AGE_BITS == _AGE or (entry is not None and entry.instance.id != instance.id)

    def refusal(self, commit: Commit) -> IdTaken | None:
        """Why it must not be: it registers one that `collides`."""
        new = (event for event in commit.events if isinstance(event, InstanceEvent) and event.before is None)
        return next((IdTaken(each.instance.id) for each in new if self.collides(each.instance)), None)

    def note(self, instance: Instance, now: float, check: str | None = None) -> None:
        self._since[handle_of(instance, check)] = now

    def take(self) -> dict[int, float]:
        """Those of the next batch, and when each was heard here last. `give_back` what could not be sent."""
        taken, self._since = self._since, {}
        return taken

    def give_back(self, taken: dict[int, float]) -> None:
        self._since = taken | self._since

    def renew(self, words: Iterable[int], through: NodeStatus, now: float, age: float) -> tuple[float, bool]:
        """What another node has heard, so many seconds ago. The age of those that follow, and whether any is no suspect any more. 0.5 µs
        each: 20,000 and more come each second.
        """
        changed, find, at = False, self._entries.get, now - age
        for word in words:
            entry = find(word)
            if entry is None:
                if word >> _AGE_BITS == _AGE:
                    age = (word & _MAX_AGE) / _TENTHS
                    at = now - age
                elif (report := self._checks.get(word)) is not None:
                    report[0].report(report[1], at)
                continue
            lease = entry.lease  # as Lease.renew, without the call; and what was heard here since is newer
            gap = at - lease.renewed_at
            if gap > 0:
                if entry.through is not through or entry.override is not None or gap >= lease.term.seconds:
                    changed = changed or entry.status_at(now) is not Status.HEALTHY
                    entry.override = None
                    entry.through = through
                lease.renewed_at = at
                if lease.longest_gap < gap < lease.term.seconds:  # else it was away, or others were
                    lease.longest_gap = gap
        return age, changed
