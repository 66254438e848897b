"""A registry with an engine that is audited, and what its file says."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from discovery.core.caller import Caller
from discovery.engines.local import LocalEngine
from discovery.plugins import Seams
from discovery.plugins.audit import Audit, Trail
from discovery.plugins.audit.file import AuditFile
from discovery.store.engine import Keeper
from discovery.store.write import Write
from tests.store.making import START, WALL, Log, a_registry

BY = Caller("10.9.9.9", "ci")
MIB = 1024 * 1024


class Held(AuditFile):
    """A file that takes as long as it is held; `reached`: somebody waits for it."""

    def __init__(self, path: Path, max_octets: int, keep: int) -> None:
        super().__init__(path, max_octets, keep)
        self.reached, self.let_go = threading.Event(), threading.Event()
        self.let_go.set()

    def hold(self) -> None:
        self.reached.clear()
        self.let_go.clear()

    def append(self, lines: Sequence[bytes]) -> None:
        self.reached.set()
        assert self.let_go.wait(60)
        super().append(lines)


class House:
    """`now` stands still until it is set. `disk`: another keeper."""

    def __init__(
        self, path: Path, open_file: Callable[[], AuditFile], disk: Keeper | None = None, **settings: Any
    ) -> None:
        self.path = path
        self.now = START
        self.registry = a_registry(**settings)
        self.log = Log.of(self.registry)
        self.audit = Audit(path, open_file, self.registry, lambda: WALL)
        self.seams = Seams(followers=self.registry.followers)
        self.audit.install(self.seams)
        if disk is not None:
            self.seams.keepers.append(disk)
        self.engine = LocalEngine(self.registry, lambda: self.now, lambda: WALL, self.seams)

    async def submit(self, write: Write[Any], by: Caller = BY) -> Any:
        return await self.engine.submit(write, by)

    @property
    def trail(self) -> Trail:
        assert self.audit.trail is not None
        return self.audit.trail

    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.path.read_bytes().splitlines()]

    @property
    def last(self) -> dict[str, Any]:
        return self.lines()[-1]


@asynccontextmanager
async def a_house(
    path: Path,
    disk: Keeper | None = None,
    open_file: Callable[[], AuditFile] | None = None,
    **settings: Any,
) -> AsyncIterator[House]:
    house = House(path, open_file or partial(AuditFile, path, MIB, 3), disk, **settings)
    await house.audit.open(house.engine)
    await house.engine.open()
    try:
        yield house
    finally:
        await house.engine.close()
        await house.audit.close()
