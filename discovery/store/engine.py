"""The Engine seam: where a write becomes the truth. One is chosen at start (`discovery/engines/`)."""

from __future__ import annotations

from typing import Protocol, TypeVar

from discovery.core.caller import NOBODY, Caller
from discovery.core.instance import Key
from discovery.store.service import Entry
from discovery.store.writes import Write

T = TypeVar("T")


class Engine(Protocol):
    async def open(self) -> None:
        """Fills the registry; returns when it may be served. Called before any socket opens."""

    async def submit(self, write: Write[T], by: Caller = NOBODY) -> T:
        """Applies the write; returns once it is as safe as this engine makes it. Raises what the registry raises.

        `by`: for engines that care who asks. What the server does of itself is SERVER's.
        """

    def renew(self, which: Key | str, by: Caller = NOBODY) -> Entry:
        """A heartbeat by key or id, at once: it is no change, so there is nothing to make safe. Raises what the registry raises."""

    def is_safe(self, id: str) -> bool:
        """Whether all that is known of the instance is as safe as `submit` makes it."""

    async def close(self) -> None:
        """Flushes; no submit follows."""
