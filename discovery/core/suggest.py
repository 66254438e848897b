"""Did you mean …? A known name one slip of the keyboard away: a character too many, missing, wrong, or two swapped.

All such spellings are tried against the table (some 76 × the name's length), so the cost does not grow with the table; about
0.2 ms each is too much to give to a flood, so there is an allowance.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-_"
# Suggestions a second: people at `dig` never notice, and a flood costs at most 0.5 % of the time.
PER_SECOND = 20
# Characters of a name: a label's. The spellings of a longer one take too long.
MAX_LENGTH = 63


class Suggester:
    """`known` gives the folded names that there are."""

    def __init__(self, known: Callable[[], Container[str]]) -> None:
        self._known = known
        self._second_ends = float("-inf")
        self._left = 0

    def suggest(self, name: str, now: float) -> str | None:
        """`name` folded. None when nothing is near, it is too long, or the second's allowance is used up."""
        if now >= self._second_ends:
            self._second_ends, self._left = now + 1, PER_SECOND
        if not self._left or len(name) > MAX_LENGTH:
            return None
        self._left -= 1
        known = self._known()
        for spellings in _one_slip(name):
            for spelling in spellings:
                if spelling in known:
                    return spelling
        return None


def _one_slip(name: str) -> Iterable[list[str]]:
    splits = [(name[:at], name[at:]) for at in range(len(name) + 1)]
    yield [left + right[1] + right[0] + right[2:] for left, right in splits if len(right) > 1]
    yield [left + right[1:] for left, right in splits if right]
    for left, right in splits:
        yield [left + character + right for character in _ALPHABET]
        if right:
            yield [left + character + right[1:] for character in _ALPHABET]
