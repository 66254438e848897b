"""A registry with the journal in front of its engine, opened on a folder; closed as a server would, or left as if it was killed."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from discovery.core.instance import Instance, Key, Registration
from discovery.core.maintenance import Scope, Window
from discovery.engines.local import LocalEngine
from discovery.plugins import Seams, journal
from discovery.plugins.journal import Journal
from discovery.plugins.journal.database import Database, Op, Writer
from discovery.plugins.journal.errors import CannotWrite
from discovery.plugins.journal.files import FILE
from discovery.store.operations import Drain, EndMaintenance, Maintain
from discovery.store.registration import Deregister, Register
from discovery.store.registry import Registry
from discovery.store.service import Entry
from discovery.system import backlog
from tests.plugins.journal.making import LIMIT
from tests.store.making import START, WALL, Log, Told, a_registry


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


class Time:
    """Both clocks, moved by hand."""

    def __init__(self, now: float = START, wall: float = WALL) -> None:
        self.now = now
        self.wall = wall

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


class House:
    """`log`: every change, heard before the journal hears it."""

    def __init__(self, folder: Path, time: Time, **settings: Any) -> None:
        self.folder = folder
        self.time = time
        self.registry = a_registry(started_at=time.now, **{"max_instances": 1000, **settings})
        self.registry.loaded = False
        self.log = Log.of(self.registry)
        self.journal = Journal(folder, self.registry, lambda: time.wall)
        seams = Seams(followers=self.registry.followers)
        self.journal.install(seams)
        self.engine = LocalEngine(self.registry, lambda: time.now, lambda: time.wall, seams)

    @property
    def writer(self) -> Writer:
        assert self.journal.writer is not None
        return self.journal.writer

    @property
    def database(self) -> Recording:
        """Of a house with `recorded` files."""
        return Recording.opened[self.folder / FILE]

    async def register(self, spec: Registration) -> Entry:
        return self.registry.at((await self.engine.submit(Register(spec))).id)

    async def deregister(self, which: Key | str) -> Instance:
        return await self.engine.submit(Deregister(which, "asked for"))

    async def drain(self, which: Key | str, draining: bool = True) -> Instance:
        return await self.engine.submit(Drain(which, draining, "asked for"))

    async def maintain(self, scope: Scope, window: Window) -> None:
        await self.engine.submit(Maintain(scope, window))

    async def end_maintenance(self, scope: Scope) -> None:
        await self.engine.submit(EndMaintenance(scope, "done"))

    async def settled(self) -> None:
        await self.writer.settled(self.writer.added)

    async def close(self) -> None:
        await self.engine.close()
        await self.journal.close()


@asynccontextmanager
async def living(folder: Path, time: Time | None = None, **settings: Any) -> AsyncIterator[House]:
    """Opened, and closed at the end."""
    house = House(folder, time or Time(), **settings)
    try:
        await house.engine.open()
        yield house
    finally:
        await house.close()


def record(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the houses to come are Recordings; what failed is tried again soon."""
    monkeypatch.setattr(journal.files, "Database", Recording)
    monkeypatch.setattr(backlog, "FIRST_RETRY", 0.01)


def known(registry: Registry) -> list[Instance]:
    """In order."""
    return [entry.instance for entry in registry]


def last_index(changes: list[Told]) -> int:
    return max((change.index for change in changes), default=0)
