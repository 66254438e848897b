"""The file, open for writing: SQLite with a write-ahead log, every commit synced. Used by one thread at a time.

It is opened when `inspect` has found it right, made when it is missing, and migrated when its format is an older one.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from discovery.core.metric import Histogram
from discovery.plugins.journal import schema
from discovery.plugins.journal.errors import CannotWrite, Damaged
from discovery.plugins.journal.schema import APPLICATION_ID, migrate, translated_errors
from discovery.system import sqlite
from discovery.system.background_writer import BackgroundWriter, WriteRefused

# The index on disk is ahead of the registry's by so much, so that the index never goes back, even when the last commits before a kill
# were not written. More than can happen while a disk is slow. It is moved on when half of this is used up.
AHEAD = 1 << 18
# Rows of instances that go in with one statement, the most first.
_PUTS = [(size, schema.put_instances(size)) for size in (64, 8)] + [(1, schema.PUT_INSTANCE)]
# A statement and what goes into it.
Op = tuple[str, tuple[Any, ...]]


class Database:
    """CannotWrite; Damaged where SQLite finds what `inspect` did not."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._refused = False  # the last write
        with translated_errors(file):
            self._sql = sqlite.opened(file, "rw")
            try:
                self._prepare()
            except BaseException:
                self._sql.close()
                raise

    def _prepare(self) -> None:
        self._sql.execute("PRAGMA journal_mode=WAL")
        self._sql.execute("PRAGMA synchronous=FULL")  # every commit, not only every checkpoint
        migrate(self._sql, sqlite.pragma(self._sql, "user_version"))

    def write(self, commits: Sequence[Sequence[Op]]) -> None:
        """All of them in one transaction, on disk when it returns. WriteRefused; the next call makes room first."""
        if self._refused:
            self._make_room()
        try:
            self.commit(chain.from_iterable(commits))
        except CannotWrite as error:
            self._refused = True
            raise WriteRefused(error.reason) from None
        self._refused = False

    def _make_room(self) -> None:
        """Moves what the write-ahead log holds into the file, and truncates the log; if that can be done."""
        with contextlib.suppress(sqlite3.Error):
            self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def commit(self, ops: Iterable[Op]) -> None:
        """All of them or none, on disk when it returns. CannotWrite."""
        sql = self._sql
        try:
            with sqlite.transaction(sql):
                for statement, run in groupby(ops, itemgetter(0)):
                    values = (values for _, values in run)
                    if statement is schema.PUT_INSTANCE:
                        sqlite.put_rows(sql, _PUTS, values)
                    else:
                        for each in values:
                            sql.execute(statement, each)
        except (sqlite3.Error, UnicodeError, OverflowError) as error:
            raise CannotWrite(self.file, str(error)) from None

    def leave_wal_mode(self) -> None:
        """Everything is in the one file, without a write-ahead log. CannotWrite."""
        with translated_errors(self.file):
            self._sql.execute("PRAGMA journal_mode=DELETE")

    def close(self) -> None:
        self._sql.close()


def create(file: Path) -> None:
    """An empty one. Damaged, CannotWrite. Made aside, and moved to its place when it is whole: a half-made file would look damaged."""
    log = sqlite.beside(file, "-wal")
    if log.exists() and log.stat().st_size > 0:
        raise Damaged(file, f"it is missing, and its write-ahead log {log.name} is there")
    try:
        with sqlite.made(file) as sql:
            sql.execute(f"PRAGMA application_id={APPLICATION_ID}")
            migrate(sql, 0)
    except (OSError, sqlite3.Error) as error:
        raise CannotWrite(file, str(error)) from None


_log = logging.getLogger("discovery.journal")

Writer = BackgroundWriter[Sequence[Op]]

# Seconds that a commit may take before writes are refused: more than a busy disk needs, less than clients wait.
PATIENCE = 10.0
# What may wait for the disk before writes are refused. What time brings (instances that expire) is put all the same: it is bounded by
# the number of instances.
MAX_COMMITS = 100_000
MAX_OCTETS = 64 * 1024 * 1024


# Seconds of a transaction: a fast disk syncs within a millisecond, a busy one in seconds.
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0)
# Octets of a transaction: a registration has some 300, a crowd of them megabytes.
OCTETS = (256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216)


def writer_of(database: Database, seconds: Histogram | None = None, octets: Histogram | None = None) -> Writer:
    """Made in the event loop; it closes the database at its end. Notes of each transaction how long it took and how large it was."""
    measured = partial(_measured, database.write, seconds or Histogram(SECONDS), octets or Histogram(OCTETS))
    return BackgroundWriter(
        "journal", database.file, measured, database.close,
        "register, deregister, drain and maintenance get 503 until it can be: is the disk full?",
        patience=PATIENCE, max_items=MAX_COMMITS, max_octets=MAX_OCTETS,
    )  # fmt: skip


def _measured(
    write: Callable[[Sequence[Sequence[Op]]], None],
    seconds: Histogram,
    octets: Histogram,
    group: Sequence[Sequence[Op]],
) -> None:
    """In the writer's thread, which alone changes these histograms."""
    started = time.perf_counter()
    write(group)
    seconds.observe(time.perf_counter() - started)
    octets.observe(sum(_size(value) for ops in group for _, values in ops for value in values))


def _size(value: object) -> int:
    return len(value) if isinstance(value, str | bytes) else 8
