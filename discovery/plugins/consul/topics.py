"""What is waited for besides services, each with the index of the last commit about it: names and tags of all services, all nodes,
the state of any check, one node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from discovery.core.name import fold
from discovery.rest.api.following.waiting import LongPolls
from discovery.store.registry import Registry

# The name of what this plugin remembers, and waits for.
PLUGIN = "consul"
SERVICES, NODES, CHECKS = (f"\0{PLUGIN} {name}" for name in ("services", "nodes", "checks"))
# What never changes: who waits for it waits until his time is over.
NEVER = f"\0{PLUGIN} never"
_NODE = f"\0{PLUGIN} node "
# Seconds between two wakes of those who wait for any of these: what they are answered is long.
EVERY = 1.0


def node_topic(name: str) -> str:
    """What is waited for by who asks about a node."""
    return _NODE + fold(name)


def node_of(topic: str) -> str:
    """The folded name in it."""
    return topic.removeprefix(_NODE)


class Topics:
    """`index_at(topic)`: of a node's; None: it has nothing, and the index of all nodes."""

    def __init__(self, registry: Registry, index_at: Callable[[str], int | None]) -> None:
        self._registry = registry
        self._index_at = index_at
        self._indexes = {SERVICES: 0, NODES: 0, CHECKS: 0, NEVER: 1}
        self._polls: LongPolls | None = None
        self._moved: set[str] = set()
        self._told_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def index_of(self, topic: str) -> int:
        known = self._indexes.get(topic)
        if known is None:
            known = self._index_at(topic) or self._indexes[NODES]
        return min(known or self._registry.index, self._registry.index)

    def move(self, topic: str, index: int | None = None) -> None:
        """`index`: None: whose it is has it."""
        if index is not None:
            self._indexes[topic] = index
        self._moved.add(topic)

    def let_wait(self, polls: LongPolls) -> None:
        self._polls = polls
        polls.topics[PLUGIN] = self.index_of

    def published(self, services: Collection[str]) -> None:
        """As a follower of the registry's index."""
        if not self._moved or self._polls is None:
            self._moved.clear()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            left = self._told_at + EVERY - loop.time()
            if left <= 0:
                self._tell()
            else:
                self._timer = loop.call_later(left, self._tell)

    def _tell(self) -> None:
        self._timer, self._told_at = None, asyncio.get_running_loop().time()
        moved, self._moved = self._moved, set()
        if self._polls is not None:
            self._polls.follow(moved)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
