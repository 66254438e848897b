"""Answers that are not made of healthy instances alone: they say so, and nobody may keep them for long."""

from __future__ import annotations

import math
from collections.abc import Sequence

from discovery.core.status import Status
from discovery.dns.message.reason import Reason
from discovery.dns.message.values import OTHER, STALE, Explanation
from discovery.store.absent import not_healthy
from discovery.store.service import Entry
from discovery.store.state import State

# Seconds that such an answer may be kept: long enough for the client that asked.
STALE_TTL = 1


def staleness(registry: State, name: str, entries: Sequence[Entry], now: float) -> Explanation | None:
    """What to tell of an answer about `name`, as people know it, with these entries, in the order of `served`; None of healthy ones."""
    last = entries[-1].status_at(now)  # the healthy ones come first
    if last is Status.HEALTHY:
        return None
    code = OTHER if last is Status.FLAPPING else STALE
    return Explanation(code, lambda: not_healthy(registry, name, entries, now), Reason.STALE)


def longest_ttl(ttl: int, stale: object) -> int:
    """`ttl`, or less when the answer is `stale`."""
    return min(ttl, STALE_TTL) if stale else ttl


def ttl_about(entry: Entry, ttl: int, now: float) -> int:
    """Of an answer about one entry that is served; `ttl` is the upper bound. Whole seconds."""
    longest = longest_ttl(ttl, entry.status_at(now) is not Status.HEALTHY)
    return max(0, min(longest, math.floor(entry.effective_lease(now).left(now))))
