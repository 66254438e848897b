"""Orders of alternatives and what is cut from them: seeded draws, and sums that a plain list of pieces confirms."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate, permutations
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discovery.dns.message import template as templates
from discovery.dns.message.edns import parse as parse_opt
from discovery.dns.message.query import Transport
from discovery.dns.message.template import MAX_KEPT, Alternatives, Piece, lay_in_order
from discovery.dns.message.values import RR, Answer, Cut, Question, Rank, Type
from discovery.dns.message.wire import Template
from tests.examples import examples

ROUNDS = 2000
BIG = 1_000_000


class Down(NamedTuple):
    """What was laid down."""

    answer: bytes
    answer_count: int
    additional: bytes
    additional_count: int
    complete: bool


def piece(index: int, size: int = 4, beside: int = 0) -> Piece:
    """Its record is `size` octets of its number; so is what goes with it."""
    number = index.to_bytes(2, "big")
    return (number * size)[: max(size, 2)], (number * beside)[:beside], 1 if beside else 0


def alternatives(
    ranks: Sequence[Rank], most: int | None = None, seed: int = 1, make: Callable[[int], Piece] = piece
) -> Alternatives:
    if len(ranks) > MAX_KEPT:
        return templates.of_many(make, ranks, most, Random(seed))
    records, beside, companions = zip(*map(make, range(len(ranks))), strict=True)
    return templates.of_few(records, beside, companions, ranks, most, Random(seed))


def lay(drawn: Alternatives, room: int = BIG) -> Down:
    return Down(*drawn.lay(room))


def order(laid: Down, size: int = 4) -> tuple[int, ...]:
    """Which pieces, of equal size, were laid down."""
    return tuple(int.from_bytes(laid.answer[at : at + 2], "big") for at in range(0, len(laid.answer), size))


def equal(count: int) -> list[Rank]:
    return [(10, 100)] * count


# -- orders


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_up_to_four_equal_ones_come_in_every_order_equally_often(count: int) -> None:
    drawn = alternatives(equal(count))
    rounds = 8 * ROUNDS  # a ring is shuffled 250 times in these
    seen = Counter(order(lay(drawn)) for _ in range(rounds))
    assert seen.keys() == set(permutations(range(count)))
    for times in seen.values():
        assert times / rounds == pytest.approx(1 / len(seen), abs=0.03)


@pytest.mark.parametrize("count", [5, 10, MAX_KEPT, MAX_KEPT + 1, 200])
def test_more_equal_ones_each_stand_at_each_place_equally_often(count: int) -> None:
    drawn = alternatives(equal(count))
    orders = [order(lay(drawn)) for _ in range(ROUNDS)]
    assert all(sorted(one) == list(range(count)) for one in orders)
    for place in (0, 1, count // 2, count - 1):
        first_half = sum(one[place] < count // 2 for one in orders)
        assert first_half / ROUNDS == pytest.approx(count // 2 / count, abs=0.05)
    if count <= 10:
        for times in Counter(one[0] for one in orders).values():
            assert times / ROUNDS == pytest.approx(1 / count, abs=0.03)


def test_a_ring_is_shuffled_again_so_that_neighbours_do_not_stay_neighbours() -> None:
    """Were it only turned, who comes after 0 would always be the same, and would get all the load when 0 fails."""
    drawn = alternatives(equal(8))
    after = Counter[int]()
    for _ in range(8 * ROUNDS):
        one = order(lay(drawn))
        after[one[(one.index(0) + 1) % 8]] += 1
    assert after.keys() == set(range(1, 8))
    for times in after.values():
        assert times / (8 * ROUNDS) == pytest.approx(1 / 7, abs=0.06)


@pytest.mark.parametrize("count", [2, 4, 10, 100])
def test_the_same_seed_gives_the_same_orders(count: int) -> None:
    one, two = alternatives(equal(count), seed=5), alternatives(equal(count), seed=5)
    assert [lay(one) for _ in range(100)] == [lay(two) for _ in range(100)]


def test_rfc2782_lower_priorities_first_and_within_one_by_weight() -> None:
    ranks = [(20, 65535), (10, 10), (10, 90), (30, 0), (10, 0)]
    drawn = alternatives(ranks)
    orders = [order(lay(drawn)) for _ in range(ROUNDS)]
    assert all(set(one[:3]) == {1, 2, 4} and one[3:] == (0, 3) for one in orders)
    first = Counter(one[0] for one in orders)
    assert first[2] / ROUNDS == pytest.approx(0.9, abs=0.03)
    assert 0 <= first[4] / ROUNDS < 0.02


# -- cut


SIZES = st.lists(st.tuples(st.integers(2, 40), st.sampled_from([0, 0, 16, 28])), min_size=1, max_size=MAX_KEPT + 6)


@settings(max_examples=examples(200))
@given(
    SIZES,
    st.booleans(),
    st.one_of(st.none(), st.integers(1, 80)),
    st.integers(0, 1500),
    st.integers(0, 9),
    st.integers(1, 3),
)
def test_what_is_laid_down_is_the_longest_beginning_of_an_order_that_fits(
    sizes: list[tuple[int, int]], alike: bool, most: int | None, room: int, seed: int, rounds: int
) -> None:
    pieces = [piece(index, *size) for index, size in enumerate(sizes)]
    ranks = equal(len(pieces)) if alike else [(index % 2, index) for index in range(len(pieces))]
    laying = alternatives(ranks, most, seed, pieces.__getitem__)
    for _ in range(rounds):
        laid = lay(laying, room)
        laid_down = _pieces_of(laid, pieces)
        assert len(set(laid_down)) == len(laid_down) == laid.answer_count
        wanted = min(len(pieces), most or len(pieces))
        assert laid.complete == (len(laid_down) == wanted), "whatever becomes of what goes with them (RFC 2181 §9)"
        left = room - len(laid.answer)
        if not laid.complete:
            missing = [len(each[0]) for index, each in enumerate(pieces) if index not in laid_down]
            assert max(missing) > left, "greedy: some next one did not fit"
        beside = [pieces[index] for index in laid_down]
        needed = list(accumulate(len(each[1]) for each in beside))
        fit = sum(size <= left for size in needed)
        assert laid.additional == b"".join(each[1] for each in beside[:fit]), "in the same order, as far as it goes"
        assert laid.additional_count == sum(each[2] for each in beside[:fit])
        if not alike:
            priorities = [ranks[index][0] for index in laid_down]
            assert priorities == sorted(priorities)


def _pieces_of(laid: Down, pieces: Sequence[Piece]) -> list[int]:
    """Walks the records by the number that each begins with."""
    found, at = [], 0
    while at < len(laid.answer):
        index = int.from_bytes(laid.answer[at : at + 2], "big")
        assert laid.answer[at : at + len(pieces[index][0])] == pieces[index][0]
        found.append(index)
        at += len(pieces[index][0])
    return found


@pytest.mark.parametrize("room", [-1, -500, 0, 3])
@pytest.mark.parametrize("count", [1, 4, 5, 64, 65])
def test_without_room_for_one_nothing_is_laid_down(count: int, room: int) -> None:
    assert lay(alternatives(equal(count)), room) == Down(b"", 0, b"", 0, False)


@pytest.mark.parametrize("count", [3, 10, 70])
def test_room_for_exactly_all_is_enough_and_an_octet_less_is_not(count: int) -> None:
    drawn = alternatives(equal(count))
    for _ in range(10):
        assert lay(drawn, 4 * count).complete
        assert lay(drawn, 4 * count - 1).answer_count == count - 1


@pytest.mark.parametrize("most", [1, 2, 5, 9, 10, 11])
@pytest.mark.parametrize("count", [3, 10, 70])
def test_most_is_no_cut_and_everyone_gets_a_turn(count: int, most: int) -> None:
    drawn = alternatives(equal(count), most)
    seen: Counter[int] = Counter()
    for _ in range(ROUNDS):
        laid = lay(drawn)
        assert laid.complete
        assert laid.answer_count == min(most, count)
        seen.update(order(laid))
    for index in range(count):
        assert seen[index] / ROUNDS == pytest.approx(min(most, count) / count, abs=0.06)


def test_of_more_than_are_kept_only_those_that_are_laid_are_packed() -> None:
    packed: list[int] = []

    def make(index: int) -> Piece:
        packed.append(index)
        return piece(index)

    many = alternatives(equal(1000), make=make)
    assert not packed
    assert not many.few
    assert lay(many, 40).answer_count == 10
    assert len(packed) <= 11, "the one that did not fit too"
    assert alternatives(equal(MAX_KEPT), make=make).few


@given(SIZES, st.integers(-5, 800), st.one_of(st.none(), st.integers(0, 20)))
def test_in_order_means_from_the_first_on(sizes: list[tuple[int, int]], room: int, most: int | None) -> None:
    pieces = [piece(index, *size) for index, size in enumerate(sizes)]
    laid = Down(*lay_in_order(pieces, room, most))
    assert _pieces_of(laid, pieces) == list(range(laid.answer_count))
    assert laid.complete == (laid.answer_count == min(len(pieces), len(pieces) if most is None else most))
    assert len(laid.answer) + len(laid.additional) <= max(room, 0)


# -- whole templates


def template(answer: Answer) -> Template:
    return Template(Question((b"web", b"svc"), Type.TXT), answer, Random(1))


def test_small_is_said_of_small_templates_whether_of_alternatives_or_not() -> None:
    """Only what is small is worth keeping."""
    rrs = [RR((b"web", b"svc"), Type.TXT, 5, b"\1x") for _ in range(600)]
    assert template(Answer.of(rrs[:3])).small
    assert template(Answer.of(rrs[:3])._replace(ranks=tuple(equal(3)))).small
    assert not template(Answer.of(rrs)._replace(ranks=tuple(equal(600)))).small
    assert not template(Answer.of(rrs)).small


ANSWERS = {
    "in order": Answer.of([RR((b"web", b"svc"), Type.TXT, 5, b"\1x")]),
    "alternatives": Answer.of([RR((b"web", b"svc"), Type.TXT, 5, b"\1x")])._replace(ranks=tuple(equal(1))),
    "behind an alias": Answer.of([RR((b"web", b"svc"), Type.TXT, 5, b"\1x")] * 2)._replace(
        ranks=tuple(equal(1)), aliases=1
    ),
    "nothing": Answer.nodata(),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_a_template_that_is_dropped_is_gone_without_the_collector(answer: Answer) -> None:
    """The server's collector never looks at what is old (`cli.collector`), so a circle in a template is never freed."""
    gc.disable()
    try:
        made = template(answer)
        made.reply(b"id", 0, b"", None, b"", Transport())
        gone = weakref.ref(made)
        del made
        assert gone() is None
    finally:
        gc.enable()


@given(st.lists(st.integers(2, 60), min_size=1, max_size=90), st.integers(0, 900))
def test_the_first_ones_are_always_the_same_and_say_nothing_of_the_others(sizes: list[int], room: int) -> None:
    pieces = [piece(index, size, beside=size) for index, size in enumerate(sizes)]
    drawn = templates.FirstOnes(pieces, Random(1))
    fitting = sum(end <= room for end in accumulate(sizes))
    for _ in range(3):
        laid = lay(drawn, room)
        assert (laid.answer_count, laid.complete) == (fitting, True)
        assert Counter(laid.answer) == Counter(b"".join(each[0] for each in pieces[:fitting]))
        assert len(laid.answer) + len(laid.additional) <= room
    assert drawn.few == (len(sizes) <= MAX_KEPT)


@pytest.mark.parametrize(
    ("silent", "size", "limit"), [(True, 8192, 4096), (True, 1000, 1000), (False, 8192, 4096), (True, 0, 512)]
)
def test_a_cut_of_its_own_has_its_limit_and_tc_unless_it_is_silent(silent: bool, size: int, limit: int) -> None:
    records = tuple(RR((b"web",), Type.A, 5, number.to_bytes(4, "big")) for number in range(600))
    answer = Answer(answer=records, ranks=((10, 100),) * 600, cut=Cut(4096, silent))
    opt = b"\0\0\x29" + size.to_bytes(2, "big") + bytes(6)
    reply = Template(Question((b"web",), Type.A), answer, Random(1)).reply(
        b"id", 0, b"\3web\0\0\1\0\1", parse_opt(opt) if size else None, b"", Transport(datagram=True)
    )
    assert limit - 16 < len(reply) <= limit
    assert bool(reply[2] & 2) is not silent
