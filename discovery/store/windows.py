"""The maintenance windows, by what they are for. The mapping is replaced whole at each change, so a reader may keep it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from discovery.core.instance import Instance
from discovery.core.maintenance import Scope, Window
from discovery.core.name import fold
from discovery.store.errors import TooManyWindows

# Each change copies them all, 10 µs a thousand; more than that are no maintenance.
MAX_WINDOWS = 1000


class Windows:
    """`ends` in monotonic seconds."""

    def __init__(self) -> None:
        self.all: Mapping[Scope, Window] = MappingProxyType({})
        self._ends: dict[Scope, float] = {}
        self.next: float | None = None  # when the first ends

    def of(self, instance: Instance) -> Window | None:
        """The instance's own, else its service's."""
        if not self.all:
            return None
        spec = instance.spec
        service = fold(spec.name)
        return self.all.get(Scope(service, spec.ip, spec.port)) or self.all.get(Scope(service))

    def set(self, scope: Scope, window: Window, ends: float) -> None:
        """TooManyWindows."""
        if scope not in self.all and len(self.all) >= MAX_WINDOWS:
            raise TooManyWindows(MAX_WINDOWS)
        self._ends[scope] = ends
        self._replace({**self.all, scope: window})

    def end(self, scope: Scope) -> bool:
        """Whether there was one."""
        if self._ends.pop(scope, None) is None:
            return False
        self._replace({each: window for each, window in self.all.items() if each != scope})
        return True

    def shift(self, seconds: float) -> None:
        """The clock has fallen behind by so much: they end as much earlier by it, and when they should by the wall's."""
        self._ends = {scope: ends - seconds for scope, ends in self._ends.items()}
        self.next = min(self._ends.values(), default=None)

    def over(self, now: float) -> list[Scope]:
        """Those that have ended by themselves."""
        if self.next is None or now < self.next:
            return []
        return [scope for scope, ends in self._ends.items() if ends <= now]

    def _replace(self, windows: dict[Scope, Window]) -> None:
        self.all = MappingProxyType(windows)
        self.next = min(self._ends.values(), default=None)
