"""What happened, to whom, by whom, and who was in the answers at an instant: kept in files for some days. README.md beside this file.

It follows the commits. Files are written and read in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from discovery.core.caller import Caller
from discovery.core.event import InstanceEvent, Kind, instant_of
from discovery.core.warning import each, warning
from discovery.plugins import Plugin, Seams
from discovery.plugins.history.asked import Asked, TooSlow
from discovery.plugins.history.folder import Folder
from discovery.plugins.history.questions import Questions
from discovery.plugins.history.reading import Reading
from discovery.plugins.history.recorder import Recorder
from discovery.plugins.history.rows import StoredEvent
from discovery.rest.api.times import iso
from discovery.store.absent import remember
from discovery.store.engine import Engine
from discovery.store.losses import KEPT, MAX_GONE
from discovery.store.registry import Registry
from discovery.system.env import EnvSettings
from discovery.system.threads import in_daemon_thread

# In the folder of what survives a restart.
FOLDER = "history"

_LEAVES = frozenset({Kind.UNHEALTHY, Kind.FAILING, Kind.EXPIRED, Kind.DEREGISTERED})

# Events that are read at the start for what became of services and instances last: what happened before them is not known.
_LATEST = 10_000


@dataclass(eq=False)
class History(Plugin):
    """`days`: for which files are kept, `max_octets` of all of them; 0 days: none is kept. `clock`: monotonic seconds, the registry's;
    `wall`: epoch seconds.
    """

    days: int
    max_octets: int
    registry: Registry
    clock: Callable[[], float]
    wall: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        self._seams = Seams()
        self.recorder: Recorder | None = None
        self._questions: Questions | None = None
        self._recalling: asyncio.Task[None] | None = None

    def install(self, seams: Seams) -> None:
        seams.concerns.append(warning("history_failing", self._trouble))
        self._seams = seams  # what plugins add that come later is in it
        self._questions = Questions(self.registry, self.clock, self.wall, seams.authorize, lambda: self.recorder)
        seams.routes.extend(self._questions.routes())

    def _trouble(self) -> Mapping[str, str]:
        if self.recorder is None:
            return {}
        folder = self.recorder.folder
        found = (
            self.recorder.writer.trouble(),
            folder.suspended and f"nothing is written into {folder.path}: {folder.suspended}",
            *(
                f"{name} in {folder.path} could not be read, and the history lacks what was in it"
                for name in folder.skipped
            ),
        )
        return each(filter(None, found))

    async def open(self, engine: Engine) -> None:
        if self.days and self._seams.folders:
            folder = Folder(self._seams.folders[0] / FOLDER, self.days, self.max_octets)
            self.recorder = Recorder(folder, self.registry, self.wall)
            self._seams.followers.append(self.recorder.follow_commit)
            self._recalling = asyncio.get_running_loop().create_task(self._recall(self.recorder))

    async def _recall(self, recorder: Recorder) -> None:
        """Who has gone within the last hour, is missed in a zone, who took whom out, and what changed when: no restart forgets it."""
        began = self.wall()
        await recorder.restored.wait()
        await recorder.flushed()
        asked = Asked(kinds=_LEAVES, since=self.wall() - KEPT, limit=MAX_GONE)
        with contextlib.suppress(TooSlow):
            gone = await in_daemon_thread(lambda: _of_instances(recorder, asked))
            lost = [(event, instant_of(event, wall)) for event, wall, _ in reversed(gone)]
            self.registry.losses.recall(lost, lambda key: self.registry.find(key) is not None)
            told = await in_daemon_thread(lambda: _of_instances(recorder, Asked(limit=_LATEST)))
            remember(self.registry, told)
            since, apart = self.wall() - KEPT, self.clock() - self.wall()
            before = [(event, wall + apart) for event, wall, _ in reversed(told) if since <= wall < began]
            self.registry.missing.recall(before)
            if self.registry.missing:
                self.registry.staleness_changed()  # answers were kept that do not know of them
            for event, wall, _ in told:
                service = self.registry.services.get(event.service)
                if service is not None and service.changed_at is None:
                    service.changed_at = wall

    async def close(self) -> None:
        if self._recalling is not None:
            self._recalling.cancel()
        if self._questions is not None:
            self._questions.close()
        if self.recorder is not None:
            await self.recorder.close()

    def stats(self) -> Mapping[str, Any]:
        if self.recorder is None:
            return {"history": {"files": 0}}
        folder, writer = self.recorder.folder, self.recorder.writer
        return {
            "history": {
                "files": len(folder.files),
                "octets": folder.octets,
                "since": iso(folder.files[0].wall) if folder.files else None,
                "writable": writer.refuses is None and folder.suspended is None,
                "reason": writer.refuses or folder.suspended,
                "waiting": writer.added - writer.done,
                "unwritten": self.recorder.unwritten,
                "unreadable": list(folder.skipped),
            }
        }


def _of_instances(recorder: Recorder, asked: Asked) -> list[tuple[InstanceEvent, float, Caller]]:
    """Newest first, each with when it was committed and who asked for it. TooSlow."""
    return [
        (item.event, item.wall, item.by)
        for item in Reading(recorder.folder.files).page(asked).items
        if isinstance(item, StoredEvent) and isinstance(item.event, InstanceEvent)
    ]


class HistorySettings(EnvSettings):
    history_days: int = Field(7, ge=0, le=366)
    """Days for which it is kept what happened, 0 to 366. 0: no history."""

    history_max_mb: int = Field(1024, ge=16, le=1_048_576)
    """MiB of all its files together, 16 to 1048576; the oldest go when there are more."""


def make(registry: Registry, clock: Callable[[], float]) -> History:
    settings = HistorySettings.read()
    return History(settings.history_days, settings.history_max_mb * 2**20, registry, clock)
