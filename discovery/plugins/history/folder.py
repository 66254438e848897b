"""The files of the history in their folder: one is written, the others are read; the oldest go when they are too old or too many octets.

The history is not the truth: whatever is wrong with a file is logged, counted and told in the answers, and keeps nobody from anything. One
that is damaged is renamed to NAME.damaged; one of a newer version is passed over. Used by the writer's thread, but for `files` and the
counts, which others read.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from discovery.core.errors import reason_of
from discovery.plugins.history import file as files
from discovery.plugins.history.file import Began, Checkpoint, Ended, HistoryFile, Info, NewerFormat
from discovery.plugins.history.rows import Keyed
from discovery.system import sqlite
from discovery.system.background_writer import WriteRefused

_log = logging.getLogger("discovery.history")

# One is begun a day, at each start and after many octets; a server that is restarted all the time must not fill a folder with names.
MAX_FILES = 1000
# Of HISTORY_MAX_MB, after which the next file is begun: what is dropped to make room is a quarter of the past at most.
_PART = 4
# Octets of an instance in a checkpoint, about, beside its metadata.
_KNOWN = 300
_DAY = 86400
_NAME = re.compile(r"[0-9]{6,12}\.db(\.damaged(-[0-9]+)?)?")

# What the writer has to do, in order. It may raise OSError and sqlite3.Error, and is tried again then.
Step = Callable[["Folder"], None]


class Folder:
    """`days`: how long files are kept after their end. `max_octets`: of all files together."""

    def __init__(self, path: Path, days: int, max_octets: int) -> None:
        self.path = path
        self.part = max_octets // _PART
        self._days = days
        self._max_octets = max_octets
        self._writing: HistoryFile | None = None
        self._looked = False
        self._lost = 0  # events that the next file misses
        self._lost_from: float | None = None
        self.files: tuple[Info, ...] = ()  # oldest first; replaced whole
        self.skipped: tuple[str, ...] = ()  # names of damaged files and those of a newer version
        self.octets = 0
        self.unwritten = 0  # events that no file has
        self.suspended: str | None = None  # why nothing is written although the disk would take it
        self.wants: Began | None = None  # why the next file is due

    def write(self, steps: Sequence[Step]) -> None:
        """WriteRefused."""
        for number, step in enumerate(steps):
            try:
                step(self)
            except (OSError, sqlite3.Error) as error:
                if not self._gave_up(error):
                    raise WriteRefused(reason_of(error), number) from None

    def _gave_up(self, error: Exception) -> bool:
        """The file that is written is broken, or is no longer there: what was to be written is missing, and the next file says so."""
        if self._writing is None or not (files.is_about_the_file(error) or not self._writing.path.exists()):
            return False
        self._discard(self._writing.path, error)
        return True

    def _discard(self, path: Path, error: Exception) -> None:
        if self._writing is not None and self._writing.path == path:
            self._writing.close()
            self._writing = None
            self.wants = Began.UNRECORDED
        self._set_aside(path, error)
        self.files = tuple(info for info in self.files if info.path != path)

    # -- steps

    def begin(self, checkpoint: Checkpoint) -> None:
        """The next file; the one before ends."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._looked:
            self._look()
        if self._lost and checkpoint.began is not Began.START:
            missing = checkpoint.missing + self._lost
            checkpoint = checkpoint._replace(began=Began.UNRECORDED, missing=missing, missing_from=self._lost_from)
        if self._writing is not None:
            self._finish(checkpoint.missing_from or checkpoint.wall, Ended.GOES_ON)
        if _octets(checkpoint) > self.part // 2:  # the next file would be due at once, and so on
            return self._suspend(checkpoint)
        self._drop_old(checkpoint.wall)
        number = max((*map(_number, self._paths()), *(info.number for info in self.files)), default=0) + 1
        path = self.path / f"{number:06}.db"
        files.create(path, checkpoint)
        self._writing = HistoryFile(path)
        self.files = (*self.files, files.info_of_new(path, number, checkpoint))
        self.suspended = self.wants = self._lost_from = None
        self._lost = 0
        return None

    def append(self, commits: Sequence[Keyed]) -> None:
        if self._writing is not None:
            self.unwritten += self._writing.append(commits)
            return
        self._lost_from = commits[0].commit.wall if self._lost_from is None else self._lost_from
        lost = sum(len(each.commit.events) for each in commits)
        self._lost += lost
        self.unwritten += lost

    def alive(self, wall: float) -> None:
        if self._writing is None:
            return
        if not self._writing.path.exists():
            raise FileNotFoundError(f"{self._writing.path} was removed")
        self._writing.alive(wall)
        written = files.size(self._writing.path)
        self.octets = sum(map(files.size, self._paths()))
        if written >= self.part:
            self.wants = Began.SIZE

    def stop(self, wall: float) -> None:
        if self._writing is not None:
            self._finish(wall, Ended.STOPPED)

    def discard(self, path: Path) -> None:
        """A reader has found that it is broken."""
        if path.exists():
            self._discard(path, sqlite3.DatabaseError("a part of it is not what was written"))

    def close(self) -> None:
        if self._writing is not None:
            self._writing.close()
            self._writing = None

    # -- what they are made of

    def _finish(self, wall: float, ended: Ended) -> None:
        assert self._writing is not None
        self._writing.finish(wall, ended)
        self._writing = None
        self.files = (*self.files[:-1], self.files[-1]._replace(alive=wall, ended=ended))

    def _suspend(self, checkpoint: Checkpoint) -> None:
        if self.files:
            HistoryFile(self.files[-1].path).finish(checkpoint.wall, Ended.UNRECORDED)
            self.files = (*self.files[:-1], self.files[-1]._replace(alive=checkpoint.wall, ended=Ended.UNRECORDED))
        self.wants = None
        self.suspended = (
            f"the state of {len(checkpoint.instances):,} instances takes more than an eighth of HISTORY_MAX_MB; nothing is written until "
            "that is raised"
        )
        _log.error("%(file)s: %(reason)s", {"event": "history.full", "file": self.path, "reason": self.suspended})

    def _look(self) -> None:
        """At what there is, once."""
        for left in self.path.glob("*.new"):
            left.unlink()
        for path in self._paths():
            if path.suffix != ".db":
                continue
            try:
                self.files = (*self.files, files.look_at(path, _number(path)))
            except NewerFormat as error:
                self._skip(path.name, f"{path} was written by a newer version ({error}) and is passed over")
            except (sqlite3.Error, ValueError) as error:
                self._set_aside(path, error)
        self._looked = True

    def _set_aside(self, path: Path, error: Exception) -> None:
        away, there = path.with_name(path.name + ".damaged"), path.exists()
        with contextlib.suppress(OSError):
            if there:
                path.replace(away)
            sqlite.remove(path)  # what stands beside it
        kept = (
            f"{path} cannot be read ({reason_of(error)}) and is kept as {away.name}" if there else f"{path} was removed"
        )
        self._skip(path.name, f"{kept}; what it had is missing")

    def _skip(self, name: str, what: str) -> None:
        self.skipped = (*self.skipped, name)
        _log.error("%(reason)s from the history", {"event": "history.skipped", "file": name, "reason": what})

    def _drop_old(self, wall: float) -> None:
        """So that the next file fits. Too old is what was so when the last file began: a clock may be set to a wrong time, and back."""
        paths = self._paths()
        sizes = {path: files.size(path) for path in paths}
        kept_from = min((wall, *(info.wall for info in self.files[-1:]))) - self._days * _DAY
        too_old = {info.path for info in self.files if info.alive < kept_from}
        total = sum(sizes.values())
        for number, path in enumerate(paths):
            if path in too_old or total > self._max_octets - self.part or len(paths) - number >= MAX_FILES:
                sqlite.remove(path)
                total -= sizes[path]
                self.files = tuple(info for info in self.files if info.path != path)
                self.skipped = tuple(name for name in self.skipped if not path.name.startswith(name))
                _log.info(
                    "%(file)s went from the history: it is too old, or there is no more room in HISTORY_MAX_MB",
                    {"event": "history.dropped", "file": path},
                )
        self.octets = total

    def _paths(self) -> list[Path]:
        """All of ours, oldest first."""
        ours = (path for path in self.path.iterdir() if _NAME.fullmatch(path.name))
        return sorted(ours, key=lambda path: (_number(path), path))


def _number(path: Path) -> int:
    return int(path.name.partition(".")[0])


def _octets(checkpoint: Checkpoint) -> int:
    return sum(_KNOWN + len(instance.spec.metadata) for instance in checkpoint.instances)
