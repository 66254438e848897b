"""Why there is no answer, in one text, for DNS and errors: who is not there any more, what they are who are; and what the history
remembers of before the start. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from discovery.core import moment
from discovery.core.address import place_text
from discovery.core.caller import Caller
from discovery.core.event import InstanceEvent, Kind, instant_of
from discovery.core.name import fold
from discovery.core.status import Status
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
    known = set[str]()  # of whom the latest change of status was seen
    told = list(told)
    for event, wall, by in told:
        before, after, id = event.before, event.after, event.instance.id
        if before is not None and after is not None and before.status is after.status:
            continue
        if after is None and event.service not in registry.services:
            registry.gone.setdefault(event.service, Gone(wall, event.kind is Kind.EXPIRED, by.asker))
        entry = None if id in known else _untouched(registry, id)
        if after is not None and entry is not None and after.status is entry.status is not Status.FAILING:
            entry.since = instant_of(event, wall)  # one that fails knows by itself since when
        known.add(id)
    for event, _, by in reversed(told):
        if (entry := _untouched(registry, event.instance.id)) is not None:
            entry.asker = event.asker(by, entry.asker)


def _untouched(registry: State, id: str) -> Entry | None:
    """None: something has happened to it since the start."""
    entry = registry.find(id)
    return entry if entry is not None and entry.index <= registry.log.start else None


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
    return _is_refused(registry, entry, now), since_of(entry, entry.status_at(now), None, wall_of) or 0.0


def _is_refused(registry: State, entry: Entry, now: float) -> bool:
    return bool(registry.refused) and registry.refused.of(entry.instance.spec.key, entry, now) is not None


def not_healthy(registry: State, name: str, entries: Sequence[Entry], now: float) -> str:
    """Why some of an answer's entries, the last of them too, are not healthy: how many, and the account of the last, or of the last whose
    heartbeats are refused, which is said first: the text may be cut.
    """
    wall_of, status = registry.walls(), entries[-1].status_at(now)
    wall, alike = wall_of(now), [entry for entry in entries if entry.status_at(now) is status]
    last = max(reversed(alike), key=lambda entry: _is_refused(registry, entry, now))
    service = registry.services[last.instance.spec.key.service]
    found = account(registry, service, last, now, wall_of, False)
    since = "" if found.since is None else f" since {moment.short(found.since, wall)}"
    until = "" if found.until is None else f"; until {moment.short(found.until, wall)} at most"
    why = found.why
    if found.refused is not None:
        first = f"its {refusal(found.refused, wall, False)}"
        why = "; ".join([first, *(clause for clause in why.split("; ") if clause != first)])
    return f"{name}: {len(alike)} of {len(entries)} answers are {status}{since}: {why}{until}"
