"""What is known of one service: a list that was read, kept true by the events that came after. Pure.

Emptiness is not believed lightly. Where events may have been missed - the registry was away, or has just started and knows nothing
yet - an empty list is believed only when the registry has said it for as long as its clients need to register again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from discovery.client.event_stream import Event
from discovery.client.instance import FLAPPING, HEALTHY, SUSPECT, Instance, InstanceContent

# A usual lease: whoever lives has beaten, and registered again, within it.
GRACE = 10.0
_SERVED = (HEALTHY, SUSPECT, FLAPPING)

Address = tuple[str, int | None]


class Known:
    """`read_at`: seconds, when it was read last. `served`: those to connect to, the healthy first, of these the one heard of last.
    `has_zone`: some are nearer than others, which the registry is asked again after each change.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.read_at = float("-inf")
        self.served: tuple[Instance, ...] = ()
        self.has_zone = False
        self._instances: dict[Address, Instance] = {}  # those heard of last at the end
        self._index = -1  # of the list that was read
        self._heard = -1  # of the last event
        self._empty_since: float | None = None

    def read(self, instances: Iterable[Instance], index: int | None, now: float, certain: bool) -> bool:
        """What the registry said at `index`; None where it does not count. `certain`: nothing was missed, so an empty list is the truth.

        False: more than that is known already; it is not taken, and has to be asked again.
        """
        self.read_at = now
        if index is not None and index < max(self._heard, self._index):
            return False
        found = {(each.ip, each.port): each for each in reversed(list(instances))}
        self._index = -1 if index is None else index
        if found or certain or not self.served:
            self._empty_since = None
            self._instances = found
            self._serve()
        elif self._empty_since is None:
            self._empty_since = now
        elif now - self._empty_since >= GRACE:
            self._empty_since = None
            self._instances, self.served = {}, ()
        return True

    def restart(self) -> None:
        """Events may have been missed, or another registry counts from now on."""
        self._index = self._heard = -1

    @property
    def unconfirmed(self) -> bool:
        """The registry says that nobody is there, and it is not believed yet."""
        return self._empty_since is not None

    def apply(self, event: Event) -> bool:
        """False: nobody is left as far as is known here, or who is near has to be told anew, so the registry is asked. What the list has
        seen already changes nothing.
        """
        if event.index <= self._index:
            return True
        self._heard = max(self._heard, event.index)
        behind = self.has_zone and not (event.instance is not None and self._is_near(event.instance))
        for content, stays in ((event.before, False), (event.instance, True)):
            if content is None:
                continue
            instance = Instance.of(self.name, content)
            self._instances.pop((instance.ip, instance.port), None)
            if stays and instance.status in _SERVED:
                self._instances[instance.ip, instance.port] = replace(instance, behind=behind)
        self._serve()
        return bool(self.served) and not self.has_zone

    def _is_near(self, content: InstanceContent) -> bool:
        known = self._instances.get((content["ip"], content["port"]))
        return known is not None and not known.behind

    def _serve(self) -> None:
        """As the registry answers: the healthy, then suspects; where there are neither, those that flap."""
        instances = self._instances.values()
        found = [[each for each in reversed(instances) if each.status == status] for status in _SERVED]
        found[0].sort(key=lambda each: each.behind)
        self.served = tuple(found[0] + found[1] or found[2])
