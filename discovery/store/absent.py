"""Why there is no answer, in one text, for DNS and errors: who is not there any more, what they are who are; and who took whom out of the
answers. From the table, the log, and what the history remembers of before it. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from discovery.core import moment
from discovery.core.address import place_text
from discovery.core.caller import NOBODY, SERVER, Caller
from discovery.core.event import InstanceEvent, Kind
from discovery.core.name import fold
from discovery.core.status import Status
from discovery.store.explain import Askers, account, refusal, since_of
from discovery.store.log import Gone, Log
from discovery.store.service import Entry, Service
from discovery.store.state import State, WallOf


def absent(registry: State, name: str, now: float, sees_names: bool = False) -> str:
    """What is known of a service that is not registered; "" where that is nothing. A clause."""
    service, found = fold(name), []
    gone, refused = _gone(registry.log, service), registry.refused.of_service(service, now)
    if gone is None and not refused:  # nearly always: names that nobody has are asked for by the thousand
        return ""
    wall = registry.walls()(now)
    if gone is not None:
        who = f" by {gone.by}" if sees_names and gone.by not in (NOBODY, SERVER) else ""
        how = "it fell silent" if gone.silent else f"it was deregistered{who}"
        found.append(f"one of this name was until {moment.short(gone.wall, wall)}: {how} (history)")
    if refused:
        key, latest = next(reversed(refused.items()))
        at = f" of {place_text(key.ip, key.port)}" if sees_names else ""
        found.append(refusal(latest, wall, sees_names).replace("heartbeats", f"heartbeats{at}", 1))
    return "; ".join(found)


def _gone(log: Log, service: str) -> Gone | None:
    last = log.last_of(service)
    if last is None:
        return log.gone_before.get(service)
    events = [each for each in last.events if isinstance(each, InstanceEvent) and each.service == service]
    return next((_gone_with(each, last.wall, last.by) for each in reversed(events) if each.after is None), None)


def _gone_with(event: InstanceEvent, wall: float, by: Caller) -> Gone:
    return Gone(wall, event.kind is Kind.EXPIRED, by)


def remember(registry: State, told: Iterable[tuple[InstanceEvent, float, Caller]]) -> None:
    """What happened before this process began, the newest first, each with its time and who asked for it."""
    log = registry.log
    for event, wall, by in told:
        if event.after is None and event.service not in registry.services and log.last_of(event.service) is None:
            log.gone_before.setdefault(event.service, _gone_with(event, wall, by))
        elif _takes_out(event) and by not in (NOBODY, SERVER):
            log.took_out_before.setdefault(event.instance.id, by)


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


# -- who took them out


def askers(service: Service, log: Log) -> Askers:
    """Who took which of its instances out of the answers, by id and the index at which it was: as far as the log goes back, and what is
    remembered of before it. An instance whose `index` is another has changed since.
    """
    entries = [entry for entry in service.entries.values() if entry.status in _TAKEN_OUT]
    if not entries:
        return {}
    out, before = {entry.index for entry in entries}, log.took_out_before
    ids = [(entry.instance.id, entry.index) for entry in entries if entry.index <= log.start]
    found = {(id, index): before[id] for id, index in ids if id in before}
    commits = log.after(max(min(out) - 1, log.oldest), service.folded)
    for commit in commits:
        if commit.index in out and commit.by not in (NOBODY, SERVER):
            for event in commit.events:
                if isinstance(event, InstanceEvent) and _takes_out(event):
                    found[event.instance.id, commit.index] = commit.by
    return found


_TAKEN_OUT = (Status.DRAINING, Status.MAINTENANCE)


def _takes_out(event: InstanceEvent) -> bool:
    before, after = event.before, event.after
    return after is not None and after.status in _TAKEN_OUT and (before is None or before.status is not after.status)
