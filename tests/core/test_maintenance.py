"""A maintenance window as a client asks for it: a reason, and a time or a number of seconds."""

from __future__ import annotations

import pytest

from discovery.core.errors import InvalidField
from discovery.core.instance import Key
from discovery.core.maintenance import MAX_REASON, MAX_SECONDS, Scope, Window

WALL = 1_700_000_000.0  # 2023-11-14T22:13:20Z


@pytest.mark.parametrize(
    ("until", "seconds", "end"),
    [
        (None, 60, WALL + 60),
        (None, 0.5, WALL + 0.5),
        (None, MAX_SECONDS, WALL + MAX_SECONDS),
        ("2023-11-14T22:13:21Z", None, WALL + 1),
        ("2023-11-14T23:13:21+01:00", None, WALL + 1),
        ("2023-11-14T22:13:20.500Z", None, WALL + 0.5),
        ("2023-12-14T22:13:20Z", None, WALL + MAX_SECONDS),
    ],
)
def test_it_ends_at_a_time_or_after_some_seconds(until: object, seconds: object, end: float) -> None:
    assert Window.of("upgrade", until, seconds, WALL) == Window("upgrade", end)


def test_blanks_around_the_reason_are_dropped() -> None:
    assert Window.of("  new disk \n", None, 60, WALL).reason == "new disk"
    assert Window.of(" " + "x" * MAX_REASON + " ", None, 60, WALL).reason == "x" * MAX_REASON


REFUSED: list[tuple[object, object, object, str]] = [
    (None, None, 60, "reason"),
    ("", None, 60, "reason"),
    ("  ", None, 60, "reason"),
    (7, None, 60, "reason"),
    ("x" * (MAX_REASON + 1), None, 60, "reason"),
    ("why", None, None, "until"),
    ("why", "2023-11-14T22:13:21Z", 60, "until"),
    ("why", "2023-11-14T22:13:20Z", None, "until"),
    ("why", "2023-11-14T22:13:19Z", None, "until"),
    ("why", "2023-12-14T22:13:21Z", None, "until"),
    ("why", "2023-11-14T22:13:21", None, "until"),  # whose midnight?
    ("why", "tomorrow", None, "until"),
    ("why", WALL + 60, None, "until"),
    ("why", None, 0, "seconds"),
    ("why", None, -1, "seconds"),
    ("why", None, MAX_SECONDS + 1, "seconds"),
    ("why", None, "60", "seconds"),
    ("why", None, True, "seconds"),
    ("why", None, float("nan"), "seconds"),
    ("why", None, float("inf"), "seconds"),
]


@pytest.mark.parametrize(("reason", "until", "seconds", "field"), REFUSED)
def test_anything_else_is_refused_with_the_field_at_fault(
    reason: object, until: object, seconds: object, field: str
) -> None:
    with pytest.raises(InvalidField) as caught:
        Window.of(reason, until, seconds, WALL)
    assert caught.value.field == field


def test_an_absurd_time_is_refused_too() -> None:
    for until in ("0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59-12:00"):
        with pytest.raises(InvalidField):
            Window.of("why", until, None, WALL)


def test_a_scope_is_an_instance_or_all_of_a_service() -> None:
    scope = Scope.of(Key("web", "10.0.0.1", 80))
    assert scope == ("web", "10.0.0.1", 80)
    assert Scope("web") == ("web", None, None)
    assert scope != Scope("web")


def test_a_number_too_long_for_any_clock_is_refused_too() -> None:
    with pytest.raises(InvalidField):
        Window.of("why", None, 10**400, WALL)
