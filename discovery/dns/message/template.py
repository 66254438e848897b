"""An answer in octets, in pieces that do not depend on their place: laying some of them down makes a reply.

Pieces point at the question's name and nothing else, so any order of them is a valid message. Alternatives are laid down in
an order drawn anew each time (RFC 2782): of one or two equal ones all orders are ready; more stand in a ring that is entered at
random and shuffled again every few rounds; others are drawn for each reply.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from itertools import accumulate, pairwise, permutations
from operator import itemgetter
from random import Random
from typing import Protocol

from discovery.core.draw import draw
from discovery.dns.message.values import Rank

# Alternatives that are packed beforehand. More do not fit into a datagram, and take long to pack.
MAX_KEPT = 64
# Of three, six orders take three times the memory of a ring; with 10,000 services that costs more time than the ring's arithmetic.
_MAX_PERMUTED = 2
# Replies from one ring before it is shuffled again, which takes 25 µs for ten: a tenth of what the replies take.
_ROUNDS = 64
# Up to so many, all orders are ready to shuffle by: 120 of five.
_MAX_ORDERS = 5
# Tables that rings share: addresses are all of one size, names of a few.
_MAX_PLACES = 4096
# Octets by which a piece of many may be longer than the first: all are alike but for the text of an address.
_MORE_OR_LESS = 16

# A record, those that go with it, and how many these are.
Piece = tuple[bytes, bytes, int]

# What fits, for the answer and the additional section: octets and count of each, and False when something was left out.
Laid = tuple[bytes, int, bytes, int, bool]


def lay_in_order(pieces: Iterable[Piece], room: int, most: int | None = None) -> Laid:
    """Lays down records from the first on, `most` at the most, until the next does not fit into `room` octets; then in the same way those
    that go with them, into what is left. Only records that are left out make it incomplete (RFC 2181 §9).
    """
    laid: list[Piece] = []
    complete = True
    for piece in pieces:
        if len(laid) == most:
            break
        if len(piece[0]) > room:
            complete = False
            break
        room -= len(piece[0])
        laid.append(piece)
    beside, count = [], 0
    for _, octets, companions in laid:
        room -= len(octets)
        if room < 0:
            break
        beside.append(octets)
        count += companions
    return b"".join([record for record, _, _ in laid]), len(laid), b"".join(beside), count, complete


def _size_of(pieces: Iterable[Piece]) -> int:
    """Octets of all."""
    return sum([len(record) + len(beside) for record, beside, _ in pieces])


class Alternatives(Protocol):
    """Pieces that are laid down in an order drawn anew each time."""

    @property
    def few(self) -> bool:
        """Worth keeping."""

    def max_size(self) -> int:
        """Octets of all; when they are many, an upper bound."""

    def lay(self, room: int) -> Laid:
        """As many as fit into `room` octets."""


def of_many(piece: Callable[[int], Piece], ranks: Sequence[Rank], most: int | None, random: Random) -> Alternatives:
    """More than MAX_KEPT. `piece(i)` packs the one with `ranks[i]`: only those that are laid. `most` None is all."""
    return _Drawn(piece, ranks, most, random, few=False)


def of_few(
    records: Sequence[bytes],
    beside: Sequence[bytes],
    companions: Sequence[int],
    ranks: Sequence[Rank],
    most: int | None,
    random: Random,
) -> Alternatives:
    """At most MAX_KEPT. The first three: the columns of the pieces."""
    count = len(records)
    are_equal = (most is None or most >= count) and ranks.count(ranks[0]) == count
    if are_equal and count > _MAX_PERMUTED and companions.count(companions[0]) == count:
        return _Ring(records, beside, companions[0], random)
    pieces = list(zip(records, beside, companions, strict=True))
    if are_equal and count <= _MAX_PERMUTED:
        return _Permuted(pieces, random)
    return _Drawn(pieces.__getitem__, ranks, most, random, few=True)


class FirstOnes:
    """Always the first of them, as many as fit, in an order drawn anew; and then all is said (`Cut`)."""

    __slots__ = ("_pieces", "_random")

    def __init__(self, pieces: Sequence[Piece], random: Random) -> None:
        self._pieces = pieces
        self._random = random

    @property
    def few(self) -> bool:
        return len(self._pieces) <= MAX_KEPT

    def max_size(self) -> int:
        return _size_of(self._pieces)

    def lay(self, room: int) -> Laid:
        ends = accumulate([len(record) for record, _, _ in self._pieces])
        fitting = bisect_right(list(ends), room)
        octets, count, beside, besides, _ = lay_in_order(self._random.sample(self._pieces[:fitting], fitting), room)
        return octets, count, beside, besides, True


class _Drawn:
    """A full draw for each reply. Of many, only those that are laid down are packed."""

    __slots__ = ("_most", "_piece", "_random", "_ranks", "few")

    def __init__(
        self, piece: Callable[[int], Piece], ranks: Sequence[Rank], most: int | None, random: Random, few: bool
    ) -> None:
        self._piece = piece
        self._ranks = tuple(ranks)
        self._most = most
        self._random = random
        self.few = few

    def max_size(self) -> int:
        count = len(self._ranks)
        if self.few:
            return _size_of(map(self._piece, range(count)))
        return (_size_of((self._piece(0),)) + _MORE_OR_LESS) * count

    def lay(self, room: int) -> Laid:
        return lay_in_order(map(self._piece, draw(self._ranks, self._random)), room, self._most)


class _Permuted:
    """All orders of a few equal ones, ready."""

    __slots__ = ("_orders", "_pieces", "_random", "_size")

    few = True

    def __init__(self, pieces: list[Piece], random: Random) -> None:
        self._pieces = pieces
        self._size = _size_of(pieces)
        self._orders = [lay_in_order(order, self._size) for order in permutations(pieces)]
        self._random = random

    def max_size(self) -> int:
        return self._size

    def lay(self, room: int) -> Laid:
        if self._size > room:
            return lay_in_order(self._random.sample(self._pieces, len(self._pieces)), room)
        orders = self._orders
        return orders[int(self._random.random() * len(orders))]


class _Ring:
    """Equal ones that have the same number of companions each, twice in a row, so that a whole round can start at any of them.

    It is read a hundred thousand times a second from memory that no cache of the processor holds: few objects, and small. The first reply
    is laid down from the pieces, for most names are asked for once.
    """

    __slots__ = (
        "_beside",
        "_beside_at",
        "_companions",
        "_count",
        "_draw",
        "_pieces",
        "_record_at",
        "_records",
        "_rounds_left",
        "_size",
    )

    few = True

    def __init__(self, records: Sequence[bytes], beside: Sequence[bytes], companions: int, random: Random) -> None:
        self._count = len(records)
        self._companions = companions
        self._draw = random.random
        self._size = sum(map(len, records)) + sum(map(len, beside))
        self._pieces: tuple[Sequence[bytes], Sequence[bytes]] | None = records, beside  # until they stand in a row
        self._rounds_left = 1

    def max_size(self) -> int:
        return self._size

    def lay(self, room: int) -> Laid:
        """Once round from a place drawn at random, or as far as the room goes."""
        if self._pieces is not None:
            if self._rounds_left and self._size <= room:
                self._rounds_left = 0
                answer, additional = map(b"".join, map(self._order(), self._pieces))
                return answer, self._count, additional, self._count * self._companions, True
            self._shuffle(*self._pieces)
        elif not self._rounds_left:
            self._shuffle(_apart(self._records, self._record_at), _apart(self._beside, self._beside_at))
        self._rounds_left -= 1
        number = beside = self._count
        record_at, beside_at = self._record_at, self._beside_at
        first = int(self._draw() * number)
        if self._size > room:
            number = min(number, _fit(record_at, first, room))
            room -= record_at[first + number] - record_at[first]
            beside = min(number, _fit(beside_at, first, room))
        return (
            self._records[record_at[first] : record_at[first + number]],
            number,
            self._beside[beside_at[first] : beside_at[first + beside]],
            beside * self._companions,
            number == self._count,
        )

    def _shuffle(self, records: Sequence[bytes], beside: Sequence[bytes]) -> None:
        order = self._order()
        self._records, self._record_at = _twice(order(records))
        self._beside, self._beside_at = _twice(order(beside)) if self._companions else (b"", self._record_at)
        self._rounds_left = _ROUNDS
        self._pieces = None

    def _order(self) -> _Order:
        """Drawn anew."""
        draw = self._draw
        if self._count <= _MAX_ORDERS:
            orders = _orders(self._count)
            return orders[int(draw() * len(orders))]
        return itemgetter(*sorted(range(self._count), key=lambda index: draw()))  # Random.shuffle takes longer


_Order = Callable[[Sequence[bytes]], tuple[bytes, ...]]


@cache
def _orders(count: int) -> Sequence[_Order]:
    return [itemgetter(*order) for order in permutations(range(count))]


def _fit(places: Sequence[int], first: int, room: int) -> int:
    """How many, from number `first` on, fit into `room` octets."""
    return max(0, bisect_right(places, places[first] + room) - 1 - first)


def _apart(octets: bytes, places: Sequence[int]) -> list[bytes]:
    """What `_twice` has put together."""
    return [octets[start:end] for start, end in pairwise(places[: len(places) // 2 + 1])]


def _twice(octets: tuple[bytes, ...]) -> tuple[bytes, tuple[int, ...]]:
    """All in a row, two times, and where each begins."""
    return b"".join(octets) * 2, _places(tuple(map(len, octets)) * 2)


@lru_cache(maxsize=_MAX_PLACES)
def _places(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Where pieces of these sizes begin, and the last one's end."""
    return (0, *accumulate(sizes))
