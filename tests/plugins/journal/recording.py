"""A real database that writes down what it is told to commit, and that can be held up or made to refuse."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

from discovery.plugins.journal.database import Database, Op
from discovery.plugins.journal.errors import CannotWrite
from tests.plugins.journal.making import LIMIT


class Recording(Database):
    """Writes down what it has committed, can be made to wait before that, and to refuse. `opened`: the last one of each file."""

    opened: ClassVar[dict[Path, Recording]] = {}

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.opened[file] = self
        self.groups: list[list[Op]] = []  # begun
        self.done: list[list[Op]] = []
        self.failures = 0
        self.refuses = ""
        self.may_go = threading.Event()
        self.may_go.set()

    def commit(self, ops: Iterable[Op]) -> None:
        group = list(ops)
        self.groups.append(group)
        assert self.may_go.wait(LIMIT)
        if self.refuses:
            self.failures += 1
            raise CannotWrite(self.file, self.refuses)
        super().commit(group)
        self.done.append(group)


async def when(condition: Callable[[], object]) -> None:
    """Waits for it, with a limit."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - what the writer's thread does has no event
            await asyncio.sleep(0.001)
