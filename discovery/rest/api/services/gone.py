"""GET /services?gone=1: the instances that have gone and not come back, the newest first: who, when and why.

Read out of the log, so as far back as its last commits go (minutes to hours), and not beyond a restart: that is what /history is for.
"""

from __future__ import annotations

from collections.abc import Iterator

from discovery.core.event import Commit, InstanceEvent
from discovery.core.instance import Key
from discovery.rest.api import views
from discovery.rest.api.following import event_view
from discovery.rest.api.following.filters import Filter
from discovery.rest.api.times import iso
from discovery.store.registry import Registry

# In one answer: a screen or two.
MOST = 100
# Commits that are read at a time: half a millisecond, when each has 100 events.
_AT_ONCE = 50


class Gone:
    """`read` is to be walked to its end; then `shown` has them. `with_actor` False: nothing says who asked, or from where."""

    def __init__(self, registry: Registry, wanted: Filter, with_actor: bool) -> None:
        self._registry = registry
        self._wanted = wanted
        self._with_actor = with_actor
        self._seen: set[Key] = set()
        self.shown: list[views.Json] = []

    def read(self) -> Iterator[None]:
        """A piece at a time. Of those that went each is a piece: a filter may take 2 ms for it."""
        log = self._registry.log
        position = log.position
        while position > 0 and len(self.shown) < MOST:
            begin = max(position - _AT_ONCE, log.begins)
            commits = log.read(begin, limit=position - begin)
            if not commits:  # there are no older ones, or none any more
                return
            for _, commit in reversed(commits):
                yield from self._note(commit)
            yield
            position = begin

    def _note(self, commit: Commit) -> Iterator[None]:
        for event in reversed(commit.events):
            if isinstance(event, InstanceEvent) and event.after is None and len(self.shown) < MOST:
                yield
                if self._is_news(event):
                    self.shown.append(self._entry(event, commit))

    def _is_news(self, event: InstanceEvent) -> bool:
        """Of one that comes and goes, the last time. It may be back, at its address or as its id."""
        instance, key = event.instance, event.instance.spec.key
        if key in self._seen or self._registry.find(key) is not None or self._registry.find(instance.id) is not None:
            return False
        if not self._wanted.matches(instance):
            return False
        self._seen.add(key)
        return True

    def _entry(self, event: InstanceEvent, commit: Commit) -> views.Json:
        return {
            **views.identity(event.instance),
            "kind": event.name,
            "reason": event.reason if self._with_actor else event_view.anonymous(event.reason),
            "actor": event_view.actor(commit.by) if self._with_actor else None,
            "index": commit.index,
            "timestamp": iso(commit.wall),
        }
