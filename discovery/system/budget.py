"""A budget that all clients share: of octets that wait to be read, of octets of bodies that come, of handshakes in hand.

When it is spent, somebody gives up what he holds: of the client prefix (`core.address`) that holds most, or of the next one where nobody
there may. So a crowd costs no more than the budget, and keeps nobody out but itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from heapq import nlargest
from time import monotonic
from typing import Generic, TypeVar

# Seconds between two searches when nobody could give up anything.
_SEARCH_SECONDS = 1.0

H = TypeVar("H")


class Budget(Generic[H]):
    """`most`: in all. `give_up`: tells one that it holds nothing any more. `may_go`: whether one may be told so. Of a prefix the oldest
    goes, which has given nothing back for longest; with `largest_first` the one that holds most, of several the oldest.
    """

    def __init__(
        self,
        most: int,
        give_up: Callable[[H], object],
        may_go: Callable[[H], bool] = lambda holder: True,
        largest_first: bool = False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._most = most
        self._give_up = give_up
        self._may_go = may_go
        self._largest_first = largest_first
        self._clock = clock
        self._sum = 0
        self._sums = Counter[str]()
        self._of_prefix: dict[str, dict[H, int]] = {}  # the oldest first
        self._searched_at = float("-inf")

    def __len__(self) -> int:
        return self._sum

    def hold(self, holder: H, prefix: str, held: int) -> None:
        """So much from now on; 0 also of one that holds nothing. Somebody, perhaps itself, gives up if that is too much in all."""
        own = self._of_prefix.setdefault(prefix, {})
        grown = held - own.get(holder, 0)
        if grown < 0:
            del own[holder]
        if held:
            own[holder] = held
        self._sum += grown
        self._sums[prefix] += grown
        if not own:
            del self._of_prefix[prefix], self._sums[prefix]
        elif grown > 0 and len(self) > self._most:
            self._make_room()

    def _make_room(self) -> None:
        now = self._clock()
        if now < self._searched_at + _SEARCH_SECONDS:
            return
        while len(self) > self._most:
            found = self._first_to_go()
            if found is None:
                self._searched_at = now
                return
            holder, prefix = found
            self.hold(holder, prefix, 0)
            self._give_up(holder)

    def _first_to_go(self) -> tuple[H, str] | None:
        for prefix in self._that_hold_most():
            own = self._of_prefix[prefix]
            may_go = filter(self._may_go, own)
            holder = max(may_go, key=own.__getitem__, default=None) if self._largest_first else next(may_go, None)
            if holder is not None:
                return holder, prefix
        return None

    def _that_hold_most(self) -> Iterator[str]:
        """All are put in order only where nobody of the first may go: that takes 1.2 ms for 8,000, and to find the first 0.3."""
        yield from nlargest(1, self._sums, self._sums.__getitem__)
        yield from sorted(self._sums, key=self._sums.__getitem__, reverse=True)
