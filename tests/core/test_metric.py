"""A histogram counts each value under the smallest bound that is not below it."""

from __future__ import annotations

import pytest

from discovery.core.metric import Histogram


@pytest.mark.parametrize(("value", "place"), [(-1, 0), (0, 0), (1, 0), (1.001, 1), (2, 1), (2.5, 2), (1e9, 2)])
def test_a_bound_belongs_to_its_own_bucket(value: float, place: int) -> None:
    histogram = Histogram((1, 2))
    histogram.observe(value)
    assert (histogram.counts.index(1), sum(histogram.counts), histogram.sum) == (place, 1, value)
