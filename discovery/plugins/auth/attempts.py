"""Wrong tokens that were tried, by client prefix: a line of the log and of the audit when the first comes, and one a minute for those that
follow; a warning where they are many. Pure; `now` is monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from discovery.core.address import client_prefix
from discovery.store.transaction import Transaction
from discovery.store.write import Write


class ShowToken(Write[None]):
    """What the audit has of them: nobody decides it."""

    action = "show-token"

    def decide(self, txn: Transaction) -> None:
        raise NotImplementedError


# Seconds between two lines about one client prefix.
EVERY = 60.0
# Seconds after the last one for which they are remembered, and from how many on there is a warning: a person mistypes a few times.
KEPT = 900.0
MANY = 10
# Client prefixes that are remembered, 400 octets each, and lines in a minute about all of them. The oldest makes way, and is told of.
MAX_PREFIXES = 1024
MAX_LINES = 60


@dataclass(slots=True)
class _Tried:
    """`untold`: since the last line, which was written at `said_at`. `why`: of the last one."""

    total: int
    untold: int
    said_at: float
    last: float
    why: str


class WrongTokens:
    """`tell(prefix, count, why)`: writes the lines."""

    def __init__(self, tell: Callable[[str, int, str], None]) -> None:
        self._tell = tell
        self._tried: dict[str, _Tried] = {}  # by prefix, that tried longest ago first
        self._lines: list[float] = []  # when they were written, of the last minute

    def note(self, address: str, why: str, now: float) -> None:
        prefix = client_prefix(address)
        tried = self._tried.pop(prefix, None) or _Tried(0, 0, float("-inf"), now, why)
        self._tried[prefix] = tried
        tried.total, tried.untold, tried.last, tried.why = tried.total + 1, tried.untold + 1, now, why
        self._say(prefix, tried, now)
        if len(self._tried) > MAX_PREFIXES:
            del self._tried[next(iter(self._tried))]

    def warnings(self, now: float) -> Mapping[str, str]:
        """By prefix. What is due to be told is told now."""
        for prefix, tried in list(self._tried.items()):
            if tried.untold:
                self._say(prefix, tried, now)
            elif tried.last <= now - KEPT:
                del self._tried[prefix]
        return {
            prefix: f"{tried.total} wrong tokens came from {prefix}, the last {now - tried.last:.0f} s ago: {tried.why}. Is it a client of "
            "yours with an old token? Else shut it out (firewall), and `discovery audit` has what it tried"
            for prefix, tried in self._tried.items()
            if tried.total >= MANY
        }

    def close(self) -> None:
        """What was not told yet is told now."""
        for prefix, tried in self._tried.items():
            if tried.untold:
                self._tell(prefix, tried.untold, tried.why)

    def _say(self, prefix: str, tried: _Tried, now: float) -> None:
        if now < tried.said_at + EVERY:
            return
        self._lines = [at for at in self._lines if at > now - EVERY]
        if len(self._lines) < MAX_LINES:
            self._lines.append(now)
            self._tell(prefix, tried.untold, tried.why)
            tried.untold, tried.said_at = 0, now
