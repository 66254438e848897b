"""What is in etcd against what this node has, as the events that lead from one to the other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from discovery.core.event import KIND_OF, Event, InstanceEvent, Kind, ValueEvent
from discovery.core.instance import Instance, Key
from discovery.core.kinds import of_letter
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.read_all import REVOKED, Found, rivalry
from discovery.store.registry import Registry

# Instances between two moments for others, 3 µs each.
_PER_TURN = 200

# Events that are applied in one turn, so that nobody misses what is only exchanged; empty: a moment to let others have the event loop.
Together = Sequence[Event]


def difference(
    layout: Layout, registry: Registry, found: Found, reason: str, gone: Iterable[bytes] | None = None
) -> Iterator[Together]:
    """`gone`: the keys that were removed; None: all that is not in `found` was. A key that cannot be read is not gone: what it said last
    stays, unless another has its address now.
    """
    if gone is None:
        leaving = {}
        for number, entry in enumerate(list(registry)):
            if number % _PER_TURN == 0:
                yield ()
            instance = entry.instance
            if instance.id not in found.instances and _key(layout, instance) not in found.unreadable:
                leaving[instance.id] = instance
        ended = [
            (of, key)
            for of, values in found.values.items()
            for key in registry.values[of].all
            if key not in values and layout.value(of, key) not in found.unreadable
        ]
    else:
        leaving, ended = _gone(layout, registry, gone)
    differing = []
    for number, (created, instance) in enumerate(found.instances.values()):
        if number % _PER_TURN == 0:
            yield ()
        known = registry.find(instance.id)
        if known is None or known.instance != instance:
            differing.append((created, instance))
    exchange = _Exchange(layout, registry, found, leaving, reason, gone is not None)
    for _, instance in sorted(differing, key=lambda each: each[0]):
        yield exchange.put(instance)
    for instance in leaving.values():
        yield exchange.remove(instance)
    for of, key in ended:
        yield (of(key=key, before=registry.values[of].all[key], after=None, reason=reason),)
    for of, values in found.values.items():
        held = registry.values[of].all
        for key, value in values.items():
            if held.get(key) != value and not (value is REVOKED and key in held):
                yield (of(key=key, before=held.get(key), after=value, reason=reason),)


def _key(layout: Layout, instance: Instance) -> bytes:
    return layout.instance(instance.spec.key.service, instance.id)


def here(layout: Layout, registry: Registry, service: str) -> Iterator[bytes]:
    """The keys of all that this node has of a service."""
    if (known := registry.services.get(service)) is not None:
        yield from (_key(layout, entry.instance) for entry in known.entries.values())
    for of in registry.values:
        if of.kind.letter and of.kind.of_service:
            those = registry.values[of].all
            yield from (layout.value(of, key) for key in those if of.kind.keys.path(key)[0] == service)


@dataclass(eq=False)
class _Exchange:
    """The table as the events so far leave it. An instance goes in the same moment in which another gets its address. `is_part`: what is
    not in `found` may be there all the same.
    """

    layout: Layout
    registry: Registry
    found: Found
    leaving: Mapping[str, Instance]
    reason: str
    is_part: bool

    def __post_init__(self) -> None:
        self._at: dict[Key, Instance | None] = {}
        self._removed: set[str] = set()
        self._placed: set[str] = set()

    def put(self, instance: Instance) -> Together:
        """With all who move out of its way, or to where it was."""
        gone, come, todo = list[Event](), list[Event](), [instance]
        while todo:
            each = todo.pop()
            if each.id not in self._placed:
                self._placed.add(each.id)
                todo += self._place(each, gone, come)
        return [*gone, *come]

    def _place(self, instance: Instance, gone: list[Event], come: list[Event]) -> Iterator[Instance]:
        """Those who follow from it."""
        key = instance.spec.key
        entry, other = self.registry.find(instance.id), self._instance_at(key)
        before = None if entry is None or instance.id in self._removed else entry.instance
        is_taken = before is not None and self.is_part and self._is_elsewhere(before, key)
        if not is_taken and other is not None and other.id != instance.id:
            moved = self.found.instances.get(other.id)
            is_taken = not self._leaves(other) and (moved is None or moved[1].spec.key == key)
            if not is_taken:
                gone += self.remove(other)
                yield from () if moved is None else (moved[1],)
        if is_taken:
            rival = other if other is not None and other.id != instance.id else instance
            self.found.passed_over[_key(self.layout, instance)] = rivalry(rival.id, instance.id)
            if before is not None and not self.is_part and self._is_elsewhere(before, key):
                gone += self.remove(before)
            return
        if before is not None and before.spec.key != key:  # by hand: the table knows an id by its address
            gone += self.remove(before)
            if (comes := self.found.at(before.spec.key)) is not None:
                yield comes
            before = None
        self._at[key] = instance
        come.append(_changed(before, instance, self.reason))

    def remove(self, instance: Instance) -> Together:
        if instance.id in self._removed:
            return ()
        self._removed.add(instance.id)
        self._at[instance.spec.key] = None
        return (InstanceEvent(Kind.DEREGISTERED, instance.spec.key.service, instance, None, self.reason),)

    def _instance_at(self, key: Key) -> Instance | None:
        if key in self._at:
            return self._at[key]
        entry = self.registry.find(key)
        return None if entry is None else entry.instance

    def _leaves(self, other: Instance) -> bool:
        """One whose key cannot be read stays only until another gets its address: a node that never could read it does without."""
        return other.id in self.leaving or _key(self.layout, other) in self.found.unreadable

    def _is_elsewhere(self, before: Instance, key: Key) -> bool:
        """It stands under another key."""
        return before.spec.key.service != key.service and before.id not in self.leaving


def _changed(before: Instance | None, after: Instance, reason: str) -> InstanceEvent:
    service = after.spec.key.service
    if before is None:
        return InstanceEvent(Kind.REGISTERED, service, None, after, reason, True)
    kind = Kind.UPDATED if before.status is after.status else KIND_OF[after.status]
    return InstanceEvent(kind, service, before, after, reason)


def _gone(
    layout: Layout, registry: Registry, keys: Iterable[bytes]
) -> tuple[dict[str, Instance], list[tuple[type[ValueEvent[Any, Any]], Any]]]:
    """Instances, and the keys of what else was here."""
    instances, ended = {}, []
    for path in map(layout.parts, keys):
        with contextlib.suppress(ValueError):  # what could not be read is not here
            match path:
                case ["i", service, id]:
                    entry = registry.find(id)
                    if entry is not None and entry.instance.spec.key.service == service:
                        instances[id] = entry.instance
                case [letter, *rest] if (of := of_letter(letter)) is not None:
                    key = of.kind.keys.of_path(rest)
                    if key in registry.values[of].all:
                        ended.append((of, key))
    return instances, ended
