"""Who was deregistered a short while ago, so that a heartbeat that was under way does not bring it back."""

from __future__ import annotations

from discovery.core.instance import Key
from discovery.store.chunked_dict import ChunkedDict

# A tombstone lasts as long as the lease: by then a client that was told has stopped, or has been told again. At most a minute.
MAX_SECONDS = 60.0
# 300 octets each: a table of 100,000 is cleared; of a larger one the oldest are given up.
MAX_KEPT = 131_072


class Tombstones(ChunkedDict[Key, float]):
    """Until when, in the order of burial. `now` and `until` are seconds of one clock."""

    def bury(self, key: Key, until: float, now: float) -> None:
        self.put(key, until)
        for _ in range(2):  # at a time, so that their number follows the burials down again
            first = self.first()
            if first is None or (first[1] > now and len(self) <= MAX_KEPT):
                break
            self.pop(first[0])

    def left(self, key: Key, now: float) -> float:
        """Seconds for which it stays buried; 0 when it is not."""
        until = self.get(key)
        return 0.0 if until is None else max(0.0, until - now)
