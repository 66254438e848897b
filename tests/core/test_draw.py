"""Orders drawn by priority and weight."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.draw import draw

ROUNDS = 4000


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 65535)), max_size=100), st.integers(0, 99))
def test_a_draw_is_a_permutation_that_keeps_the_priorities(ranks: list[tuple[int, int]], seed: int) -> None:
    drawn = draw(ranks, Random(seed))
    assert sorted(drawn) == list(range(len(ranks)))
    priorities = [ranks[index][0] for index in drawn]
    assert priorities == sorted(priorities)


def test_within_a_priority_the_first_is_drawn_by_weight() -> None:
    random = Random(1)
    first = Counter(draw([(10, 10), (10, 90), (10, 0)], random)[0] for _ in range(ROUNDS))
    assert first[1] / ROUNDS == pytest.approx(0.9, abs=0.03)
    assert first[2] / ROUNDS < 0.02
