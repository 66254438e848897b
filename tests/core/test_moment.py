"""Moments as people write them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.moment import NoMoment, parse, short
from discovery.rest.api.times import iso

# 2026-01-31 12:00:00 UTC
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()
MIDNIGHT = NOON - 43200


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-01-31T03:12:00Z", MIDNIGHT + 11520),
        ("2026-01-31T03:12:00.250Z", MIDNIGHT + 11520.25),
        ("2026-01-31T04:12:00+01:00", MIDNIGHT + 11520),
        ("2026-01-31T04:12:00 01:00", MIDNIGHT + 11520),  # a + that a URL made a blank of
        ("2026-01-31T03:12", MIDNIGHT + 11520),
        ("2026-01-31 03:12", MIDNIGHT + 11520),
        ("2026-01-31", MIDNIGHT),
        ("03:12", MIDNIGHT + 11520),
        ("3:12", MIDNIGHT + 11520),
        ("03:12:30.5", MIDNIGHT + 11550.5),
        ("12:00", NOON),
        ("12:01", NOON + 60 - 86400),  # not yet today
        ("23:59", MIDNIGHT - 60),
        ("now", NOON),
        (" now ", NOON),
        ("-2h", NOON - 7200),
        ("2h", NOON - 7200),
        ("-1h30m", NOON - 5400),
        ("90s", NOON - 90),
        ("-2d", NOON - 172800),
        ("1w", NOON - 604800),
        ("1769829120", 1769829120.0),
        ("1769829120.25", 1769829120.25),
    ],
)
def test_a_moment_can_be_given_in_any_of_these_forms(text: str, seconds: float) -> None:
    assert parse(text, NOON) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "24:00", "03:60", "3", "0312", "20260131", "1769829120000", "2026-13-01", "2026-01-31T25:00Z", "2026-W05-6",
        "-2y", "2 h", "h", "--2h", "1969-12-31T23:59:59Z", "9999-12-31T23:59Z",
        "9999999999w", "99999999w", "0001-01-01T00:00+23:59", "٠٣:١٢", "03:12\n-2h",
        "1e9", "nan", "x" * 10_000,
    ],
)  # fmt: skip
def test_what_is_no_moment_is_refused_with_examples(text: str) -> None:
    with pytest.raises(NoMoment, match="write 2026-01-31T03:12:00Z, 03:12") as refused:
        parse(text, NOON)
    assert len(str(refused.value)) < 250


def test_what_the_error_quotes_cannot_reach_a_terminal_raw() -> None:
    with pytest.raises(NoMoment) as refused:
        parse("\x1b[2J\u202e03:12", NOON)
    assert str(refused.value).isprintable()
    assert str(refused.value).isascii()


@given(st.text(max_size=80))
def test_any_text_is_a_moment_or_an_error(text: str) -> None:
    with suppress(NoMoment):
        assert parse(text, NOON) >= 0


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_a_time_of_an_answer_can_be_asked_for(milliseconds: int) -> None:
    shown = iso(milliseconds / 1000)
    assert iso(parse(shown, NOON) + 1e-6) == shown


@given(st.floats(min_value=0, max_value=4_000_000_000), st.floats(min_value=-100_000, max_value=100_000))
def test_what_a_sentence_says_of_a_moment_can_be_asked_for_at_that_time(wall: float, apart: float) -> None:
    moment = max(0.0, wall + apart)
    shown = short(moment, wall)
    assert len(shown) == (len("03:12:00Z") if abs(wall - moment) < 43_200 else len("2026-01-31T03:12:00Z"))
    if moment <= wall:
        assert parse(shown, wall) == int(moment)
