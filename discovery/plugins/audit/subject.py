"""What a write is aimed at: an instance, a service, a maintenance window. One class each, made just before the write, which knows how
it was then and tells the difference afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from discovery.core.change import Change, Kind
from discovery.core.instance import Instance, Key
from discovery.core.maintenance import Scope, Window
from discovery.core.status import Status
from discovery.plugins.audit.shown import MAX_LISTED, Json, affected, contents, identity, several, window
from discovery.store.errors import UnknownInstance
from discovery.store.registry import Registry
from discovery.store.service import Entry
from discovery.store.writes import (
    Deregister,
    DeregisterMany,
    DeregisterService,
    Drain,
    EndMaintenance,
    Maintain,
    Register,
    Upsert,
)

# Before and after; None where there was nothing.
Difference = tuple[Json | None, Json | None]

_GONE = (Kind.DEREGISTERED, Kind.EXPIRED)
_STATUS = {Kind(status.value): status for status in Status} | {Kind.REGISTERED: Status.HEALTHY}


class Subject(Protocol):
    """`service` and the instance are None where the write names none, or one that nobody knows."""

    action: str

    @property
    def service(self) -> str | None: ...

    def instance(self, changes: Sequence[Change]) -> Json | None:
        """`changes`, here and below: the write's own."""

    def difference(self, changes: Sequence[Change], done: bool) -> Difference | None:
        """None when the write changed nothing."""

    def beside(self, changes: Sequence[Change]) -> Json:
        """What happened to others than the one that is named, as fields of the line."""


class OneInstance:
    def __init__(self, action: str, which: Key | str, registry: Registry, now: float) -> None:
        self.action = action
        self._which = which
        try:
            entry = registry.at(which)
        except UnknownInstance:
            self._before = None
            self._key = which if isinstance(which, Key) else None
        else:
            self._before = _seen(entry, now)
            self._key = self._before[0].spec.key
        self.service = self._before[0].spec.name if self._before else self._key.service if self._key else None

    def instance(self, changes: Sequence[Change]) -> Json:
        known = [change.instance for change in self._own(changes)] or ([self._before[0]] if self._before else [])
        if known:
            return identity(known[-1])
        return {"id": self._which} if self._key is None else {"ip": self._key.ip, "port": self._key.port}

    def difference(self, changes: Sequence[Change], done: bool) -> Difference | None:
        own = self._own(changes)
        if not own:
            return None
        before = contents(*self._before) if self._before else None
        if own[-1].kind in _GONE:
            return before, None
        status = self._before[1] if self._before else Status.HEALTHY
        for change in own:
            status = _STATUS.get(change.kind, status)
        return before, contents(own[-1].instance, status)

    def beside(self, changes: Sequence[Change]) -> Json:
        gone = [change.instance for change in changes if change.kind is Kind.EXPIRED]
        return {"evicted": [identity(instance) for instance in gone]} if gone else {}

    def _own(self, changes: Sequence[Change]) -> list[Change]:
        return [change for change in changes if change.instance.spec.key == self._key]


class WholeService:
    def __init__(self, name: str, registry: Registry, now: float) -> None:
        self.action = "deregister-service"
        service = registry.service(name)
        entries = service.entries.values() if service else ()
        self.service: str | None = service.name if service else name
        self._count = len(entries)
        self._listed = [_seen(entry, now) for entry in islice(entries, MAX_LISTED)]

    def instance(self, changes: Sequence[Change]) -> None:
        return None

    def difference(self, changes: Sequence[Change], done: bool) -> Difference | None:
        if not changes:
            return None
        listed = [identity(instance) | contents(instance, status) for instance, status in self._listed]
        return several(listed, self._count), None

    def beside(self, changes: Sequence[Change]) -> Json:
        return {}


class Many:
    def __init__(self, keys: Sequence[Key], registry: Registry, now: float) -> None:
        self.action = "clear"
        self.service: str | None = None
        known = [registry.at(key) for key in keys if registry.knows(key)]
        self._count = len(known)
        self._listed = [_seen(entry, now) for entry in known[:MAX_LISTED]]

    def instance(self, changes: Sequence[Change]) -> None:
        return None

    def difference(self, changes: Sequence[Change], done: bool) -> Difference | None:
        if not changes:
            return None
        return several([identity(one) | contents(one, status) for one, status in self._listed], self._count), None

    def beside(self, changes: Sequence[Change]) -> Json:
        return {}


class AWindow:
    """`after` None: it is ended."""

    def __init__(self, action: str, scope: Scope, after: Window | None, registry: Registry) -> None:
        self.action = action
        self._scope = scope
        self._registry = registry
        self._before = registry.windows.get(scope)
        self._after = after
        service = registry.service(scope.service)
        self.service: str | None = service.name if service else scope.service
        entry = service.entries.get((scope.ip or "", scope.port or 0)) if service else None
        self._id = entry.instance.id if entry else None

    def instance(self, changes: Sequence[Change]) -> Json | None:
        if self._scope.ip is None:
            return None
        known = {"id": self._id} if self._id else {}
        return known | {"ip": self._scope.ip, "port": self._scope.port}

    def difference(self, changes: Sequence[Change], done: bool) -> Difference | None:
        applied = done or self._registry.windows.get(self._scope) == self._after
        if not applied or self._before == self._after:
            return None
        return window(self._before), window(self._after)

    def beside(self, changes: Sequence[Change]) -> Json:
        return {"affected": affected(changes)} if self._scope.ip is None and changes else {}


class Unfamiliar:
    """A kind of write that is newer than this file: it is told by its name and by what it did, whatever that is."""

    def __init__(self, write: object) -> None:
        self.action = re.sub(r"(?<!^)(?=[A-Z])", "-", type(write).__name__).lower()
        self.service: str | None = None

    def instance(self, changes: Sequence[Change]) -> None:
        return None

    def difference(self, changes: Sequence[Change], done: bool) -> Difference:
        return None, None

    def beside(self, changes: Sequence[Change]) -> Json:
        return {"affected": affected(changes)}


def subject_of(write: object, registry: Registry, now: float) -> Subject:
    """`now`: monotonic seconds, the registry's."""
    match write:
        case Register(spec=spec):
            return OneInstance("register", spec.key, registry, now)
        case Upsert(spec=spec):
            return OneInstance("upsert", spec.key, registry, now)
        case Drain(which=which, since=since):
            return OneInstance("undrain" if since is None else "drain", which, registry, now)
        case Deregister(which=which):
            return OneInstance("deregister", which, registry, now)
        case DeregisterMany(keys=keys):
            return Many(keys, registry, now)
        case DeregisterService(name=name):
            return WholeService(name, registry, now)
        case Maintain(scope=scope, window=window):
            return AWindow("maintain", scope, window, registry)
        case EndMaintenance(scope=scope):
            return AWindow("end-maintenance", scope, None, registry)
        case _:
            return Unfamiliar(write)


def _seen(entry: Entry, now: float) -> tuple[Instance, Status]:
    return entry.instance, entry.status_at(now)
