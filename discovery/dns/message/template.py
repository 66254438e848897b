"""An answer in octets, in pieces that do not depend on their place: laying some of them down makes a reply.

Pieces point at the question's name and nothing else, so any order of them is a valid message. Alternatives are laid down in
an order drawn anew each time (RFC 2782): equal ones from ready-made permutations, or for more than three from a ring that is
entered at random and shuffled again every few rounds; others by a full draw.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, permutations
from random import Random
from typing import NamedTuple

from discovery.dns.message.values import Rank

# Alternatives that are packed beforehand. More do not fit into a datagram, and take long to pack.
MAX_KEPT = 64
# Of up to three alternatives all six orders are kept; of four it would be 24.
_MAX_PERMUTED = 3
# Replies from one ring before it is shuffled again, which takes 25 µs for ten: a tenth of what the replies take.
_ROUNDS = 64
# RFC 2782's "very small chance" of a weight of 0 beside others.
_ALMOST_NEVER = 0.01
# Octets by which a piece of many may be longer than the first: all are alike but for the text of an address.
_MORE_OR_LESS = 16


class Piece(NamedTuple):
    """A record and those that go with it, in octets."""

    record: bytes
    beside: bytes = b""
    beside_count: int = 0

    @property
    def size(self) -> int:
        return len(self.record) + len(self.beside)


# What fits, for the answer and the additional section: octets and count of each, and False when something was left out.
Laid = tuple[bytes, int, bytes, int, bool]


def lay_in_order(pieces: Iterable[Piece], room: int, most: int | None = None) -> Laid:
    """Lays down pieces from the first on, `most` at the most, until the next does not fit into `room` octets."""
    laid: list[Piece] = []
    complete = True
    for piece in pieces:
        if len(laid) == most:
            break
        room -= piece.size
        if room < 0:
            complete = False
            break
        laid.append(piece)
    return _joined(laid, complete)


class Alternatives:
    """`piece(i)` packs the one with `ranks[i]`: all at once when they are few, else only those that are laid.

    `most` None is all.
    """

    def __init__(self, piece: Callable[[int], Piece], ranks: Sequence[Rank], most: int | None, random: Random) -> None:
        few = len(ranks) <= MAX_KEPT
        self._piece = None if few else piece  # a short list is packed here, once; then the records are no longer needed
        self._ranks = tuple(ranks)
        self._most = most
        self._random = random
        self._pieces = [piece(index) for index in range(len(ranks))] if few else []
        self._size = sum([each.size for each in self._pieces])  # 0 when they are many
        equal = len(set(ranks)) == 1 and (most is None or most >= len(ranks))
        self._permuted = self._permutations() if equal and len(ranks) <= _MAX_PERMUTED else []
        self._has_ring = equal and not self._permuted and bool(self._pieces)
        self._rounds_left = 0

    @property
    def few(self) -> bool:
        """Worth keeping."""
        return self._piece is None

    def about(self) -> int:
        """Octets of all; when they are many, an upper bound."""
        return self._size if self._piece is None else (self._piece(0).size + _MORE_OR_LESS) * len(self._ranks)

    def lay(self, room: int) -> Laid:
        if self._permuted and self._size <= room:
            return self._permuted[int(self._random.random() * len(self._permuted))]
        if self._has_ring:
            return self._from_ring(room)
        return lay_in_order(self._drawn(), room, self._most)

    def _permutations(self) -> list[Laid]:
        return [_joined(order, True) for order in permutations(self._pieces)]

    def _from_ring(self, room: int) -> Laid:
        """Once round from a place drawn at random, or as far as the room goes."""
        if self._rounds_left == 0:
            self._shuffle_ring()
        self._rounds_left -= 1
        count = len(self._ranks)
        first = int(self._random.random() * count)
        last, complete = first + count, self._size <= room
        if not complete:
            last = max(first, bisect_right(self._size_at, self._size_at[first] + room) - 1)
        record_at, beside_at, count_at = self._record_at, self._beside_at, self._count_at
        return (
            self._records[record_at[first] : record_at[last]],
            last - first,
            self._beside[beside_at[first] : beside_at[last]],
            count_at[last] - count_at[first],
            complete,
        )

    def _shuffle_ring(self) -> None:
        """All pieces twice in a row, so that a whole round can start at any of them. Arrays, to touch little memory."""
        self._random.shuffle(self._pieces)
        twice = self._pieces * 2
        self._records = b"".join(piece.record for piece in twice)
        self._beside = b"".join(piece.beside for piece in twice)
        self._record_at = _places(len(piece.record) for piece in twice)
        self._beside_at = _places(len(piece.beside) for piece in twice)
        self._count_at = _places(piece.beside_count for piece in twice)
        self._size_at = _places(piece.size for piece in twice)
        self._rounds_left = _ROUNDS

    def _drawn(self) -> Iterator[Piece]:
        get = self._piece or self._pieces.__getitem__
        return map(get, draw(self._ranks, self._random))


def draw(ranks: Sequence[Rank], random: Random) -> list[int]:
    """Indices in a drawn order: lower priorities first, within one without replacement in proportion to the weights.

    Sorting by Exp(1) / weight does what RFC 2782's running sums do (Efraimidis and Spirakis 2006).
    """

    def key(index: int) -> tuple[int, float]:
        priority, weight = ranks[index]
        return priority, random.expovariate(weight or _ALMOST_NEVER)

    return sorted(range(len(ranks)), key=key)


def _places(sizes: Iterable[int]) -> array[int]:
    return array("I", (0, *accumulate(sizes)))


def _joined(pieces: Sequence[Piece], complete: bool) -> Laid:
    return (
        b"".join([piece.record for piece in pieces]),
        len(pieces),
        b"".join([piece.beside for piece in pieces]),
        sum([piece.beside_count for piece in pieces]),
        complete,
    )
