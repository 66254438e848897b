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
        yield exchange.remove([instance])
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
    """An instance goes in the moment in which another gets its address. `is_part`: what is not in `found` may be there all the same."""

    layout: Layout
    registry: Registry
    found: Found
    leaving: Mapping[str, Instance]
    reason: str
    is_part: bool

    def __post_init__(self) -> None:
        self._placed: set[str] = set()
        self._removed: set[str] = set()

    def put(self, instance: Instance) -> Together:
        """With all who move out of its way, or to where it was."""
        found = self.found
        out, come, todo = list[Instance](), list[Event](), [instance]
        while todo:
            each = todo.pop()
            if each.id in self._placed:
                continue
            self._placed.add(each.id)
            before, other = self._here(each.id), self._here(each.spec.key)
            if before is not None and before is other:  # nearly always
                come.append(_changed(before, each, self.reason))
            elif self.is_part and (rival := self._rival(each, before, other)) is not None:
                found.passed_over[_key(self.layout, each)] = rivalry(rival.id, each.id)
            else:
                come.append(_changed(None, each, self.reason))
                out += [was for was in (before, other) if was is not None]
                moves = found.instances.get(other.id) if other is not None else None
                comes = found.at(before.spec.key) if before is not None else None
                todo += [follows for follows in (moves and moves[1], comes) if follows is not None]
        return [*self.remove(out), *come]

    def remove(self, instances: Iterable[Instance]) -> Together:
        """Each once."""
        new = {each.id: each for each in instances if each.id not in self._removed}
        self._removed |= new.keys()
        return [
            InstanceEvent(Kind.DEREGISTERED, each.spec.key.service, each, None, self.reason) for each in new.values()
        ]

    def _here(self, which: Key | str) -> Instance | None:
        entry = self.registry.find(which)
        return None if entry is None else entry.instance

    def _rival(self, instance: Instance, before: Instance | None, other: Instance | None) -> Instance | None:
        """Who keeps its id or its address, as far as this part tells. One whose key cannot be read keeps its address until another gets
        it: a node that never could read it does without.
        """
        if (
            before is not None
            and before.id not in self.leaving
            and _key(self.layout, before) != _key(self.layout, instance)
        ):
            return before
        if other is None or other.id in self.leaving:
            return None
        key, (_, now) = _key(self.layout, other), self.found.instances.get(other.id, (0, None))
        has_changed = now is not None and _key(self.layout, now) == key
        return None if has_changed or key in self.found.unreadable else other


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
