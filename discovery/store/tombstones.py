"""Who was deregistered a short while ago, so that a heartbeat that was under way does not bring it back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from discovery.core.instance import Key

# A tombstone lasts as long as the lease: by then a client that was told has stopped, or has been told again. At most a minute.
MAX_SECONDS = 60.0
# 300 octets each; when a larger table is cleared the oldest are given up.
MAX_KEPT = 65536


class Tombstones:
    def __init__(self) -> None:
        self._until: dict[Key, float] = {}  # in the order of burial

    def __len__(self) -> int:
        return len(self._until)

    def __iter__(self) -> Iterator[tuple[Key, float]]:
        return iter(self._until.items())

    def bury(self, key: Key, until: float, now: float) -> None:
        """`until`, `now`: monotonic seconds."""
        self._until.pop(key, None)
        self._until[key] = until
        self._forget(now)

    def lift(self, key: Key) -> None:
        self._until.pop(key, None)

    def left(self, key: Key, now: float) -> float:
        """Seconds for which it stays buried; 0 when it is not."""
        return max(0.0, self._until.get(key, now) - now)

    def _forget(self, now: float) -> None:
        """The oldest two at a time, so that their number follows the burials down again."""
        for key in _first(self._until, 2):
            if self._until[key] <= now or len(self._until) > MAX_KEPT:
                del self._until[key]


def _first(keys: Iterable[Key], count: int) -> list[Key]:
    iterator = iter(keys)
    return [key for _, key in zip(range(count), iterator, strict=False)]
