"""Values out of JSON that anybody may have written, by hand or as a newer version: each is what it should be, or a ValueError."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from discovery.core.errors import InvalidField
from discovery.core.schema import Schema

T = TypeVar("T")

# What a field of a body may be: what makes the value of what was sent, or raises InvalidField; and the same as JSON schema.
Rule = tuple[Callable[[str, object], T], Schema]

# The first second that no date can show.
_YEAR_10000 = 253_402_300_800


def text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.80} is no text")
    return value


def number(value: object, most: float = 1e12, what: str = "number from 0 on") -> float:
    """From 0 to less than `most`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < most:
        raise ValueError(f"{value!r:.80} is no {what}")
    return float(value)


def whole(value: object) -> int:
    """0 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r:.80} is no whole number from 0 on")
    return value


def moment(value: object) -> float:
    """Epoch seconds."""
    return number(value, _YEAR_10000, "time in seconds since 1970")


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r:.80} is neither true nor false")
    return value


def or_none(read: Callable[..., T], value: object) -> T | None:
    return None if value is None else read(value)


# -- what a client sent: InvalidField names the field


def whole_of(field: str, least: int, most: int, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidField(field, f"must be a whole number from {least} to {most}")
    return value


def seconds_of(field: str, least: float, most: float, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise InvalidField(field, f"must be a number of seconds from {least:g} to {most:.10g}")
    return float(value)


def flag_of(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidField(field, "must be true or false")
    return value


def whole_between(least: int, most: int) -> Rule[int]:
    schema = {"type": "integer", "minimum": least, "maximum": most}
    return lambda field, value: whole_of(field, least, most, value), schema


def seconds_between(least: float, most: float) -> Rule[float]:
    schema = {"type": "number", "minimum": least, "maximum": most}
    return lambda field, value: seconds_of(field, least, most, value), schema
