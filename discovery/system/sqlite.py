"""Files of SQLite: made aside and moved to their place whole, opened as they are meant, written many rows at a time."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from discovery.system.in_place import put_in_place

# What SQLite keeps beside a file, while it is written or after a kill.
BESIDE = ("-wal", "-shm", "-journal")

# SQLite's codes for what surrounds a file: rights, locks, space. All others are about the file itself.
_AROUND = (
    sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT,
)  # fmt: skip


def is_around(error: Exception) -> bool:
    """Whether it is about what surrounds the file. Errors of the module itself (text that is no UTF-8) have no code, and are not."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _AROUND  # the low octet is the primary code


def beside(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)


def remove(file: Path) -> None:
    """With what stands beside it. OSError."""
    for suffix in (*BESIDE, ""):  # the log first: it must not be left without its file
        beside(file, suffix).unlink(missing_ok=True)


def opened(file: Path, mode: str) -> sqlite3.Connection:
    """`mode`: rw or ro, of a file that is there. It may be handed from thread to thread."""
    uri = f"{file.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)


@contextlib.contextmanager
def made(file: Path) -> Iterator[sqlite3.Connection]:
    """An empty one for its owner alone, which moves to its place when it is filled, or leaves nothing. OSError, sqlite3.Error."""
    new = beside(file, ".new")
    new.unlink(missing_ok=True)
    try:
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as sql:
            yield sql
        put_in_place(new, file)
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)


@contextlib.contextmanager
def transaction(sql: sqlite3.Connection) -> Iterator[None]:
    """All or nothing."""
    sql.execute("BEGIN IMMEDIATE")
    try:
        yield
        sql.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # some errors have rolled it back already
            sql.execute("ROLLBACK")
        raise


def put_rows(sql: sqlite3.Connection, statements: Sequence[tuple[int, str]], rows: Iterable[tuple[Any, ...]]) -> None:
    """`statements`: each with how many rows it takes, the most first, the last one row. Each lets go of the interpreter's lock and may wait
    5 ms for it while the loop is busy.
    """
    most = statements[0][0]
    rows = iter(rows)
    while some := list(islice(rows, most)):
        start = 0
        for size, statement in statements:
            while len(some) - start >= size:
                sql.execute(statement, tuple(chain.from_iterable(some[start : start + size])))
                start += size


def pragma(sql: sqlite3.Connection, name: str) -> Any:
    return sql.execute(f"PRAGMA {name}").fetchone()[0]
