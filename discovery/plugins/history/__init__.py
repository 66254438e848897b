"""What happened, to whom, by whom, and who was in the answers at an instant: kept in files for some days. README.md beside this file.

It follows the commits. Files are written and read in threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from discovery.plugins import Plugin, Seams
from discovery.plugins.history.folder import Folder
from discovery.plugins.history.questions import Questions
from discovery.plugins.history.recorder import Recorder
from discovery.plugins.history.settings import HistorySettings
from discovery.rest.api.times import iso
from discovery.store.engine import Engine
from discovery.store.registry import Registry

# In the folder of what survives a restart.
FOLDER = "history"


class History(Plugin):
    """`days`: for which files are kept, `max_octets` of all of them; 0 days: none is kept. `clock`: monotonic seconds, the registry's;
    `wall`: epoch seconds.
    """

    def __init__(
        self,
        days: int,
        max_octets: int,
        registry: Registry,
        clock: Callable[[], float],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._days = days
        self._max_octets = max_octets
        self._registry = registry
        self._clock = clock
        self._wall = wall
        self._seams = Seams()
        self.recorder: Recorder | None = None
        self._questions: Questions | None = None

    def install(self, seams: Seams) -> None:
        self._seams = seams  # what plugins add that come later is in it
        self._questions = Questions(self._registry, self._clock, self._wall, seams.authorize, lambda: self.recorder)
        seams.routes.extend(self._questions.routes())

    async def open(self, engine: Engine) -> None:
        if self._days and self._seams.folders:
            folder = Folder(self._seams.folders[0] / FOLDER, self._days, self._max_octets)
            self.recorder = Recorder(folder, self._registry, self._wall)
            self._seams.followers.append(self.recorder.follow_commit)

    async def close(self) -> None:
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


def make(registry: Registry, clock: Callable[[], float]) -> History:
    settings = HistorySettings.read()
    return History(settings.history_days, settings.history_max_mb * 2**20, registry, clock)
