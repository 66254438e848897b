"""Whether events fit what the table holds: looked at before anything is changed, so that a commit is applied whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from discovery.core.address import place_text
from discovery.core.event import Event, InstanceEvent
from discovery.core.instance import Instance
from discovery.core.name import fold
from discovery.store.table import Table


class DoesNotFit(Exception):
    """A commit that cannot follow from the state here: a defect, or somebody writes to what the nodes share who knows no rules.
    `services`: those that it is about, by folded name.
    """

    def __init__(self, why: str, services: Iterable[str]) -> None:
        super().__init__(why)
        self.services = tuple(services)


def check(table: Table, events: Sequence[Event]) -> None:
    """DoesNotFit."""
    laid_over = _LaidOver(table)
    for event in events:
        if isinstance(event, InstanceEvent) and (why := laid_over.put(event)) is not None:
            about = {each.service: None for each in events if isinstance(each, InstanceEvent)}
            raise DoesNotFit(why, about)


def _has_place_of(after: Instance, before: Instance) -> bool:
    """The table knows an instance by its id, its service and its address."""
    old, new = before.spec, after.spec
    if old is new:
        return after.id == before.id
    if old.port != new.port or (old.ip != new.ip and old.place != new.place) or after.id != before.id:
        return False
    return old.name == new.name or fold(old.name) == fold(new.name)


class _LaidOver:
    """The table with the events so far laid over it."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._ids: dict[str, Instance | None] = {}
        self._addresses: dict[tuple[str, str, int], str | None] = {}

    def put(self, event: InstanceEvent) -> str | None:
        """Why it does not fit; None: it does, and is laid over."""
        before, after = event.before, event.after
        instance = event.instance
        spec, id = instance.spec, instance.id
        address = (event.service, *spec.place)
        known, holder = self._known(id), self._holder(address)
        if fold(spec.name) != event.service:
            return f"{id} is of {spec.name}, and not of {event.service}"
        if before is None:
            if known is not None:
                return f"{id} is registered already, as an instance of {known.spec.name}"
            if holder is not None:
                return f"{holder} is registered already at {place_text(spec.ip, spec.port)} of {event.service}"
        elif known is None or holder != id or before.id != id:
            return f"{id} is not registered at {place_text(spec.ip, spec.port)} of {event.service}"
        elif after is not None and not _has_place_of(after, before):
            return f"{id} would be another instance than before, or at another place"
        elif known.status is not before.status:
            return f"{id} was {before.status}, and is {known.status} here"
        self._ids[id] = after
        self._addresses[address] = None if after is None else id
        return None

    def _known(self, id: str) -> Instance | None:
        if id in self._ids:
            return self._ids[id]
        entry = self._table.find(id)
        return None if entry is None else entry.instance

    def _holder(self, address: tuple[str, str, int]) -> str | None:
        if address in self._addresses:
            return self._addresses[address]
        service = self._table.services.get(address[0])
        entry = None if service is None else service.entries.get(address[1:])
        return None if entry is None else entry.instance.id
