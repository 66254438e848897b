"""Active checks as a client asks for them: what is understood, and what is refused with the part at fault."""

from __future__ import annotations

import pytest

from discovery.core.check import MAX_COUNT, MAX_PATH, TCP, Check, as_check
from discovery.core.errors import InvalidField
from discovery.core.instance import Registration


@pytest.mark.parametrize(
    ("value", "check"),
    [
        ({"http": "/health"}, Check(kind="http", id="http", path="/health")),
        ({"tcp": True}, Check(kind=TCP, id=TCP)),
        ({"http": "/"}, Check(kind="http", id="http", path="/")),
        ({"http": "/a/b?c=d&e=%20"}, Check(kind="http", id="http", path="/a/b?c=d&e=%20")),
        ({"http": "/" + "x" * (MAX_PATH - 1)}, Check(kind="http", id="http", path="/" + "x" * (MAX_PATH - 1))),
        ({"tcp": True, "http": None}, Check(kind=TCP, id=TCP)),
        ({"tcp": True, "interval": 1}, Check(kind=TCP, id=TCP, interval=1.0)),
        ({"tcp": True, "interval": 3600}, Check(kind=TCP, id=TCP, interval=3600.0)),
        ({"tcp": True, "timeout": 0.1}, Check(kind=TCP, id=TCP, timeout=0.1)),
        ({"tcp": True, "timeout": 60, "interval": 60}, Check(kind=TCP, id=TCP, timeout=60.0, interval=60.0)),
        (
            {"tcp": True, "failures": 1, "successes": MAX_COUNT},
            Check(kind=TCP, id=TCP, failures=1, successes=MAX_COUNT),
        ),
    ],
)
def test_a_check_is_an_http_path_or_tcp_and_numbers_within_bounds(value: object, check: Check) -> None:
    assert Check.of(value) == check


def test_the_defaults_are_what_people_expect() -> None:
    check = Check.of({"tcp": True})
    assert (check.interval, check.timeout, check.failures, check.successes) == (10.0, 2.0, 3, 1)


REFUSED: list[tuple[object, str]] = [
    (None, "check"),
    ("/health", "check"),
    ([], "check"),
    ({}, "check"),
    ({"http": "/health", "tcp": True}, "check"),
    ({"tcp": False}, "check.tcp"),
    ({"tcp": "yes"}, "check.tcp"),
    ({"tcp": 1}, "check.tcp"),
    ({"http": None, "tcp": None}, "check"),
    ({"tcp": True, "cmd": "rm -rf /"}, "check.cmd"),
    ({"http": ""}, "check.http"),
    ({"http": "health"}, "check.http"),
    ({"http": "http://169.254.169.254/"}, "check.http"),
    ({"http": "/a b"}, "check.http"),
    ({"http": "/a\r\nHost: elsewhere"}, "check.http"),
    ({"http": "/a\n"}, "check.http"),
    ({"http": "/a#fragment"}, "check.http"),
    ({"http": "/\u00e9"}, "check.http"),
    ({"http": 1}, "check.http"),
    ({"http": "/" + "x" * MAX_PATH}, "check.http"),
    ({"tcp": True, "interval": 0.9}, "check.interval"),
    ({"tcp": True, "interval": 3601}, "check.interval"),
    ({"tcp": True, "interval": "10"}, "check.interval"),
    ({"tcp": True, "interval": True}, "check.interval"),
    ({"tcp": True, "interval": float("nan")}, "check.interval"),
    ({"tcp": True, "interval": float("inf")}, "check.interval"),
    ({"tcp": True, "interval": None}, "check.interval"),
    ({"tcp": True, "timeout": 0}, "check.timeout"),
    ({"tcp": True, "timeout": 61}, "check.timeout"),
    ({"tcp": True, "failures": 0}, "check.failures"),
    ({"tcp": True, "failures": MAX_COUNT + 1}, "check.failures"),
    ({"tcp": True, "failures": 1.5}, "check.failures"),
    ({"tcp": True, "failures": True}, "check.failures"),
    ({"tcp": True, "successes": 0}, "check.successes"),
    ({"tcp": True, "successes": "1"}, "check.successes"),
]


@pytest.mark.parametrize(("value", "field"), REFUSED)
def test_anything_else_is_refused_with_the_part_at_fault(value: object, field: str) -> None:
    with pytest.raises(InvalidField) as caught:
        Check.of(value)
    assert caught.value.field == field
    assert len(str(caught.value)) < 300


def test_a_field_that_there_is_not_is_named_with_those_there_are() -> None:
    with pytest.raises(InvalidField, match=r"intervall.*interval, timeout, failures, successes"):
        Check.of({"tcp": True, "intervall": 5})


def test_the_longest_time_is_told_in_digits() -> None:
    with pytest.raises(InvalidField, match=r"from 1 to 2592000$"):
        Check.of({"ttl": 5, "criticalAfter": 30 * 86400 + 1}, "checks[0]")


@pytest.mark.parametrize("value", [{"tcp": True}, {"http": "/health", "interval": 30, "failures": 5}])
def test_what_is_shown_can_be_sent_again(value: object) -> None:
    check = Check.of(value)
    assert Check.of(as_check((check,))) == check


def test_a_registration_has_one_or_none() -> None:
    assert Registration.of("web", "10.0.0.1", 80).checks == ()
    assert Registration.of("web", "10.0.0.1", 80, checks={"tcp": True}).checks == (Check(kind=TCP, id=TCP),)
    with pytest.raises(InvalidField, match="check"):
        Registration.of("web", "10.0.0.1", 80, checks={"tcp": False})
