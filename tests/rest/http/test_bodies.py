"""Large bodies on their way: whose go when there are too many, against a list of all that are held."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from discovery.rest.http.bodies import MAX_BODIES, SMALL, Bodies

LARGE = MAX_BODIES // 8


@dataclass(eq=False)
class Fake:
    prefix: str
    gave_up: bool = field(default=False, init=False)

    def give_up_body(self) -> None:
        self.gave_up = True


def test_the_oldest_of_the_largest_holder_goes() -> None:
    bodies = Bodies()
    mallory, alice = [Fake("mallory") for _ in range(8)], Fake("alice")
    for each in mallory:
        bodies.grown(each, LARGE)
    bodies.grown(alice, LARGE)
    bodies.grown(alice, 2 * LARGE)
    assert [each.gave_up for each in mallory] == [True, True] + [False] * 6
    assert not alice.gave_up
    assert len(bodies) == MAX_BODIES


def test_many_small_holders_lose_nothing_to_a_large_one() -> None:
    bodies = Bodies()
    others, mallory = [Fake(f"client {number}") for number in range(4)], Fake("mallory")
    for each in others:
        bodies.grown(each, LARGE)
    bodies.grown(mallory, 5 * LARGE)
    assert mallory.gave_up, "the largest holder is the one that came last"
    assert not any(each.gave_up for each in others)


def test_small_bodies_are_not_counted_and_what_is_done_is_not_held() -> None:
    bodies, one = Bodies(), Fake("a")
    bodies.grown(one, SMALL)
    assert len(bodies) == 0
    bodies.grown(one, SMALL + 1)
    assert len(bodies) == SMALL + 1
    bodies.done(one)
    bodies.done(one)
    assert len(bodies) == 0
    assert not bodies._coming
    assert not bodies._sums


def test_one_that_is_whole_counts_and_is_not_given_up() -> None:
    bodies, whole, coming, last = Bodies(), Fake("a"), Fake("a"), Fake("b")
    bodies.grown(whole, 5 * LARGE)
    bodies.whole(whole)
    bodies.grown(coming, 3 * LARGE)
    bodies.grown(last, LARGE)
    assert [each.gave_up for each in (whole, coming, last)] == [False, True, False]
    bodies.grown(last, 4 * LARGE)
    assert [each.gave_up for each in (whole, last)] == [False, True], "nobody else is sending"
    assert len(bodies) == 5 * LARGE
    bodies.done(whole)
    assert len(bodies) == 0
    assert not any((bodies._coming, bodies._whole, bodies._sums))


_WHOLE = 5


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.integers(0, _WHOLE)), max_size=60))
def test_the_sum_is_right_and_never_too_large(steps: list[tuple[str, int, int]]) -> None:
    bodies, fakes, held = (
        Bodies(),
        {(name, number): Fake(name) for name in "abc" for number in range(10)},
        dict[Fake, int](),
    )
    whole: set[Fake] = set()
    for name, number, size in steps:
        fake = fakes[name, number]
        if size == _WHOLE:
            bodies.whole(fake)
            whole.update({fake} & held.keys())
        elif size:
            if fake in whole:
                continue
            held[fake] = max(held.get(fake, 0), size * LARGE)
            fake.gave_up = False
            bodies.grown(fake, held[fake])
            for gone in [one for one in held if one.gave_up]:
                del held[gone]
        else:
            held.pop(fake, None)
            whole.discard(fake)
            bodies.done(fake)
        assert whole <= held.keys()
        assert len(bodies) == sum(held.values()) <= MAX_BODIES
