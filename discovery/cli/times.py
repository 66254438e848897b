"""Times and spans as people type and read them. Times without a zone are UTC, as everywhere here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from cyclopts import Token

from discovery.core import moment

TIMES = "2h (ago), 03:12 (UTC) or 2026-01-31T03:12Z"

_DAY = 86400


def as_time(type_: Any, tokens: Sequence[Token]) -> float:
    """For cyclopts: an option that is a moment, as seconds since the epoch."""
    return moment.parse(tokens[0].value, time.time())


def as_time_ahead(type_: Any, tokens: Sequence[Token]) -> float:
    """As `as_time`, but 03:12 is the next time that a clock shows this."""
    text, now = tokens[0].value.strip(), time.time()
    return moment.parse(text, now + _DAY if ":" in text[:3] else now)


def as_moment(type_: Any, tokens: Sequence[Token]) -> str:
    """For cyclopts: a moment that the server reads, by its own clock; here it is only looked at."""
    moment.parse(tokens[0].value, time.time())
    return tokens[0].value


def as_seconds(type_: Any, tokens: Sequence[Token]) -> float:
    """For cyclopts: an option that is a span of time."""
    return moment.span(tokens[0].value)


def span(seconds: float) -> str:
    """`3 s`, `4 min`, `2 h`, `5 d`: two digits are enough for a table."""
    for limit, size, unit in ((100, 1, "s"), (6000, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{max(0, seconds) / size:.0f} {unit}"
    return f"{seconds / _DAY:.0f} d"
