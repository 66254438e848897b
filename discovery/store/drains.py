"""Who was draining when it was removed for its silence: if it comes back, it drains again."""

from __future__ import annotations

from collections.abc import Iterator

from discovery.core.event import Drained
from discovery.core.instance import Key

# 500 octets each. Beyond, the oldest are given up.
MAX_KEPT = 16_384


class Drains:
    def __init__(self) -> None:
        self._kept: dict[Key, Drained] = {}  # in the order of removal

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[tuple[Key, Drained]]:
        return iter(self._kept.items())

    def get(self, key: Key, wall: float) -> Drained | None:
        """None also when it is over. `wall`: epoch seconds."""
        drained = self._kept.get(key)
        return drained if drained is not None and wall < drained.until else None

    def set(self, key: Key, drained: Drained | None) -> None:
        """None: it is forgotten."""
        self._kept.pop(key, None)
        if drained is not None:
            self._kept[key] = drained
            if len(self._kept) > MAX_KEPT:
                del self._kept[next(iter(self._kept))]
