"""Did you mean …? A known name one slip of the keyboard away: a character too many, missing, wrong, or two swapped.

All such spellings are tried against the table (some 37 × the name's length), so the cost does not grow with the table; about
0.2 ms each is too much to give to a flood, so there is an allowance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-_"
# Suggestions a second: people at `dig` never notice, and a flood costs at most 1 % of the time.
PER_SECOND = 50


class Suggester:
    def __init__(self, is_known: Callable[[str], bool]) -> None:
        self._is_known = is_known
        self._second = 0
        self._made = 0

    def suggest(self, name: str, now: float) -> str | None:
        """`name` folded. None when nothing is near, or the second's allowance is used up."""
        if int(now) != self._second:
            self._second, self._made = int(now), 0
        if self._made >= PER_SECOND:
            return None
        self._made += 1
        return next((spelling for spelling in _one_slip(name) if self._is_known(spelling)), None)


def _one_slip(name: str) -> Iterator[str]:
    splits = [(name[:at], name[at:]) for at in range(len(name) + 1)]
    yield from (left + right[1] + right[0] + right[2:] for left, right in splits if len(right) > 1)
    yield from (left + right[1:] for left, right in splits if right)
    for left, right in splits:
        for character in _ALPHABET:
            yield left + character + right
            if right:
                yield left + character + right[1:]
