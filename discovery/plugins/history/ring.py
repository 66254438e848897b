"""The same questions to the ring of the last commits in memory, where there are no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from discovery.core.event import Commit
from discovery.plugins.history import past
from discovery.plugins.history.asked import Asked, Cursor, NotKnown, Page, ServiceAt, StoredEvent, Values
from discovery.plugins.history.rows import stored_of

MISSING = "there are no files of the history (DATA_DIR or HISTORY_DAYS); only the last events in memory are known"
# Instead of a file's number.
_RING = 0


def page(commits: Sequence[Commit], asked: Asked, since: float) -> Page:
    """`commits`: oldest first, all since `since`."""
    below = None if asked.before is None else asked.before.key
    found: list[StoredEvent] = []
    for commit in reversed(commits):
        wanted = [
            each for each in reversed(stored_of(commit)) if (below is None or each.key < below) and asked.holds(each)
        ]
        found += [StoredEvent(_RING, each) for each in wanted]
        if len(found) > asked.limit:
            break
    items = found[: asked.limit]
    more = Cursor(_RING, items[-1].stored.key) if len(found) > asked.limit else None
    return Page(items, more, since, MISSING)


def as_it_was(
    service: str, commits: Sequence[Commit], instant: float, now: past.Known, values: Values, untold: Mapping[str, float],
    since: float,
) -> ServiceAt:  # fmt: skip
    """`commits`: all since `since`. `now`, `values`: the service's as they are. NotKnown."""
    start = _set_back(commits)
    if start:
        commits, since = commits[start:], commits[start].wall
    if instant < since:
        raise NotKnown("Without files of the history nothing older is known", since)
    stored = (each for commit in commits for each in stored_of(commit))
    events = [each for each in stored if each.event.service in (service, None)]
    known, before = past.rewound(now, events), past.rewound_values(values, events)
    return ServiceAt(past.instances(instant, known, events, untold), past.values(instant, before, events), None, since)


def _set_back(commits: Sequence[Commit]) -> int:
    """The place of the first commit since the clock was last set back: from there on they are in the order of time."""
    return next((place for place in range(len(commits) - 1, 0, -1) if commits[place].wall < commits[place - 1].wall), 0)
