"""The engine of a single process: a write is the truth as soon as the registry has it. README.md beside this file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from discovery.core.caller import NOBODY, Caller
from discovery.core.instance import Key
from discovery.store.registry import Registry
from discovery.store.service import Entry
from discovery.store.writes import Write

T = TypeVar("T")


class LocalEngine:
    """In memory only: nothing to load, nothing to flush."""

    def __init__(self, registry: Registry, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock

    async def open(self) -> None:
        self._registry.loaded = True

    async def submit(self, write: Write[T], by: Caller = NOBODY) -> T:
        return write.apply(self._registry, self._clock())

    def renew(self, which: Key | str, by: Caller = NOBODY) -> Entry:
        return self._registry.renew(which, self._clock())

    def is_safe(self, id: str) -> bool:
        return True

    async def close(self) -> None:
        pass
