"""Durations as Go writes them: `10s`, `1h30m`, `1.5s`, `500ms`."""

from __future__ import annotations

import re

# Characters.
_LONGEST = 64
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_PART = r"(?:\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})(?:h|ms|m|s|us|µs|μs|ns)"
_DURATION = re.compile(rf"([+-]?)((?:{_PART})+)", re.ASCII)
_PARTS = re.compile(r"([0-9.]+)([a-zµμ]+)")


def seconds_of(text: str) -> float | None:
    """None when it is no duration."""
    match = _DURATION.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        return 0.0 if text in ("0", "+0", "-0") else None
    total = sum(float(number) * _UNITS[unit] for number, unit in _PARTS.findall(match[2]))
    return -total if match[1] == "-" else total


def shown(seconds: float) -> str:
    """As Go shows one of a second or more, or none: `1h30m0s`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}" if minutes else text
