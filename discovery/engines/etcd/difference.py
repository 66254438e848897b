"""What is in etcd against what this node has, as the events that lead from one to the other."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from discovery.core.event import KIND_OF, Event, InstanceEvent, Kind, ValueEvent
from discovery.core.instance import Instance, Key
from discovery.core.kinds import KINDS, begun, of_letter
from discovery.core.log_fields import fields
from discovery.store.registry import Registry
from discovery.store.snapshot import Snapshot

_log = logging.getLogger("discovery.etcd")

# Instances of one turn of the event loop, 3 µs each.
_PER_TURN = 1_000


class Found:
    """What was read, at `revision`. `changed`: the revision of the latest key that tells of a change; the revision itself grows with each
    batch of heartbeats, and so from one node's reading to the next one's. `etcd`: the id of its cluster of members.
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

    def add(self, instance: Instance, service: str, id: str, created: int) -> None:
        """ValueError when it is not what its key says."""
        if instance.id != id or instance.spec.key.service != service:
            raise ValueError("its id or its service is not that of its key")
        self.instances[id] = (created, instance)

    def bury(self, found: Sequence[Sequence[object]]) -> None:
        """ValueError."""
        for service, ip, port, until in found:
            if not isinstance(until, int | float):
                raise ValueError("a tombstone without an end")
            self.tombstones.append((Key.of(service, ip, port), float(until)))

    def snapshot(self, index: int) -> Snapshot:
        """Instances in the order of registration."""
        ordered = sorted(self.instances.values(), key=lambda each: each[0])
        instances = tuple(instance for _, instance in ordered)
        values = tuple(event for of, found in self.values.items() for event in begun(of, found))
        return Snapshot(index, instances, values, tuple(self.tombstones))


def difference(
    registry: Registry, found: Found, reason: str, gone: Iterable[Sequence[str]] | None = None
) -> Iterator[Event | None]:
    """The events, and None now and then: a moment to let others have the event loop. `gone`: the paths of what was removed; None: all that
    was not found was.
    """
    if gone is None:
        missing = []
        for number, entry in enumerate(list(registry)):
            if number % _PER_TURN == 0:
                yield None
            if entry.instance.id not in found.instances:
                missing.append(entry.instance)
        ended = [
            (of, key) for of, values in found.values.items() for key in registry.values[of].all if key not in values
        ]
    else:
        missing, ended = _gone(registry, gone)
    yield from (InstanceEvent(Kind.DEREGISTERED, each.spec.key.service, each, None, reason) for each in missing)
    for of, key in ended:
        yield of(key=key, before=registry.values[of].all[key], after=None, reason=reason)
    differing = []
    for number, (created, instance) in enumerate(found.instances.values()):
        if number % _PER_TURN == 0:
            yield None
        before = _before(registry, instance)
        # The ttl is what was registered, or what the configuration says now.
        if before is None or before._replace(ttl=instance.ttl) != instance:
            differing.append((created, instance))
    taken = _Addresses(registry, missing)
    for number, (_, instance) in enumerate(sorted(differing, key=lambda each: each[0])):
        if number % _PER_TURN == 0:
            yield None
        if not taken.take(instance):
            continue
        before = _before(registry, instance)
        if before is not None and before.spec.key != instance.spec.key:  # by hand: the table knows an id by its address
            yield InstanceEvent(Kind.DEREGISTERED, before.spec.key.service, before, None, reason)
            before = None
        yield _changed(before, instance, reason)
    for of, values in found.values.items():
        known = registry.values[of].all
        for key, value in values.items():
            if known.get(key) != value:
                yield of(key=key, before=known.get(key), after=value, reason=reason)


def _before(registry: Registry, instance: Instance) -> Instance | None:
    entry = registry.find(instance.id)
    return None if entry is None else entry.instance


class _Addresses:
    """Which id has which address of a service: the table has room for one. By hand anything can be put into etcd."""

    def __init__(self, registry: Registry, leaving: Iterable[Instance]) -> None:
        self._registry = registry
        self._leaving = {instance.id for instance in leaving}
        self._taken: dict[Key, str] = {}

    def take(self, instance: Instance) -> bool:
        """False when another has it: this one is passed over."""
        key = instance.spec.key
        id = self._taken.get(key)
        if id is None and self._registry.knows(key):
            id = self._registry.at(key).instance.id
        if id is not None and id != instance.id and id not in self._leaving:
            _log.error(
                "etcd has %s at the address of %s, which keeps it: %s is passed over",
                instance.id,
                id,
                instance.id,
                extra=fields("etcd.passed_over", id=instance.id, kept=id),
            )
            return False
        self._taken[key] = instance.id
        return True


def _changed(before: Instance | None, after: Instance, reason: str) -> InstanceEvent:
    service = after.spec.key.service
    if before is None:
        return InstanceEvent(Kind.REGISTERED, service, None, after, reason, True)
    kind = Kind.UPDATED if before.status is after.status else KIND_OF[after.status]
    return InstanceEvent(kind, service, before, after, reason)


def _gone(
    registry: Registry, paths: Iterable[Sequence[str]]
) -> tuple[list[Instance], list[tuple[type[ValueEvent[Any, Any]], Any]]]:
    """Instances, and the keys of what else was here."""
    instances, ended = [], []
    for path in paths:
        with contextlib.suppress(ValueError):  # what could not be read is not here
            match path:
                case ["i", _, id]:
                    entry = registry.find(id)
                    if entry is not None:
                        instances.append(entry.instance)
                case [letter, *rest] if (of := of_letter(letter)) is not None:
                    key = of.kind.keys.of_path(rest)
                    if key in registry.values[of].all:
                        ended.append((of, key))
    return instances, ended
