"""A registry with the history behind it, in a folder, at times that the test says: run by hand, stopped, killed, started again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from discovery.core.caller import NOBODY, Caller
from discovery.core.instance import Registration
from discovery.core.status import Status
from discovery.plugins.history import past
from discovery.plugins.history.asked import Asked, Page, ServiceAt
from discovery.plugins.history.folder import Folder
from discovery.plugins.history.reading import Reading
from discovery.plugins.history.recorder import Recorder
from discovery.store.service import Service
from discovery.store.values import Snapshot
from tests.store.making import a_registry

# An hour before midnight, UTC.
EVENING = 1_700_002_800.0 - 1_700_002_800.0 % 86400 + 23 * 3600
MB = 2**20

# By service: the ids that are served, and the status of each that is registered.
Answers = dict[str, tuple[frozenset[str], dict[str, Status]]]


class House:
    """In a running event loop. `now`: monotonic seconds; `wall` runs alongside until it is set."""

    def __init__(self, path: Path, days: int = 7, max_mb: int = 64, **settings: Any) -> None:
        self.folder = Folder(path, days, max_mb * MB)
        self.now = 100.0
        self.apart = EVENING
        self.settings = {"max_instances": 100, **settings}
        self.registry = a_registry(started_at=self.now, **self.settings)
        self.recorder = Recorder(self.folder, self.registry, self.wall)
        self.start(Snapshot(1))

    def wall(self) -> float:
        return self.now + self.apart

    def start(self, snapshot: Snapshot) -> None:
        self.registry.followers.append(self.recorder.follow_commit)
        self.registry.load(snapshot, self.now, self.wall())

    async def restart(self, seconds: float, *, killed: bool = False) -> None:
        """`seconds`: for which it is down. What was registered is known again."""
        snapshot = self.registry.snapshot(self.now, self.wall())
        await self.end(killed=killed)
        self.now += seconds
        self.folder = Folder(self.folder.path, self.folder._days, self.folder._max_octets)
        self.registry = a_registry(started_at=self.now, new_id=self.registry.new_id, **self.settings)
        self.recorder = Recorder(self.folder, self.registry, self.wall)
        self.start(snapshot)
        await self.written()

    async def written(self) -> None:
        """Until it is: a busy machine may take longer than the second for which a question waits."""
        async with asyncio.timeout(30):
            await self.recorder.flushed()
            while self.recorder.writer.done < self.recorder.writer.added and not self.recorder.writer.refuses:
                await self.recorder.flushed()

    async def end(self, *, killed: bool = False) -> None:
        await self.written()
        if killed:
            self.recorder._day_ends = 0.0  # it has nothing to say at its end
        await self.recorder.close()

    # -- what happens

    def register(self, spec: Registration, by: Caller = NOBODY) -> str:
        from discovery.store.registration import Register

        return self.registry.carry_out(Register(spec), self.now, self.wall(), by).id

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.registry.advance(self.now, wall=self.wall())

    # -- what is known

    def served(self) -> Answers:
        """By everybody who asks now."""
        return {name: _served(service, self.now) for name, service in self.registry.services.items()}

    async def page(self, asked: Asked = Asked()) -> Page:  # noqa: B008 a value
        await self.written()
        return await asyncio.to_thread(self.reading().page, asked)

    async def service_at(self, name: str, instant: float) -> ServiceAt:
        await self.written()
        return await asyncio.to_thread(self.reading().service_at, name, instant, self.untold(name))

    def reading(self) -> Reading:
        return Reading(self.folder.files, self.folder.skipped)

    def untold(self, name: str) -> Mapping[str, float]:
        service = self.registry.service(name)
        return {
            entry.instance.id: entry.lease.expires_at + self.apart
            for entry in (service.entries.values() if service else ())
            if entry.status not in (Status.UNHEALTHY, Status.SUSPECT) and not entry.lease.alive(self.now)
        }


def _served(service: Service, now: float) -> tuple[frozenset[str], dict[str, Status]]:
    served = frozenset(entry.instance.id for entry in service.served(now))
    return served, {entry.instance.id: entry.status_at(now) for entry in service.entries.values()}


def explained(found: ServiceAt) -> tuple[frozenset[str], dict[str, Status]]:
    """As `House.served`."""
    accounts = past.accounts(found, sees_names=True, lasting={})
    served = {each.instance.id for each in accounts if each.served}
    return frozenset(served), {each.instance.id: each.status for each in accounts}
