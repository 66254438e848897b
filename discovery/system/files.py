"""Files that are read again when they change; where they cannot be used, what was read before stays in use.

They are read in threads: a mount that hangs holds up nobody but them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import Any, Generic, TypeVar

import watchfiles

from discovery.core.errors import DiscoveryError
from discovery.core.metric import Metric, gauge
from discovery.core.warning import Concern, each, warning
from discovery.system.threads import in_daemon_thread, start_in_daemon_thread

_log = logging.getLogger("discovery.watch")

# A folder that is not there cannot be watched; this is how often it is looked for.
_FOLDER_SECONDS = 2.0
# Within which 100,000 records of a zone are read, so that whoever asked for it can be told that it is done.
SLOW_SECONDS = 10.0
# At a time: when so many hang, one more will hang too.
MAX_READERS = 3

T = TypeVar("T")


async def _nothing(value: object) -> None:
    pass


class Reloaded(Generic[T]):
    """`value`: what the files said when they could be used last. `failure`: why what was read last is not in use; `failures`: how often it
    was not. `on_change`: told of each value but the first.

    `what`: in the names of its metric and of the log's lines. `paths`: files; or a folder, and all that is in it. `read`: DiscoveryError.
    """

    value: T

    def __init__(self, what: str, paths: Sequence[Path], read: Callable[[], T]) -> None:
        self._what = what
        self._paths = paths
        self._read = read
        self._seen = self._look()  # before they are read, so that no change is missed
        self.failure: str | None = None
        self.failures = 0
        self.on_change: Callable[[T], Awaitable[None]] = _nothing
        self.readers: list[Thread] = []
        self._begun = self._used = 0  # readings, by number
        self._tasks: set[asyncio.Task[None]] = set()

    def load(self) -> T:
        """The first value, at start, before anybody waits. DiscoveryError."""
        self.value = self._read()
        return self.value

    async def reload(self) -> None:
        """Where that takes longer than SLOW_SECONDS, this returns, and what they say counts when it is done."""
        self.readers = [thread for thread in self.readers if thread.is_alive()]
        path = self._paths[0]
        if len(self.readers) >= MAX_READERS:
            _log.error(
                "%(_number)d earlier readings of %(file)s have not come to an end (does a mount hang?); what was read before stays in use",
                {"event": f"{self._what}.stuck", "file": path, "_number": len(self.readers)},
            )  # fmt: skip
            return
        thread, reading = start_in_daemon_thread(self._read)
        self.readers.append(thread)
        self._begun += 1
        using = self._begin(self._use(reading, self._begun))
        await asyncio.wait([using], timeout=SLOW_SECONDS)
        if not using.done():
            _log.warning(
                "%(file)s is still being read; until that is done, what was read before stays in use",
                {"event": f"{self._what}.slow", "file": path},
            )

    async def _use(self, reading: asyncio.Future[T], number: int) -> None:
        """One that is overtaken by a later one comes too late."""
        path = self._paths[0]
        try:
            value = await reading
            if number > self._used:
                self._used, self.value, self.failure = number, value, None
                await self.on_change(value)
                _log.info("%(file)s was read again", {"event": f"{self._what}.reloaded", "file": path})
        except DiscoveryError as error:
            self._fail(str(error))
        except Exception:
            self._fail(f"reading {path} failed; the log has the details")
            _log.exception(
                "reading %(file)s failed; what was read before stays in use",
                {"event": f"{self._what}.failed", "file": path, "reason": "unforeseen"},
            )

    def _fail(self, reason: str) -> None:
        self.failure = reason
        self.failures += 1

    def concern(self) -> Concern:
        """A warning for each line of the failure."""

        def failures() -> Mapping[str, str]:
            lines = () if self.failure is None else self.failure.split("\n")
            return each(f"{line}; what was read before stays in use, and a restart would fail" for line in lines)

        return warning(f"{self._what}_failed", failures)

    def metric(self) -> Metric:
        return gauge(
            f"discovery_{self._what}_last_reload_successful",
            "0 while the files that were read last cannot be used: what they said before is.",
            lambda: self.failure is None,
        )

    def start(self) -> None:
        """Reads again, until `close`, when one was written, replaced, or swapped in through a link in its folder.

        Folders are watched, not files: editors and orchestrators replace files rather than write them.
        """
        self._begin(self._watch())

    async def close(self) -> None:
        """Files that are still being read are left alone."""
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _watch(self) -> None:
        """A folder may be missing, and may be replaced by another one: then it is looked for again."""
        while True:
            try:
                if folders := await in_daemon_thread(self._folders):
                    recursive = self._paths[0] in folders
                    # Also every few seconds: what happened before the watch stood is told by nobody.
                    async for _ in watchfiles.awatch(*folders, recursive=recursive, yield_on_timeout=True):
                        await self._compare()
                        if await in_daemon_thread(self._folders) != folders:
                            break
            except OSError:
                pass  # it went away between the look and the watch
            except Exception:
                _log.exception(
                    "watching %(file)s failed; it begins anew in %(_after)g s",
                    {"event": f"{self._what}.watch_failed", "file": self._paths[0], "_after": _FOLDER_SECONDS},
                )
            await asyncio.sleep(_FOLDER_SECONDS)
            await self._compare()

    def _folders(self) -> set[Path]:
        return {
            folder for path in self._paths for folder in [path if path.is_dir() else path.parent] if folder.is_dir()
        }

    async def _compare(self) -> None:
        seen = await in_daemon_thread(self._look)
        if seen != self._seen:
            self._seen = seen
            await self.reload()

    def _look(self) -> list[tuple[Path, int, int, int] | None]:
        """What the files are now."""
        return [_state(file) for path in self._paths for file in [path, *_below(path)]]


def _below(path: Path) -> Iterable[Path]:
    return sorted(path.rglob("*")) if path.is_dir() else ()


def _state(file: Path) -> tuple[Path, int, int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return file, stat.st_ino, stat.st_mtime_ns, stat.st_size
