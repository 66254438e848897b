"""One file of the history: SQLite. It opens with a checkpoint, the whole state at one instant, and has every event since then.

    life    one row: how and when it began, what was known then, when the server last gave a sign of life, whether it was stopped
    known   the checkpoint: the instances, in the order of registration, and since when they had their status
    window  the checkpoint: what is kept besides the instances (until 2026-11 the maintenance windows alone)
    event   what happened; `rows` has the columns

A file is made aside and moved to its place whole. Appending is a write-ahead log without a sync: it outlives a kill of the process, and a
power cut loses the last seconds. `PRAGMA user_version` is the format. Used by one thread at a time.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from discovery.core.event import ValueEvent
from discovery.core.instance import Instance
from discovery.plugins.history import rows
from discovery.plugins.history.asked import ServerEvent
from discovery.plugins.history.replies import STARTED, STOPPED, UNRECORDED
from discovery.plugins.history.rows import PER_COMMIT
from discovery.rest.api.times import iso
from discovery.store.service import Entry
from discovery.system import sqlite

APPLICATION_ID = 0x64686973  # "dhis" in the file's header; `file` shows it
FORMAT = 1
# Seconds between two signs of life: so exactly is the end of a server known that was killed.
SIGN_OF_LIFE = 5.0

_LIFE = (
    "began TEXT, wall REAL, idx INTEGER, instances INTEGER, alive REAL, ended TEXT, missing INTEGER, missing_from REAL"
)
_SCHEMA = (
    f"CREATE TABLE life({_LIFE})",
    f"CREATE TABLE known({rows.KNOWN})",
    "CREATE TABLE window(service TEXT, content BLOB)",
    f"CREATE TABLE event({rows.EVENT.replace('key', 'key INTEGER PRIMARY KEY', 1)})",
    "CREATE INDEX known_service ON known(service)",
    # Each has the key behind it, so that what is found comes in order.
    "CREATE INDEX event_service ON event(service)",
    "CREATE INDEX event_ip ON event(ip)",
    "CREATE INDEX event_kind ON event(kind)",
    "CREATE INDEX event_actor ON event(actor) WHERE actor<>''",
)
# Rows of one statement, the most first. With 64 rows the writer would fall behind a registry that takes 20,000 registrations a second in
# batches.
_AT_ONCE = (256, 32, 4, 1)


class Began(StrEnum):
    """Why a file was begun."""

    START = "start"  # of the server: nobody was answered since the sign of life in the file before
    DAY = "day"
    SIZE = "size"
    CLOCK = "clock"  # it was set back
    UNRECORDED = "unrecorded"  # what happened before could not be written


class Ended(StrEnum):
    """What is known of a file's end."""

    NOT = "not"  # it is being written, or the server was killed
    STOPPED = "stopped"  # the server was
    GOES_ON = "goes on"  # in the next file
    UNRECORDED = "unrecorded"  # nothing could be written from then on


class Checkpoint(NamedTuple):
    """The whole state at `wall`, epoch seconds. `entries`: of the instances, in the same order, to be asked since when each has had its
    status: what is later than `wall` is not known. `missing`: events since `missing_from` that are in no file.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks
    wall: float
    began: Began
    instances: Sequence[Instance] = ()
    entries: Sequence[Entry] = ()
    values: Sequence[ValueEvent[Any, Any]] = ()
    missing: int = 0
    missing_from: float | None = None


class Info(NamedTuple):
    """What `life` says. `alive`: the last sign of life; of the file that is being written, one of its first."""

    number: int
    path: Path
    began: Began
    wall: float
    commit: int
    instances: int
    alive: float
    ended: Ended
    missing: int
    missing_from: float | None


class NewerFormat(Exception):
    """It is left as it is."""


def is_about_the_file(error: Exception) -> bool:
    """Whether it is the file that is broken, and not what surrounds it."""
    return isinstance(error, sqlite3.DatabaseError) and not sqlite.is_around(error)


def create(path: Path, checkpoint: Checkpoint) -> None:
    """Moves it to its place whole, or leaves nothing. sqlite3.Error, OSError."""
    with sqlite.made(path) as sql:
        for statement in ("journal_mode=OFF", "synchronous=OFF", f"application_id={APPLICATION_ID}"):
            sql.execute(f"PRAGMA {statement}")
        sql.execute("BEGIN")
        for statement in _SCHEMA:
            sql.execute(statement)
        insert(sql, "known", rows.KNOWN_WIDTH, _known(checkpoint))
        insert(sql, "window", 2, map(rows.of_value, checkpoint.values))
        insert(sql, "life", len(Info._fields) - 2, [info_of_new(path, 0, checkpoint)[2:]])
        sql.execute(f"PRAGMA user_version={FORMAT}")
        sql.execute("COMMIT")


def _known(checkpoint: Checkpoint) -> Iterator[rows.Row]:
    for instance, entry in zip(checkpoint.instances, checkpoint.entries, strict=True):
        since = entry.since  # it changes in the event loop
        yield rows.of_known(instance, since if since is not None and since <= checkpoint.wall else None)


def insert(sql: sqlite3.Connection, table: str, width: int, values: Iterable[rows.Row]) -> None:
    """A row whose key is there already is passed over: its write was tried before."""
    one = f"({','.join('?' * width)})"
    statements = [(size, f"INSERT OR IGNORE INTO {table} VALUES{','.join([one] * size)}") for size in _AT_ONCE]
    sqlite.put_rows(sql, statements, values)


class HistoryFile:
    """Open for writing. sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sql = sqlite.opened(path, "rw")
        try:
            self._sql.execute("PRAGMA journal_mode=WAL")
            # Synced when the log is merged, so that a power cut breaks nothing.
            self._sql.execute("PRAGMA synchronous=NORMAL")
        except BaseException:
            self._sql.close()
            raise

    def append(self, commits: Sequence[rows.Keyed]) -> int:
        """Their events, all or none. How many cannot be written at all."""
        events = [row for each in commits for row in rows.of_commit(each)]
        try:
            with sqlite.transaction(self._sql):
                insert(self._sql, "event", rows.EVENT_WIDTH, events)
                self._sql.execute("UPDATE life SET alive=max(alive,?)", (commits[-1].commit.wall,))
            return 0
        except (UnicodeError, OverflowError):
            # Text that is no UTF-8, a number that is no 64 bits: one row must not stop the rest.
            with sqlite.transaction(self._sql):
                return sum(not self._fits(row) for row in events)

    def _fits(self, row: rows.Row) -> bool:
        try:
            insert(self._sql, "event", rows.EVENT_WIDTH, [row])
        except (UnicodeError, OverflowError):
            return False
        return True

    def alive(self, wall: float) -> None:
        self._sql.execute("UPDATE life SET alive=max(alive,?)", (wall,))

    def finish(self, wall: float, ended: Ended) -> None:
        """Everything is in the one file then, unless somebody is reading it."""
        with contextlib.suppress(sqlite3.Error):  # it has its last sign of life; the next start says the rest
            self._sql.execute("UPDATE life SET alive=?, ended=?", (wall, ended))
            self._sql.execute("PRAGMA journal_mode=DELETE")
        self._sql.close()

    def close(self) -> None:
        self._sql.close()


def info_of_new(path: Path, number: int, checkpoint: Checkpoint) -> Info:
    """What `look_at` would find."""
    wall, instances = checkpoint.wall, len(checkpoint.instances)
    missing, missing_from = checkpoint.missing, checkpoint.missing_from
    return Info(
        number, path, checkpoint.began, wall, checkpoint.index, instances, wall, Ended.NOT, missing, missing_from
    )


def look_at(path: Path, number: int) -> Info:
    """NewerFormat; sqlite3.Error, and sqlite3.DatabaseError where it is none of ours. What a kill left in its write-ahead log is merged."""
    if sqlite.beside(path, "-wal").exists():
        with contextlib.closing(sqlite.opened(path, "rw")) as sql:
            sql.execute("PRAGMA journal_mode=DELETE")
    with contextlib.closing(sqlite.opened(path, "ro")) as sql:
        owner = sqlite.pragma(sql, "application_id")
        if owner != APPLICATION_ID:
            raise sqlite3.DatabaseError(f"it is no file of the history (application_id {owner})")
        format = sqlite.pragma(sql, "user_version")
        if format != FORMAT:
            raise NewerFormat(f"format {format}, this version knows {FORMAT}")
        found = sql.execute("SELECT * FROM life").fetchone()
        if found is None:
            raise sqlite3.DatabaseError("it does not say when it was begun")
        began, wall, index, instances, alive, ended, missing, missing_from = found
        return Info(number, path, Began(began), wall, index, instances, alive, Ended(ended), missing, missing_from)


def size(path: Path) -> int:
    """Octets on disk, with what stands beside it."""
    total = 0
    for suffix in ("", *sqlite.BESIDE):
        with contextlib.suppress(OSError):
            total += sqlite.beside(path, suffix).stat().st_size
    return total


class Gap(NamedTuple):
    """Between `since` and `until`, epoch seconds; up to `surely` it may not have begun. `told`: what it is, in words. `commit`: the index
    from which it goes on.
    """

    since: float
    surely: float
    until: float
    unrecorded: bool
    told: str
    commit: int


def gap_after(info: Info, following: Info) -> Gap | None:
    """None: one file was begun when the other was ended, and nothing is missing."""
    since, until = info.alive, following.wall
    unrecorded = info.ended is Ended.UNRECORDED or following.began is Began.UNRECORDED
    if unrecorded or following.number != info.number + 1:
        since = since if following.missing_from is None else following.missing_from
        events = f"{following.missing:,} events" if following.missing else "what happened"
        text = f"{events} from {iso(since)} to {iso(until)} could not be kept"
        return Gap(since, since, until, True, text, following.commit)
    if following.began is not Began.START:
        return None
    if info.ended is Ended.STOPPED:
        surely = since
        text = f"the server was stopped: nobody was answered from {iso(since)} to {iso(until)}"
    else:
        surely = min(since + SIGN_OF_LIFE, until)
        text = (
            f"the server ended without being stopped (it was killed, or its machine went down): nobody was answered from {iso(since)}, "
            f"when it was last known alive, or a few seconds later, to {iso(until)}"
        )
    return Gap(since, surely, until, False, text, following.commit)


def life_of(info: Info, gap: Gap | None) -> list[ServerEvent]:
    """What a file says of the server: that it started with it, and how it ended. `gap`: behind it."""
    found = []
    first = info.commit * PER_COMMIT
    if info.began is Began.START:
        reason = f"the server started; instances that it knew: {info.instances:,}"
        found.append(ServerEvent(info.number, first, STARTED, info.wall, info.wall, info.commit, reason))
    if gap is not None:
        kind = UNRECORDED if gap.unrecorded else STOPPED
        found.append(ServerEvent(info.number, _LAST, kind, gap.since, gap.until, gap.commit, gap.told))
    return found


# Behind every event of a file.
_LAST = (1 << 62) - 1
