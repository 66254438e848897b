"""A moment as people give it on a command line or in a URL, as epoch seconds. The answers' own spelling is one of the forms.

2026-01-31T03:12:00Z, 2026-01-31T03:12:00.250+01:00, 2026-01-31 03:12    ISO 8601; without a zone it is UTC, as in every answer
03:12, 03:12:30Z      UTC: the last time that a clock showed this
-2h, 2h, -1h30m       so long ago; units s, m, h, d and w
1769829120, 1769829120.25    epoch seconds
now
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

EXAMPLES = "2026-01-31T03:12:00Z, 03:12 (UTC), -2h or epoch seconds"

# Longer is no moment.
MAX_TEXT = 64
_DAY = 86400
# The year 9999 is the last that can be written down, and whoever is asked for a time adds hours to it.
_END = 253_370_764_800.0
# Seconds, of every span of time that is written as 500ms, 30s or 7d.
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
SPAN = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?|([0-9]{1,9}(\.[0-9]{1,3})?(ms|[smhdw]))+")
_PART = re.compile(r"([0-9.]+)(ms|[smhdw]|)")
_AGO = re.compile(r"-?((?:[0-9]{1,9}[smhdw])+)")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9](?:\.[0-9]{1,9})?))?Z?")
# From 2001 to 2286: not milliseconds, and not a date without its dashes.
_EPOCH = re.compile(r"[1-9][0-9]{9}(?:\.[0-9]{1,9})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ].+)?")
# A + that was sent in a URL as it is.
_LOST_PLUS = re.compile(r"(?<=[0-9]) (?=[0-9]{2}:?[0-9]{2}$)")


class NoMoment(ValueError):
    def __init__(self, text: str) -> None:
        super().__init__(f"{text[:MAX_TEXT]!a} is no time; write {EXAMPLES}")


def span(text: str) -> float:
    """Seconds: `90`, `500ms`, `60s`, `1h30m`. ValueError."""
    if not SPAN.fullmatch(text):
        raise ValueError(f"{text[:MAX_TEXT]!a} is no span of time; write 90s, 500ms, 2h or 1h30m")
    return sum(float(number) * _UNITS[unit or "s"] for number, unit in _PART.findall(text))


def parse(text: str, wall: float) -> float:
    """`wall`: now, epoch seconds. NoMoment, also for what lies before 1970 or after 9998."""
    text = text.strip()
    if len(text) <= MAX_TEXT and text.isascii():
        found = _found(text, wall)
        if found is not None and 0 <= found < _END:
            return found
    raise NoMoment(text)


def _found(text: str, wall: float) -> float | None:
    if text == "now":
        return wall
    if _EPOCH.fullmatch(text):
        return float(text)
    if match := _AGO.fullmatch(text):
        return wall - span(match[1])
    if match := _CLOCK.fullmatch(text):
        seconds = int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3] or 0)
        today = wall - wall % _DAY + seconds
        return today if today <= wall else today - _DAY
    return _of_iso(text) if _DATE.fullmatch(text) else None


def to_the_second(wall: float) -> str:
    """2026-01-31T03:12:00Z"""
    return datetime.fromtimestamp(wall, UTC).isoformat()[:19] + "Z"


def short(moment: float, wall: float) -> str:
    """For a sentence at `wall`: the clock alone while that is plain. `parse` reads it."""
    text = to_the_second(moment)
    return text[11:] if abs(wall - moment) < _DAY / 2 else text


def _of_iso(text: str) -> float | None:
    if len(text) > len("2026-01-31 "):
        text = text[:11] + _LOST_PLUS.sub("+", text[11:])
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
