"""The table itself: services by folded name, instances by id; what reads it and what keeps its parts in step. No rules."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping

from discovery.core.instance import Key
from discovery.core.name import fold
from discovery.store.errors import UnknownInstance
from discovery.store.service import Entry, Service

# Instances of one part: those who read them take 0.1 to 0.3 µs for each.
_PART = 500


class Table:
    def __init__(self) -> None:
        self._services: dict[str, Service] = {}
        self.services: Mapping[str, Service] = (
            self._services
        )  # by folded name; changes under the feet of a reader who awaits
        self._names: list[str] = []  # their keys, sorted, for paging: moving 10,000 of them takes 4 µs, once a service
        self._by_id: dict[str, Entry] = {}

    def service(self, name: str) -> Service | None:
        return self._services.get(fold(name))

    def page(self, after: str, limit: int) -> list[Service]:
        """At most `limit` services in the order of their folded names, from the first behind `after` on."""
        start = bisect_right(self._names, fold(after))
        return [self._services[name] for name in self._names[start : start + limit]]

    def find(self, which: Key | str) -> Entry | None:
        """By key or id. Listed, so possibly unhealthy."""
        if isinstance(which, str):
            return self._by_id.get(which)
        service = self._services.get(which.service)
        return None if service is None else service.entries.get((which.ip, which.port))

    def at(self, which: Key | str) -> Entry:
        """As `find`; UnknownInstance. Each heartbeat asks, and a call of `find` would be a tenth of it."""
        if isinstance(which, str):
            entry = self._by_id.get(which)
        else:
            service = self._services.get(which.service)
            entry = None if service is None else service.entries.get((which.ip, which.port))
        if entry is None:
            raise UnknownInstance.at(which)
        return entry

    def __len__(self) -> int:
        """Instances, those included whose lease has run out and that were not removed yet."""
        return len(self._by_id)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._by_id.values())

    def in_parts(self, most: int = _PART) -> Iterator[list[Entry]]:
        """All of them, at most `most` at a time, service by service in the order of their names. The reader may await between two: what
        comes or goes meanwhile is in it or not. A list of 100,000 takes 10 ms to make.
        """
        after, entries = "", list[Entry]()
        while services := self.page(after, most):
            for service in services:
                entries += service.entries.values()
                while len(entries) >= most:
                    yield entries[:most]
                    del entries[:most]
            after = fold(services[-1].name)
        if entries:
            yield entries

    # -- for the registry alone

    def _sort(self) -> None:
        """After many services came in an order of their own."""
        self._names.sort()

    def _service_for(self, key: str, name: str, sorted: bool = True) -> Service:
        """`sorted` False: `_sort` follows, before anybody pages."""
        service = self._services.get(key)
        if service is None:
            service = self._services[key] = Service(name)
            if sorted:
                insort(self._names, key)
            else:
                self._names.append(key)
        return service

    def _insert(self, entry: Entry, service: Service) -> None:
        service.entries[entry.instance.spec.place] = entry
        self._by_id[entry.instance.id] = entry

    def _take(self, entry: Entry, service: Service, key: str) -> None:
        """Out of the table, and its service with it when it was the last. `key`: the service's."""
        del service.entries[entry.instance.spec.place]
        if not service.entries:
            del self._services[key]
            del self._names[bisect_left(self._names, key)]
        del self._by_id[entry.instance.id]
