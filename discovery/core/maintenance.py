"""A maintenance window: an instance or a whole service is out of answers, for a reason and until a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from discovery.core.address import place_text
from discovery.core.errors import InvalidField
from discovery.core.instance import Key

# One that is forgotten should not hide a service for ever.
MAX_SECONDS = 30 * 24 * 3600.0
MAX_REASON = 256


class Scope(NamedTuple):
    """What a window is for: an instance, as by its `Key`; or (`ip` and `port` None) all of a service, those who register later included."""

    service: str
    ip: str | None = None
    port: int | None = None

    @classmethod
    def of(cls, key: Key) -> Scope:
        return cls(*key)

    def __str__(self) -> str:
        return self.service if self.ip is None else f"{place_text(self.ip, self.port)} of {self.service}"


@dataclass(frozen=True, slots=True)
class Window:
    """`until`: epoch seconds. `by`: the token that opened it, "" for an admin and without tokens."""

    reason: str
    until: float
    by: str = ""

    @classmethod
    def of(cls, reason: object, until: object, seconds: object, wall: float) -> Window:
        """From what a client sent: `until`, an ISO 8601 time, or `seconds` from `wall` on. InvalidField."""
        if not isinstance(reason, str) or not reason.strip():
            raise InvalidField("reason", "is required: say why, for those who wonder")
        if len(reason.strip()) > MAX_REASON:
            raise InvalidField("reason", f"is {len(reason.strip())} characters long, at most {MAX_REASON} are kept")
        if (until is None) == (seconds is None):
            raise InvalidField("until", "give either until (an ISO 8601 time) or seconds")
        end = _seconds(seconds) + wall if until is None else _time(until)
        field = "seconds" if until is None else "until"
        if not wall < end <= wall + MAX_SECONDS:
            raise InvalidField(field, "must lie ahead, at most 30 days")
        return cls(reason.strip(), end)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidField("seconds", "must be a number")
    if not 0 < value <= MAX_SECONDS:  # before the conversion, which a long whole number overflows
        raise InvalidField("seconds", "must lie ahead, at most 30 days")
    return float(value)


def _time(value: object) -> float:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise InvalidField("until", "must be an ISO 8601 time with its zone, such as 2026-01-31T12:00:00Z")
    return time.timestamp()
