"""Files that are read again when they change: each look compares what the file is now with what it was."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import watchfiles

from discovery.core.log_fields import fields

_log = logging.getLogger("discovery.watch")

# A folder that is not there cannot be watched; this is how often it is looked for.
_FOLDER_SECONDS = 2.0


class FileWatch:
    """Calls `on_change` when one of `files` was written, replaced, or swapped in through a link in its folder; until `close`.

    Their folders are watched, not they: editors and orchestrators replace files rather than write them.
    """

    def __init__(self, files: Sequence[Path], on_change: Callable[[], Awaitable[None]]) -> None:
        self._files = files
        self._on_change = on_change
        self._seen = self._look()  # before they are read, so that no change is missed
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self) -> None:
        while True:
            folders = {file.parent for file in self._files if file.parent.is_dir()}
            with contextlib.suppress(OSError):
                if folders:
                    # Also every few seconds: what happened before the watch stood is told by nobody.
                    async for _ in watchfiles.awatch(*folders, recursive=False, yield_on_timeout=True):
                        await self._compare()
                        if not all(folder.is_dir() for folder in folders):
                            break
            await asyncio.sleep(_FOLDER_SECONDS)
            await self._compare()

    async def _compare(self) -> None:
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            try:
                await self._on_change()
            except Exception:
                _log.exception(
                    "%s changed and could not be read again",
                    self._files[0],
                    extra=fields("file.reload_failed", file=self._files[0]),
                )

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_state(file) for file in self._files]


def _state(file: Path) -> tuple[int, int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
