"""How many TLS handshakes are in hand at a time, of all listeners together, and which is given up when there are too many."""

from __future__ import annotations

import asyncio
from typing import Any


class Handshakes:
    """In hand at a time, of all listeners together. Beyond `most`, the oldest of the client prefix that has most is given up, and beyond
    half as many of one prefix its oldest: whoever connects and says nothing would hold its place for HANDSHAKE_SECONDS.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._of_prefix: dict[str, dict[asyncio.Task[Any], None]] = {}  # the oldest first
        self._count = 0

    def add(self, task: asyncio.Task[Any], prefix: str) -> None:
        if len(self._of_prefix.get(prefix, ())) >= self._most // 2:
            self._give_up(prefix)
        elif self._count >= self._most:
            self._give_up(max(self._of_prefix, key=lambda each: len(self._of_prefix[each])))
        self._of_prefix.setdefault(prefix, {})[task] = None
        self._count += 1
        task.add_done_callback(lambda task: self._forget(task, prefix))

    def _give_up(self, prefix: str) -> None:
        oldest = next(iter(self._of_prefix[prefix]))
        self._forget(oldest, prefix)
        oldest.cancel()

    def _forget(self, task: asyncio.Task[Any], prefix: str) -> None:
        tasks = self._of_prefix.get(prefix, {})
        if task in tasks:
            del tasks[task]
            self._count -= 1
            if not tasks:
                del self._of_prefix[prefix]
