"""What stands in etcd, as values: all of it at one revision, page by page, or one key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from discovery.core import codec, exact_json
from discovery.core.checked import moment
from discovery.core.event import ValueEvent
from discovery.core.instance import Instance, Key
from discovery.core.kinds import KINDS, Revocation, TokenEvent, begun, of_letter
from discovery.engines.etcd import layout as keys
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.messages import Change, end_of
from discovery.engines.etcd.unreadable import Unreadable, UnreadableKeys
from discovery.store.values import Snapshot
from discovery.system.turns import turns

# Keys of one page of a range read: 1 ms for etcd, and 28 µs each here.
_PAGE = 250

# Keys of these kinds are put by what moves the index; `conf` for an etcd in which nothing has happened, or that has gone back.
_CHANGES = ("v", "commit", "conf")

# Of decisions alone.
_OF_WRITES = frozenset({"v", "id", "commit"})

# A token whose revocation cannot be read is revoked, all the same.
REVOKED = Revocation("", 0.0, "")

# Of keys that are no part of the registry's state: their path below the prefix and the change (value None: gone).
OnKey = Callable[[Sequence[str], Change], None]


class Found:
    """What was read, at `revision`. `changed`: the revision of the latest key that tells of a change; the revision itself grows with each
    batch of heartbeats, and so from one node's reading to the next one's. `etcd`: the id of its cluster of members.
    `unreadable`: keys whose values cannot be read; `passed_over`: keys of instances whose id or address another one has.
    """

    def __init__(self) -> None:
        self.revision = self.changed = 0
        self.etcd = ""
        self.instances: dict[str, tuple[int, Instance]] = {}  # with the revision of its registration
        self.values: dict[type[ValueEvent[Any, Any]], dict[Any, Any]] = {
            each: {} for each in KINDS.values() if each.kind.letter
        }
        self.tombstones: list[tuple[Key, float]] = []
        self.revisions: dict[bytes, int] = {}  # of the keys that decisions compare
        self.unreadable: dict[bytes, Unreadable] = {}
        self.passed_over: dict[bytes, Unreadable] = {}
        self.others: set[bytes] = set()  # keys that are no part of the state
        self.batches: list[Change] = []  # of them: heartbeats, which `Reader.hear` tells of
        self._keys: dict[str, bytes] = {}  # of instances
        self._at: dict[Key, str] = {}  # who has which address

    def add(self, key: bytes, address: Key, instance: Instance, created: int) -> None:
        """By hand anything can be put into etcd, and the table has room for one instance under an id, and at an address: the elder."""
        if instance.id in self.instances or address in self._at:
            self._exchange(key, address, instance, created)
        else:
            self.instances[instance.id] = created, instance
            self._keys[instance.id], self._at[address] = key, instance.id

    def _exchange(self, key: bytes, address: Key, instance: Instance, created: int) -> None:
        rivals = {id for id in (instance.id, self._at.get(address)) if id in self.instances}
        for id in rivals:
            if self.instances[id][0] <= created:
                self.passed_over[key] = rivalry(id, instance.id)
                return
        for id in rivals:
            _, rival = self.instances.pop(id)
            del self._at[rival.spec.key]
            self.passed_over[self._keys[id]] = rivalry(instance.id, id)
        self.add(key, address, instance, created)

    def at(self, address: Key) -> Instance | None:
        """Who has it."""
        id = self._at.get(address)
        return None if id is None else self.instances[id][1]

    def bury(self, found: Sequence[Sequence[object]]) -> None:
        """ValueError."""
        for service, ip, port, until in found:
            self.tombstones.append((Key.of(service, ip, port), moment(until)))

    def snapshot(self, index: int) -> Snapshot:
        """Instances in the order of registration."""
        ordered = sorted(self.instances.values(), key=lambda each: each[0])
        instances = tuple(instance for _, instance in ordered)
        values = tuple(event for of, found in self.values.items() for event in begun(of, found))
        return Snapshot(index, instances, values, tuple(self.tombstones))


async def _range(etcd: Etcd, start: bytes, found: Found, end: bytes = b"") -> AsyncIterator[Change]:
    """All at the revision of `found`. `end`: of all that begins as `start` does, where it is empty."""
    end, more = end or end_of(start), True
    while more:
        page = await etcd.range(start, end, revision=found.revision, limit=_PAGE)
        found.revision = found.revision or page.revision
        found.etcd = page.etcd
        for each in page.found:
            await turns().over()
            yield each
        more = page.more and bool(page.found)
        if more:
            start = page.found[-1].key + b"\0"


def rivalry(stays: str, goes: str) -> Unreadable:
    """Only the id of who goes is of no use to others now."""
    if stays == goes:
        return Unreadable(f"the id {stays} stands in another service, too")
    return Unreadable(f"{stays} has its address", goes)


class Reader:
    """`on_key`: told of all keys that are no part of the state; ValueError when one
    cannot be read.
    """

    def __init__(self, layout: Layout, on_key: OnKey) -> None:
        self._layout = layout
        self._on_key = on_key
        self._others: set[bytes] = set()  # what `on_key` was told of, and is there
        self.unreadable = UnreadableKeys()

    async def read_all(self, etcd: Etcd, *, is_comparison: bool = False) -> Found:
        """EtcdAway, EtcdError. `is_comparison`: of the state alone, as the watch may be further; else `on_key` is told, too, of all but
        batches: also of keys that are there no longer, since this node may not have followed when they went.
        """
        found = Found()
        async for each in _range(etcd, self._layout.prefix, found):
            parts = self._layout.parts(each.key)
            if keys.is_state(parts[0]) or parts[0] in _CHANGES:
                found.changed = max(found.changed, each.mod_revision)
            if parts[0] in keys.COMPARED:
                found.revisions[each.key] = each.mod_revision
            if keys.is_state(parts[0]):
                self.read(found, parts, each)
            elif parts[0] not in _OF_WRITES and not is_comparison:
                found.others.add(each.key)
                if parts[0] == "h":
                    found.batches.append(each)
                else:
                    self.other(parts, each)
        if not is_comparison:
            for key in self._others - found.others:
                self.other(self._layout.parts(key), Change(key, None, 0, found.revision))
            self.unreadable.keep(found.others | found.unreadable.keys() | found.passed_over.keys())
        return found

    async def read_service(self, etcd: Etcd, service: str) -> Found:
        """What there is of one alone, its version included."""
        found = Found()
        for letter in keys.letters():
            one, below = self._layout.key(letter, service), self._layout.key(letter, service, "")
            for start, end in ((one, one + b"\0"), (below, end_of(below))):
                async for each in _range(etcd, start, found, end):
                    found.revisions[each.key] = each.mod_revision
                    if letter != "v":
                        self.read(found, self._layout.parts(each.key), each)
        return found

    def hear(self, found: Found) -> None:
        """The batches that were read, by whoever has applied the rest."""
        for change in found.batches:
            self.other(self._layout.parts(change.key), change)

    def other(self, parts: Sequence[str], change: Change) -> None:
        """One key that is no part of the state."""
        if change.value is None:
            self._others.discard(change.key)
        else:
            self._others.add(change.key)
        try:
            with codec.OfShape("value of this key"):
                self._on_key(parts, change)
        except ValueError as error:
            self.unreadable.note(change.key, Unreadable(str(error)))
        else:
            self.unreadable.forget(change.key)

    def read(self, found: Found, parts: Sequence[str], each: Change) -> None:
        """One key of the state."""
        try:
            with codec.OfShape("value of this key"):
                self._read(found, parts, each)
        except ValueError as error:
            found.unreadable[each.key] = Unreadable.of(parts, each.octets, error)

    def _read(self, found: Found, parts: Sequence[str], each: Change) -> None:
        match parts:
            case ["i", service, id]:
                shown = exact_json.loads(each.octets)
                instance = codec.instance(shown)
                address = instance.spec.key
                if instance.id != id or address.service != service:
                    raise ValueError("its id or its service is not that of its key")
                found.add(each.key, address, instance, each.create_revision)
                self._layout.unknown.note(shown)
            case ["t", _]:
                found.bury(exact_json.loads(each.octets))
            case [letter, *path] if (of := of_letter(letter)) is not None:
                key = of.kind.keys.of_path(path)
                if of is TokenEvent:
                    found.values[of][key] = REVOKED
                value = of.kind.loads(exact_json.loads(each.octets))
                if value is None:
                    raise ValueError("it is null")
                found.values[of][key] = value
            case _:
                raise ValueError("there is no such key")
