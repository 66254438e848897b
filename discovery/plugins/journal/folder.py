"""The data directory alone, where the engine keeps the state: this process's own, for what others keep in it (the history)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from discovery.plugins import Plugin, Seams
from discovery.plugins.journal.lock import Lock
from discovery.plugins.journal.settings import JournalSettings
from discovery.store.engine import Engine
from discovery.store.registry import Registry


class DataFolder(Plugin):
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: Lock | None = None

    def install(self, seams: Seams) -> None:
        seams.folders.append(self._folder)

    async def open(self, engine: Engine) -> None:
        """DataDirUnusable, DataDirInUse."""
        self._lock = await asyncio.to_thread(Lock, self._folder)

    async def close(self) -> None:
        if self._lock is not None:
            self._lock.close()


def make(registry: Registry, clock: Callable[[], float]) -> DataFolder | None:
    folder = JournalSettings.read().data_dir
    return None if folder is None else DataFolder(folder)
