"""The tables, what leads from one format of the file to the next, and the statements of the writer.

    instance   id, registered_at, draining_since, name, ip, port, metadata, options, checksum    in the order of registration
    tombstone  service, ip, port, until, checksum
    value      kind, path, content, until, checksum    what is kept besides, by `core.kinds`: its key as a path, its value as JSON
    meta       'index': a number that the registry's index has not reached yet; 'wall': when that was written, epoch seconds; checksum

`PRAGMA user_version` is the format.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from discovery.core.errors import DiscoveryError
from discovery.core.instance import Key
from discovery.core.kinds import Drained, DrainEvent, Revocation, TokenEvent, WindowEvent
from discovery.core.maintenance import Scope, Window
from discovery.plugins.journal import rows
from discovery.plugins.journal.errors import CannotWrite, Damaged
from discovery.system.sqlite import is_around

# "disc" in the file's header says whose it is (`file` shows it).
APPLICATION_ID = 0x64697363


def _values_of_tables(sql: sqlite3.Connection) -> None:
    """Until format 5 windows, drains and revoked tokens had a table each. BadRow."""
    openers = {row[:3]: row[3] for row in rows.read_all(sql, "window_opener", rows.opened)}
    for service, ip, port, reason, until in rows.read_all(sql, "window", rows.opened):
        window = Window(reason, until, openers.get((service, ip, port), ""))
        sql.execute(PUT_VALUE, rows.of_value(WindowEvent(Scope(service, ip, port), None, window, "")))
    for service, ip, port, *drained in rows.read_all(sql, "drain", rows.opened):
        sql.execute(PUT_VALUE, rows.of_value(DrainEvent(Key(service, ip, port), None, Drained(*drained), "")))
    for sha256, *revoked in rows.read_all(sql, "revoked", rows.opened):
        sql.execute(PUT_VALUE, rows.of_value(TokenEvent(sha256, None, Revocation(*revoked), "")))


# What leads from each format to the next; the first makes the first.
MIGRATIONS: tuple[tuple[str | Callable[[sqlite3.Connection], None], ...], ...] = (
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
    (
        "CREATE TABLE drain(service TEXT, ip TEXT, port INTEGER, id TEXT, name TEXT, registered_at REAL, draining_since REAL, "
        "until REAL, checksum INTEGER, PRIMARY KEY(service, ip, port))",
        "CREATE TABLE window_opener(service TEXT, ip TEXT, port INTEGER, opener TEXT, checksum INTEGER)",
    ),
    (
        "CREATE TABLE revoked(sha256 BLOB PRIMARY KEY, name TEXT, at REAL, revoked_by TEXT, expires REAL, checksum INTEGER)",
    ),
    (),  # an instance's options may have its registrant, which the versions before would not pass over
    (
        "CREATE TABLE value(kind TEXT, path TEXT, content TEXT, until REAL, checksum INTEGER, PRIMARY KEY(kind, path))",
        _values_of_tables,
        "DROP TABLE window",
        "DROP TABLE window_opener",
        "DROP TABLE drain",
        "DROP TABLE revoked",
    ),
    (),  # an instance may have no lease, health of its own, attachments; there are documents: the versions before pass over none of it
)
FORMAT = len(MIGRATIONS)

_ONE_INSTANCE = "(?,?,?,?,?,?,?,?,?)"


def put_instances(count: int) -> str:
    """The statement for so many rows. Each statement that SQLite runs lets go of the interpreter's lock and waits for it again."""
    return (
        f"INSERT INTO instance VALUES{','.join([_ONE_INSTANCE] * count)} ON CONFLICT(id) DO UPDATE SET "
        "registered_at=excluded.registered_at, draining_since=excluded.draining_since, name=excluded.name, ip=excluded.ip, "
        "port=excluded.port, metadata=excluded.metadata, options=excluded.options, checksum=excluded.checksum"
    )


PUT_INSTANCE = put_instances(1)
DELETE_INSTANCE = "DELETE FROM instance WHERE id=?"
PUT_TOMBSTONE = "INSERT OR REPLACE INTO tombstone VALUES(?,?,?,?,?)"
DELETE_OLD_TOMBSTONES = "DELETE FROM tombstone WHERE until<=?"
DELETE_TOMBSTONE = "DELETE FROM tombstone WHERE service=? AND ip=? AND port=?"
PUT_VALUE = "INSERT OR REPLACE INTO value VALUES(?,?,?,?,?)"
DELETE_OLD_VALUES = "DELETE FROM value WHERE until<=?"
DELETE_VALUE = "DELETE FROM value WHERE kind=? AND path=?"
PUT_META = "INSERT OR REPLACE INTO meta VALUES(?,?,?)"


def tables(format: int) -> list[str]:
    """The statements that made what there is in that format, in order."""
    made: dict[str, str] = {}
    for statement in (each for step in MIGRATIONS[:format] for each in step if isinstance(each, str)):
        verb, _, name = statement.partition("(")[0].split()
        if verb == "CREATE":
            made[name] = statement
        else:
            del made[name]
    return list(made.values())


def migrate(sql: sqlite3.Connection, format: int) -> None:
    """From that format to today's; 0 is an empty file. BadRow."""
    if format == FORMAT:
        return
    sql.execute("BEGIN IMMEDIATE")
    for step in (each for steps in MIGRATIONS[format:] for each in steps):
        sql.execute(step) if isinstance(step, str) else step(sql)
    sql.execute(f"PRAGMA user_version={FORMAT}")
    sql.execute("COMMIT")


@contextlib.contextmanager
def translated_errors(file: Path, around: Callable[[Path, str], DiscoveryError] = CannotWrite) -> Iterator[None]:
    """SQLite's errors in our words. `around`: for what surrounds the file."""
    try:
        yield
    except UnicodeDecodeError:  # what SQLite says of broken text quotes it
        raise Damaged(file, "its text is not what was written") from None
    except sqlite3.Error as error:
        raise (around if is_around(error) else Damaged)(file, str(error)) from None
