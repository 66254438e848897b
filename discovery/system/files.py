"""Files that are read again when they change; where they cannot be used, what was read before stays in use."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import watchfiles

from discovery.core.errors import DiscoveryError
from discovery.core.log_fields import fields
from discovery.core.metric import Metric, gauge
from discovery.system.threads import in_daemon_thread

_log = logging.getLogger("discovery.watch")

# A folder that is not there cannot be watched; this is how often it is looked for.
_FOLDER_SECONDS = 2.0

T = TypeVar("T")


class Reloaded(Generic[T]):
    """`value`: what the files said when they could be used last. `failure`: why what was read last is not in use; the log says it too.
    `on_change`: told of each value but the first.

    `what`: in the names of its metric and of the log's lines. `files`: at least one. `read`: in a thread, but for the
    first time; its DiscoveryError is raised here then.
    """

    def __init__(self, what: str, files: Sequence[Path], read: Callable[[], T]) -> None:
        self._what = what
        self._files = files
        self._read = read
        self._seen = self._look()  # before they are read, so that no change is missed
        self.value = read()
        self.failure: str | None = None
        self.on_change: Callable[[T], None] = lambda value: None
        self._reading = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def reload(self) -> None:
        async with self._reading:  # an older look must not undo a newer one
            try:
                self.value = await in_daemon_thread(self._read)
                self.failure = None
            except DiscoveryError as error:
                self.failure = str(error)
                _log.error(
                    "%s; what was read before stays in use", error,
                    extra=fields(f"{self._what}.failed", file=self._files[0], reason=self.failure),
                )  # fmt: skip
            else:
                self.on_change(self.value)
                _log.info(
                    "%s was read again", self._files[0], extra=fields(f"{self._what}.reloaded", file=self._files[0])
                )

    def metric(self) -> Metric:
        return gauge(
            f"discovery_{self._what}_last_reload_successful",
            "0 while the files that were read last cannot be used: what they said before is.",
            lambda: self.failure is None,
        )

    def start(self) -> None:
        """Reads again, until `close`, when a file was written, replaced, or swapped in through a link in its folder.

        Their folders are watched, not they: editors and orchestrators replace files rather than write them.
        """
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
                await self.reload()
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
