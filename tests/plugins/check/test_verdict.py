"""When results become a verdict: tables, and a second opinion that looks back over everything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.core.check import Check
from discovery.plugins.check.watch import Verdict


def verdicts(results: str, failures: int, successes: int) -> str:
    """`.` passed, `x` failed; in the same spelling what it was taken for after each."""
    verdict, check = Verdict(), Check(kind="http", id="http", failures=failures, successes=successes)
    said = ""
    for result in results:
        verdict.note("answered 503" if result == "x" else None, check)
        said += "x" if verdict.failing else "."
    return said


@pytest.mark.parametrize(
    ("failures", "successes", "results", "expected"),
    [
        (1, 1, "x.x.", "x.x."),
        (3, 1, "xx.xx.xxx.", "........x."),
        (3, 1, "xxxxxxx...", "..xxxxx..."),
        (1, 3, "x..x..x...", "xxxxxxxxx."),
        (2, 2, "xx.x..xx", ".xxxx..x"),
        (100, 1, "x" * 100, "." * 99 + "x"),
    ],
)
def test_only_so_many_in_a_row_change_the_verdict(failures: int, successes: int, results: str, expected: str) -> None:
    assert verdicts(results, failures, successes) == expected


def test_a_new_instance_passes_until_it_failed_as_often_as_it_may() -> None:
    assert Verdict().failing is None
    assert verdicts("xx", failures=3, successes=1) == ".."


def test_the_reason_is_the_failure_that_settled_it() -> None:
    verdict, check = Verdict(), Check(kind="http", id="http", failures=2)
    for failure in ("connection refused", "answered 503", "no answer within 2 s"):
        verdict.note(failure, check)
    assert verdict.failing == "answered 503"


def end_of_last(run: str, results: str) -> int:
    """0 without one."""
    found = results.rfind(run)
    return found + len(run) if found >= 0 else 0


@given(st.text("x.", max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_it_is_what_the_latest_run_that_was_long_enough_says(results: str, failures: int, successes: int) -> None:
    expected = ""
    for end in range(1, len(results) + 1):
        past = results[:end]
        expected += "x" if end_of_last("x" * failures, past) > end_of_last("." * successes, past) else "."
    assert verdicts(results, failures, successes) == expected
