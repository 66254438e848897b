"""The sketch against a plain count: never too high, never lower than it says, nothing heavy is missing, and bounded."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from discovery.plugins.top.sketch import Heavy, Sketch, Window

STREAM = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20)), max_size=300)


@given(STREAM, st.integers(1, 12))
def test_a_count_is_never_too_high_and_at_most_error_too_low(stream: list[tuple[int, int]], most: int) -> None:
    sketch, real = Sketch[int](most), Counter[int]()
    for key, number in stream:
        sketch.add(key, number)
        real[key] += number
        assert len(sketch.counts) <= most
    for key, number in real.items():
        assert number - sketch.error <= sketch.counts.get(key, 0) <= number
    assert sketch.error <= 2 * sum(real.values()) / (most + 1) + 20


def test_a_flood_of_random_keys_hides_nobody_who_is_heavy() -> None:
    sketch = Sketch[str](64)
    for number in range(20_000):
        sketch.add(f"random-{number}", 1)
        if number % 10 == 0:
            sketch.add("heavy", 1)
    assert max(sketch.counts, key=lambda key: sketch.counts[key]) == "heavy"
    assert 2000 - sketch.error <= sketch.counts["heavy"] <= 2000


def test_a_window_is_the_last_pieces_of_time() -> None:
    window = Window[str](10, 3, 60.0)
    for minute in range(5):
        window.add("always", 1, minute * 60.0 + 5)
        window.add(f"minute-{minute}", 10, minute * 60.0 + 59)
    assert window.top(2, 1, 299.0) == [Heavy("minute-4", 10, 0), Heavy("always", 1, 0)]
    assert [heavy.key for heavy in window.top(10, 3, 299.0)] == ["minute-2", "minute-3", "minute-4", "always"]
    assert window.top(1, 3, 299.0)[0].number == 10
    assert window.top(10, 3, 420.0) == []  # the minutes 5, 6 and 7
    assert window.top(10, 3, 419.0) == [Heavy("minute-4", 10, 0), Heavy("always", 1, 0)]
    assert window.top(10, 3, 1000.0) == []
