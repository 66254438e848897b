"""Readings into slots: differences, gaps, clocks that are set, whole minutes, percentiles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.plugins.rates.series import COLUMNS, SLOTS, Reading, Samples, percentile

START = 1_769_860_800  # 2026-01-31T12:00:00Z, a whole minute


def reading(number: int, *, nxdomain: int = 0, instances: int = 3) -> Reading:
    """After so many queries, each answered within 10 µs."""
    return Reading(number, nxdomain, 0, 0, number // 10, 0, 0, instances, [0, number, *[0] * 12], [])


def filled(*seconds: tuple[int, int]) -> Samples:
    """At the end of second START + n so many queries had come."""
    series = Samples()
    series.begin(reading(100))
    for second, number in seconds:
        series.add(START + second, reading(number))
    return series


def queries(shown: dict[str, list[float | None]]) -> list[float | None]:
    return shown["dnsQueriesPerSecond"]


def test_a_second_has_what_came_in_it_and_what_came_before_the_start_is_in_none() -> None:
    shown = filled((0, 150), (1, 150), (2, 157)).seconds(START + 3)
    assert queries(shown) == [*[None] * 57, 50, 0, 7]
    assert (shown["from"], shown["step"]) == ("2026-01-31T11:59:03.000Z", 1)
    assert shown["registrations"][-3:] == [5, 0, 0]
    assert shown["instances"][-1] == 3
    assert all(len(shown[name]) == SLOTS for name in COLUMNS)


def test_where_the_process_stood_still_there_is_a_gap_and_what_came_is_where_it_was_seen() -> None:
    shown = filled((0, 110), (4, 150), (5, 160)).seconds(START + 6)
    assert queries(shown)[-6:] == [10, None, None, None, 40, 10]
    assert shown["measured"][-6:] == [1, None, None, None, 1, 1]


def test_what_is_too_long_ago_is_gone_and_what_is_not_over_is_not_there() -> None:
    series = filled(*((second, 101 + second) for second in range(200)))
    assert queries(series.seconds(START + 200)) == [1] * 60
    assert queries(series.seconds(START + 230)) == [1] * 30 + [None] * 30
    assert queries(series.seconds(START + 10_000)) == [None] * 60


def test_a_minute_is_shown_when_it_is_over_and_is_the_mean_of_what_was_measured() -> None:
    series = filled(*((second, 100 + 6 * (second + 1)) for second in range(150) if second < 60 or second >= 105))
    shown = series.minutes(START + 150)
    assert (shown["from"], shown["step"]) == ("2026-01-31T11:02:00.000Z", 60)
    assert queries(shown)[-3:] == [None, 6, (15 * 6 + 45 * 6) / 15]
    assert shown["measured"][-2:] == [60, 15]
    assert shown["registrations"][-2] == 36
    assert shown["dnsP50Ms"][-2] == 0.0075


def test_a_clock_that_is_set_back_begins_anew_there() -> None:
    series = filled((10, 110), (11, 130), (3, 131), (4, 133))
    assert queries(series.seconds(START + 5))[-2:] == [1, 2]
    assert queries(series.seconds(START + 12))[-9:] == [1, 2, *[None] * 7]
    series = filled((59, 110), (60, 210), (59, 211))
    assert queries(series.seconds(START + 60))[-1] == queries(series.minutes(START + 60))[-1] == 1


def test_two_readings_of_one_second_add_up() -> None:
    shown = filled((0, 110), (0, 115)).seconds(START + 1)
    assert (shown["measured"][-1], shown["registrations"][-1]) == (2, 1)
    assert queries(shown)[-1] == 7.5


def test_the_share_of_names_that_nobody_has() -> None:
    series = Samples()
    series.begin(reading(0))
    series.add(START, reading(8, nxdomain=2))
    series.add(START + 1, reading(8, nxdomain=2))
    assert series.seconds(START + 2)["nxdomainShare"][-2:] == [0.25, None]


@pytest.mark.parametrize(
    ("counts", "share", "ms"),
    [
        ([0, 0, 0], 0.5, None),
        ([10, 0, 0], 0.5, 500),
        ([0, 10, 0], 0.5, 1500),
        ([5, 5, 0], 0.99, 1980),
        ([50, 0, 50], 0.5, 1000),
        ([0, 0, 1], 0.5, 2000),  # above all bounds
    ],
)
def test_a_percentile_lies_between_its_bounds(counts: list[int], share: float, ms: float | None) -> None:
    assert percentile(counts, (1.0, 2.0), share) == ms


@given(st.lists(st.integers(0, 50), min_size=14, max_size=14), st.floats(0.01, 0.99))
def test_a_percentile_is_in_the_bucket_of_the_value_that_it_stands_for(counts: list[int], share: float) -> None:
    bounds = [float(each) for each in range(1, 14)]
    values = sorted(min(bucket + 1.0, 13.0) for bucket, count in enumerate(counts) for _ in range(count))
    found = percentile(counts, bounds, share)
    if not values:
        assert found is None
        return
    assert found is not None
    exact = values[max(0, -(-int(share * 1e9) * len(values) // 10**9) - 1)]
    assert exact - 1.001 <= found / 1000 <= exact + 0.001
