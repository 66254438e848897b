"""What is not as it should be, though the server can be asked: each part declares its concerns, one list asks them all.

The list keeps since when each warning holds and writes the log once when it begins and once when it ends. GET /ready, the metric
`discovery_warning`, `discovery doctor` and the dashboard show it and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from discovery.core.metric import Metric, Readings

_log = logging.getLogger("discovery.warning")

# Of one code, by which /ready and the log stay readable; the others are counted.
MOST = 20
# Seconds for which a look is believed by those who read: strangers may ask /ready as often as they like.
_BELIEVED = 0.5
# Seconds for which what happens at an instant is warned of.
_LATELY = 300.0
_PAGE = "discovery/docs/troubleshooting.md"


class Severity(StrEnum):
    CRITICAL = "critical"  # clients are wrong, or soon will be
    WARNING = "warning"  # to be seen to today


class Concern(NamedTuple):
    """`code`: also the anchor of its entry in Troubleshooting. `check()`: the texts that hold now, at once and without I/O; each by what it
    is about, which stays the same while the text may change. A text says what is wrong, with what, and what to do.
    """

    code: str
    severity: Severity
    check: Callable[[], Mapping[str, str]]


def critical(code: str, check: Callable[[], Mapping[str, str]]) -> Concern:
    return Concern(code, Severity.CRITICAL, check)


def warning(code: str, check: Callable[[], Mapping[str, str]]) -> Concern:
    return Concern(code, Severity.WARNING, check)


def one(check: Callable[[], str | None]) -> Callable[[], Mapping[str, str]]:
    """Of a part that has at most one text at a time: it is about the part itself."""

    def texts() -> Mapping[str, str]:
        return {} if (text := check()) is None else {"": text}

    return texts


def each(texts: Iterable[str]) -> Mapping[str, str]:
    """By themselves: another text is another warning."""
    return {text: text for text in texts}


class Lately:
    """How much a counter has grown within the last minutes. To be asked about once a second; `now`: monotonic seconds."""

    def __init__(self, read: Callable[[], int]) -> None:
        self._read = read
        self._last = self._before = read()
        self._until = float("-inf")

    def at(self, now: float) -> int:
        count = self._read()
        if now >= self._until:
            self._before = self._last
        if count > self._last:
            self._last, self._until = count, now + _LATELY
        return count - self._before if now < self._until else 0


class Warning(NamedTuple):
    """`since`: monotonic seconds. `total`: how many there are of its code. `first`: its text when it began."""

    code: str
    severity: Severity
    text: str
    since: float
    total: int
    first: str

    @property
    def see(self) -> str:
        return f"{_PAGE}#{self.code}"


class WarningList:
    """`concerns`: parts append to it until the first look. `now`: monotonic seconds."""

    def __init__(self, concerns: Sequence[Concern]) -> None:
        self._concerns = concerns
        self._held: dict[str, dict[str, Warning]] = {}  # by code, and by what they are about
        self._looked_at = float("-inf")

    def look(self, now: float) -> None:
        """Asks all of them."""
        self._looked_at = now
        for concern in self._concerns:
            before, texts = self._held.get(concern.code, {}), _asked(concern)
            known = [about for about in before if about in texts]
            new = [about for about in texts if about not in before][: MOST - len(known)]
            self._held[concern.code] = held = {
                about: before[about]._replace(text=texts[about], total=len(texts)) for about in known
            }
            for about in new:
                held[about] = Warning(concern.code, concern.severity, texts[about], now, len(texts), texts[about])
                _say_begun(held[about])
            for about, old in before.items():
                if about not in held:
                    _say_ended(old, now - old.since)

    def at(self, now: float) -> list[Warning]:
        """The critical ones first, then the oldest."""
        if now - self._looked_at >= _BELIEVED:
            self.look(now)
        held = [warning for of_code in self._held.values() for warning in of_code.values()]
        return sorted(held, key=lambda each: (each.severity is not Severity.CRITICAL, each.since))

    def metrics(self) -> list[Metric]:
        def counts() -> Readings:
            return {
                (each.code, each.severity): next((held.total for held in self._held.get(each.code, {}).values()), 0)
                for each in self._concerns
            }

        help = "How many there are now of each kind of warning, as GET /ready names them."
        return [Metric("gauge", "discovery_warning", help, counts, ("code", "severity"))]


def _asked(concern: Concern) -> Mapping[str, str]:
    try:
        return concern.check()
    except Exception as error:  # the others are asked all the same, and that one part is broken is a warning, too
        return {"": f"whether this is so cannot be told, for an error inside: {error!r}; restart the server"}


def _say_begun(begun: Warning) -> None:
    level = logging.ERROR if begun.severity is Severity.CRITICAL else logging.WARNING
    _log.log(
        level, "%(reason)s (%(see)s)",
        {"event": "warning.began", "code": begun.code, "severity": begun.severity, "reason": begun.text, "see": begun.see},
    )  # fmt: skip


def _say_ended(ended: Warning, seconds: float) -> None:
    """With the words of the line that told of its beginning, by which the two are found together, and what had become of it."""
    _log.info(
        "over after %(seconds)d s: %(reason)s%(_last)s",
        {
            "event": "warning.ended", "code": ended.code, "seconds": round(seconds), "reason": ended.first, "last": ended.text,
            "_last": "" if ended.text == ended.first else f"; at last: {ended.text}",
        },
    )  # fmt: skip
