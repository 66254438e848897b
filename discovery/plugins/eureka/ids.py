"""Where an instance with an id of Eureka's is: kept in step with the commits. And of several ids at one address, when each was heard of.

How long ago that was is this process's own, as leases are: after a restart each has a full lease. Of several nodes one judges those alone
that have renewed there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from discovery.core.event import Commit, InstanceEvent
from discovery.core.instance import Instance, Key, Registration
from discovery.plugins.eureka.record import NAME, Records


class Place(NamedTuple):
    """`dirty`: its client's own time of its last change, epoch milliseconds."""

    key: Key
    dirty: int


class Ids:
    """`clock`: monotonic seconds, the registry's. `hears_all`: no other node may hear of an instance."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.hears_all = True
        self._places: dict[str, dict[str, Place]] = {}  # by id and folded name of the service
        self._heard: dict[Key, dict[str, float]] = {}  # of addresses that several ids share

    def follow(self, commit: Commit) -> None:
        for event in commit.events:
            if isinstance(event, InstanceEvent):
                before, after = records_of(event.before), records_of(event.after)
                if before or after:
                    self._changed(event.instance.spec, before, after)

    def _changed(self, spec: Registration, before: Records, after: Records) -> None:
        key = spec.key
        for id in before.keys() - after.keys():
            places = self._places.get(id, {})
            if key.service in places and places[key.service].key == key:
                # Otherwise it has come to another address meanwhile.
                del places[key.service]
                if not places:
                    del self._places[id]
        for id, record in after.items():
            self._places.setdefault(id, {})[key.service] = Place(key, record["dirty"])
        if len(after) > 1 and spec.imported_from is None:  # else the import renews all of them
            known, now = self._heard.get(key, {}), self._clock()
            stay = {
                id
                for id in known
                if id in before and id in after and before[id]["registered"] == after[id]["registered"]
            }
            heard = {id: now for id in after if self.hears_all} | {id: known[id] for id in stay}
            self._heard[key] = heard
        else:
            self._heard.pop(key, None)

    def place(self, service: str, id: str) -> Place | None:
        """`service`: its folded name."""
        return self._places.get(id, {}).get(service)

    def services(self, id: str) -> list[str]:
        """Folded names of those that have an instance with this id."""
        return list(self._places.get(id, ()))

    def renewed(self, key: Key, id: str, ttl: float) -> list[str]:
        """It has renewed its lease here. Who at its address is silent."""
        if (shared := self._heard.get(key)) is None:  # nearly always: it is alone
            return []
        shared[id] = self._clock()
        return self.silent(key, ttl)

    def silent(self, key: Key, ttl: float) -> list[str]:
        """Of the ids that share the address, those whose own lease is over, seconds long."""
        shared = self._heard.get(key)
        if shared is None:
            return []
        now = self._clock()
        return [id for id, at in shared.items() if now - at >= ttl]


def records_of(instance: Instance | None) -> Records:
    """Empty: it did not come from Eureka's clients."""
    if instance is None or not instance.attachments:
        return {}
    found: Records = instance.attachment(NAME) or {}
    return found
