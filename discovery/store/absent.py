"""Why there is no answer, in one text, for DNS and errors: who is not there any more, what they are who are; and what the history
remembers of before the start. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from discovery.core import moment
from discovery.core.address import place_text
from discovery.core.caller import Caller
from discovery.core.event import InstanceEvent, Kind
from discovery.core.name import fold
from discovery.core.status import TAKEN_OUT
from discovery.store.explain import account, refusal, since_of
from discovery.store.service import Entry, Service
from discovery.store.state import Gone, State, WallOf


def absent(registry: State, name: str, now: float, sees_names: bool = False) -> str:
    """What is known of a service that is not registered; "" where that is nothing. A clause."""
    service, found = fold(name), []
    gone, refused = registry.gone.get(service), registry.refused.of_service(service, now)
    if gone is None and not refused:  # nearly always: names that nobody has are asked for by the thousand
        return ""
    wall = registry.walls()(now)
    if gone is not None:
        who = f" by {gone.by}" if sees_names and gone.by is not None else ""
        how = "it fell silent" if gone.silent else f"it was deregistered{who}"
        found.append(f"one of this name was until {moment.short(gone.wall, wall)}: {how} (history)")
    if refused:
        key, latest = next(reversed(refused.items()))
        at = f" of {place_text(key.ip, key.port)}" if sees_names else ""
        found.append(refusal(latest, wall, sees_names).replace("heartbeats", f"heartbeats{at}", 1))
    return "; ".join(found)


def remember(registry: State, told: Iterable[tuple[InstanceEvent, float, Caller]]) -> None:
    """What happened before this process began, the newest first, each with its time and who asked for it."""
    for event, wall, by in told:
        if event.after is None:
            if event.service not in registry.services:
                registry.gone.setdefault(event.service, Gone(wall, event.kind is Kind.EXPIRED, by.asker))
        elif (
            event.after.status in TAKEN_OUT
            and (event.before is None or event.before.status is not event.after.status)
            and (entry := registry.find(event.after.id)) is not None
            and entry.index <= registry.log.start
        ):
            entry.asker = entry.asker or by.asker


# -- of many at once, in one text: what DNS and errors say


def why_none(registry: State, service: Service, meant: Sequence[Entry], now: float) -> str:
    """Of instances none of which is served: how many are what, and the account of the one that left last, or whose heartbeats are refused.
    The end of a sentence that says how many there are.
    """
    kinds, wall_of = Counter(entry.status_at(now) for entry in meant), registry.walls()
    each = ", ".join(f"{count} {status}" for status, count in kinds.items())
    last = max(meant, key=lambda entry: _left(registry, entry, now, wall_of))
    found = account(registry, service, last, now, wall_of, False)
    since = "" if found.since is None else f" since {moment.short(found.since, wall_of(now))}"
    which = "it is that" if len(meant) == 1 else "the last"
    return f" ({each}), {which}{since}: {found.why}"


def _left(registry: State, entry: Entry, now: float, wall_of: WallOf) -> tuple[bool, float]:
    """Whether its heartbeats are refused, and when it left the answers."""
    is_refused = bool(registry.refused) and registry.refused.of(entry.instance.spec.key, entry, now) is not None
    return is_refused, since_of(entry, entry.status_at(now), None, wall_of) or 0.0


def not_healthy(registry: State, name: str, entries: Sequence[Entry], now: float) -> str:
    """Why some of an answer's entries, the last of them too, are not healthy: how many, and that one's account."""
    last = entries[-1]
    status = last.status_at(now)
    count = sum(entry.status_at(now) is status for entry in entries)
    service = registry.services[last.instance.spec.key.service]
    wall_of = registry.walls()
    found, wall = account(registry, service, last, now, wall_of, False), wall_of(now)
    since = "" if found.since is None else f" since {moment.short(found.since, wall)}"
    until = "" if found.until is None else f"; until {moment.short(found.until, wall)} at most"
    return f"{name}: {count} of {len(entries)} answers are {status}{since}: {found.why}{until}"
