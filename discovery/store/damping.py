"""Flap damping: an instance that went down and came back too often in a while has to hold still for as long before it is
taken for healthy again (the idea of RFC 2439).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from discovery.core.event import Event, InstanceEvent
from discovery.core.instance import Instance
from discovery.core.status import DOWN


class Damping(NamedTuple):
    """More than `changes` of health within `window` seconds are too many; 0 is no damping."""

    changes: int = 0
    window: float = 60.0


NO_DAMPING = Damping()


class Flaps:
    """The latest changes of one instance, as many as the damping needs to remember. `until`: it is flapping that long."""

    __slots__ = ("_times", "until")

    def __init__(self) -> None:
        self._times: list[float] = []
        self.until = 0.0

    def note(self, now: float, damping: Damping) -> None:
        """A change of health at `now`."""
        self.until = self.until_with(1, now, damping)
        self._times.append(now)
        while len(self._times) > damping.changes + 1 or self._times[0] <= now - damping.window:
            del self._times[0]

    def until_with(self, changes: int, now: float, damping: Damping) -> float:
        """What `until` will be after so many more changes at `now`."""
        if not changes or (now >= self.until and len(self._times) + changes <= damping.changes):
            return self.until
        recent = sum(time > now - damping.window for time in self._times) + changes
        return now + damping.window if recent > damping.changes or now < self.until else self.until


_STEADY = Flaps()


def flaps(known: Flaps | None, events: Sequence[Event], before: Instance, now: float, damping: Damping) -> bool:
    """Whether an instance changes its health too often, if it is healthy after these events, which leave it as `before`."""
    if not damping.changes or (known is None and not events):  # one change is never too many
        return False
    changes = sum(_changes_health(event, before.id) for event in events) + (before.status in DOWN)
    return now < (known or _STEADY).until_with(changes, now, damping)


def _changes_health(event: Event, id: str) -> bool:
    if not isinstance(event, InstanceEvent) or event.before is None or event.after is None or event.after.id != id:
        return False
    return (event.before.status in DOWN) != (event.after.status in DOWN)
