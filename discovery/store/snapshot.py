"""The whole state at one index, as values: what a start loads, and what a follower that has missed too much begins from again."""

from __future__ import annotations

from typing import Any, NamedTuple

from discovery.core.event import ValueEvent
from discovery.core.instance import Instance, Key
from discovery.core.kinds import WindowEvent


class Snapshot(NamedTuple):
    """Instances in the order of registration. Their `status`, `ttl` and `failing` are decided when it is loaded.

    `values`: what is kept besides (`core.kinds`), as the events that led to it, each kind in order. `tombstones`: until when (epoch
    seconds) no heartbeat brings the key back.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks
    instances: tuple[Instance, ...] = ()
    values: tuple[ValueEvent[Any, Any], ...] = ()
    tombstones: tuple[tuple[Key, float], ...] = ()

    @property
    def counted(self) -> str:
        return f"{len(self.instances):,} instances, {self.number(WindowEvent):,} maintenance windows"

    def number(self, of: type[ValueEvent[Any, Any]]) -> int:
        """How many there are of that kind."""
        return sum(isinstance(event, of) for event in self.values)
