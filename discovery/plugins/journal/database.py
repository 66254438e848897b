"""The file: SQLite with a write-ahead log, every commit synced. Used by one thread at a time.

    instance   id, registered_at, draining_since, name, ip, port, metadata, options, checksum    in the order of registration
    window     service, ip, port, reason, until, checksum
    tombstone  service, ip, port, until, checksum
    meta       'index': a number that the registry's index has not reached yet; 'wall': when that was written, epoch seconds; checksum

`PRAGMA user_version` is the format; a file of an older one is migrated when it is opened, step by step.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from discovery.core.instance import Instance, Key
from discovery.core.maintenance import Scope, Window
from discovery.plugins.journal import rows, wal
from discovery.plugins.journal.errors import CannotRead, CannotWrite, Damaged, NewerFormat
from discovery.system.background_writer import WriteRefused

# "disc" in the file's header says whose it is (`file` shows it).
APPLICATION_ID = 0x64697363
# What leads from each format to the next; the first makes the first.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE instance(id TEXT PRIMARY KEY, registered_at REAL, draining_since REAL, name TEXT, ip TEXT, port INTEGER, "
        "metadata BLOB, options TEXT, checksum INTEGER)",
        "CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER, checksum INTEGER)",
    ),
    (
        "CREATE TABLE window(service TEXT, ip TEXT, port INTEGER, reason TEXT, until REAL, checksum INTEGER)",
        "CREATE TABLE tombstone(service TEXT, ip TEXT, port INTEGER, until REAL, checksum INTEGER, "
        "PRIMARY KEY(service, ip, port))",
    ),
)
FORMAT = len(MIGRATIONS)

# SQLite's codes for what surrounds a file: rights, locks, space. All others are about the file itself.
_AROUND = (
    sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL,
)  # fmt: skip
# The index on disk is ahead of the registry's, so that it never goes back, whatever was not written when the process was killed: more
# than all that can happen while the disk is slow. It is moved on when half of this is used up.
AHEAD = 1 << 18
# More seconds than this are a clock that was wrong.
MAX_USED_UP = 1 << 24
# A statement and what goes into it.
Op = tuple[str, tuple[Any, ...]]

PUT_INSTANCE = (
    "INSERT INTO instance VALUES(?,?,?,?,?,?,?,?,?) ON CONFLICT(id) DO UPDATE SET registered_at=excluded.registered_at, "
    "draining_since=excluded.draining_since, name=excluded.name, ip=excluded.ip, port=excluded.port, metadata=excluded.metadata, "
    "options=excluded.options, checksum=excluded.checksum"
)
DELETE_INSTANCE = "DELETE FROM instance WHERE id=?"
DELETE_WINDOWS = "DELETE FROM window"
PUT_WINDOW = "INSERT INTO window VALUES(?,?,?,?,?,?)"
PUT_TOMBSTONE = "INSERT OR REPLACE INTO tombstone VALUES(?,?,?,?,?)"
DELETE_OLD_TOMBSTONES = "DELETE FROM tombstone WHERE until<=?"
DELETE_TOMBSTONE = "DELETE FROM tombstone WHERE service=? AND ip=? AND port=?"
PUT_META = "INSERT OR REPLACE INTO meta VALUES(?,?,?)"


class Content(NamedTuple):
    """`reserved_index` is one that the registry has not reached."""

    reserved_index: int
    instances: list[Instance]
    windows: list[tuple[Scope, Window]]
    tombstones: list[tuple[Key, float]]


class Database:
    """Opens `file`, and makes it when it is missing. Damaged, NewerFormat, CannotWrite; the file is as it was then.

    `called`: the file that errors name, when that is another one.
    """

    def __init__(self, file: Path, called: Path | None = None) -> None:
        self.file = called or file
        self._refused = False  # the last write
        try:
            if not file.exists():
                _create(file)
            self._look_at(file)
        except OSError as error:
            raise CannotWrite(self.file, error.strerror or str(error)) from None
        with told(self.file):
            self._sql = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self._sql.close()
                raise

    def _look_at(self, file: Path) -> None:
        """What SQLite would not say."""
        with file.open("rb") as octets:
            header = octets.read(19)
        if not header:
            raise Damaged(self.file, "it is empty")
        if header[18:] > b"\2":  # SQLite would read it and refuse every write
            raise Damaged(self.file, "its header is not what was written")
        if wal.is_torn_in_the_middle(file.with_name(file.name + "-wal")):
            raise Damaged(self.file, "its write-ahead log is broken in the middle")

    def _prepare(self) -> None:
        sql = self._sql
        if sql.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise Damaged(self.file, "it is no registry of this program")
        format = sql.execute("PRAGMA user_version").fetchone()[0]
        if format > FORMAT:
            raise NewerFormat(self.file, format, FORMAT)
        if format < 1:
            raise Damaged(self.file, f"its format is {format}")
        verdict = sql.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            raise Damaged(self.file, verdict.splitlines()[-1])
        made = [row[0] for row in sql.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")]
        if made != [statement for step in MIGRATIONS[:format] for statement in step]:
            raise Damaged(self.file, "its tables are not those that were made")
        sql.execute("PRAGMA journal_mode=WAL")
        sql.execute("PRAGMA synchronous=FULL")  # every commit, not only every checkpoint
        _migrate(sql, format)

    def load(self, wall: float = 0.0) -> Content:
        """All there is; Damaged when a row is not what was written. `wall`: epoch seconds now."""
        with told(self.file):
            try:
                meta: dict[str, int] = dict(map(rows.opened, self._all("meta")))
                return Content(
                    meta.get("index", 0) + _used_up(meta, wall),
                    list(map(rows.instance, self._all("instance"))),
                    list(map(rows.window, self._all("window"))),
                    list(map(rows.tombstone, self._all("tombstone"))),
                )
            except rows.BadRow as bad:
                raise Damaged(self.file, str(bad)) from None

    def _all(self, table: str) -> list[rows.Row]:
        """Read to its end, so that nothing is held open."""
        return self._sql.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall()  # noqa: S608 - names of ours

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
        """What the write-ahead log holds is moved to where it belongs, and the log gives its space back; if that can be done."""
        with contextlib.suppress(sqlite3.Error):
            self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def commit(self, ops: Iterable[Op]) -> None:
        """All of them or none, on disk when it returns. CannotWrite."""
        sql = self._sql
        try:
            sql.execute("BEGIN IMMEDIATE")
            for statement, values in ops:
                sql.execute(statement, values)
            sql.execute("COMMIT")
        except (sqlite3.Error, UnicodeError, OverflowError) as error:
            with contextlib.suppress(sqlite3.Error):  # some errors have rolled it back already
                sql.execute("ROLLBACK")
            raise CannotWrite(self.file, str(error)) from None

    def make_single(self) -> None:
        """Nothing is left in a write-ahead log. CannotWrite."""
        with told(self.file):
            self._sql.execute("PRAGMA journal_mode=DELETE")

    def close(self) -> None:
        self._sql.close()


def _create(file: Path) -> None:
    """Aside, and moved to its place when it is whole: a half-made file would look damaged."""
    log = file.with_name(file.name + "-wal")
    if log.exists() and log.stat().st_size > 0:
        raise Damaged(file, f"it is missing, and its write-ahead log {log.name} is there")
    new = file.with_name(file.name + ".new")
    try:
        new.unlink(missing_ok=True)
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as sql:
            sql.execute(f"PRAGMA application_id={APPLICATION_ID}")
            _migrate(sql, 0)
        put_in_place(new, file)
    except (OSError, sqlite3.Error) as error:
        raise CannotWrite(file, str(error)) from None


def _used_up(meta: Mapping[str, int], wall: float) -> int:
    """What a start on a full disk, which could reserve nothing, may have counted beyond what was reserved: one a second."""
    since = int(wall) - meta.get("wall", 0) if meta.get("wall") else 0
    return min(max(0, since), MAX_USED_UP)


def put_in_place(new: Path, file: Path) -> None:
    """Moves `new` over `file`, and is sure of it when it returns."""
    _sync(new)
    new.replace(file)
    _sync(file.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _migrate(sql: sqlite3.Connection, format: int) -> None:
    if format == FORMAT:
        return
    sql.execute("BEGIN IMMEDIATE")
    for statements in MIGRATIONS[format:]:
        for statement in statements:
            sql.execute(statement)
    sql.execute(f"PRAGMA user_version={FORMAT}")
    sql.execute("COMMIT")


@contextlib.contextmanager
def told(file: Path, around: type[CannotWrite] | type[CannotRead] = CannotWrite) -> Iterator[None]:
    """SQLite's errors in our words. `around`: for what surrounds the file."""
    try:
        yield
    except UnicodeDecodeError:  # what SQLite says of broken text quotes it
        raise Damaged(file, "its text is not what was written") from None
    except sqlite3.Error as error:
        # The low octet is the primary code; errors of the module itself (text that is no UTF-8) have none.
        surrounds = getattr(error, "sqlite_errorcode", 0) & 0xFF in _AROUND
        raise (around if surrounds else Damaged)(file, str(error)) from None
