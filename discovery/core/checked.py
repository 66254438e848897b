"""Values out of JSON that anybody may have written, by hand or as a newer version: each is what it should be, or a ValueError."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# The first second that no date can show.
_YEAR_10000 = 253_402_300_800


def text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.80} is no text")
    return value


def number(value: object, most: float = 1e12) -> float:
    """0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < most:
        raise ValueError(f"{value!r:.80} is no number from 0 on")
    return float(value)


def whole(value: object) -> int:
    """0 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r:.80} is no whole number from 0 on")
    return value


def moment(value: object) -> float:
    """Epoch seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _YEAR_10000:
        raise ValueError(f"{value!r:.80} is no time in seconds since 1970")
    return float(value)


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r:.80} is neither true nor false")
    return value


def or_none(read: Callable[..., T], value: object) -> T | None:
    return None if value is None else read(value)
