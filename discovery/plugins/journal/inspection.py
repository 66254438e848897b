"""What is in a registry's file, looked at without touching it: a file that is refused stays as it is, to the octet.

The file and its write-ahead log are read into memory, and SQLite checks and reads that copy.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from discovery.core.errors import reason_of
from discovery.core.event import ValueEvent
from discovery.core.instance import Key
from discovery.core.maintenance import MAX_SECONDS
from discovery.plugins.journal import rows, wal
from discovery.plugins.journal.errors import CannotRead, Damaged, NewerFormat
from discovery.plugins.journal.schema import APPLICATION_ID, FORMAT, migrate, tables, translated_errors
from discovery.store.values import MAX_BURIED, Snapshot
from discovery.system.sqlite import pragma

# More seconds than this are a clock that was wrong.
MAX_USED_UP = 1 << 24
# Where SQLite's header says how the file is written and read: 1, or 2 with a write-ahead log.
_VERSIONS = slice(18, 20)
_META = ("index", "wall")


def inspect(file: Path, wall: float = 0.0, called: Path | None = None) -> Snapshot:
    """All there is, of an older format too, under an index that the registry has not reached. Damaged, NewerFormat, CannotRead.
    `wall`: epoch seconds now.

    `called`: the file that errors name, when that is another one.
    """
    named = called or file
    with reading(named):
        octets = wal.image(file)
    if not octets:
        raise Damaged(named, "it is empty")
    if octets[_VERSIONS] == b"\2\2":
        octets[_VERSIONS] = b"\1\1"  # what the log holds is in the copy already
    elif octets[_VERSIONS] != b"\1\1":
        raise Damaged(named, "its header is not what was written")
    with (
        translated_errors(named, Damaged),
        contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as sql,
    ):
        sql.deserialize(octets)
        try:
            migrate(sql, _checked_format(sql, named))
            return _content(sql, wall)
        except rows.BadRow as bad:
            raise Damaged(named, str(bad)) from None


@contextlib.contextmanager
def reading(named: Path) -> Iterator[None]:
    """What is wrong with a file and its log in our words: CannotRead, Damaged."""
    try:
        yield
    except wal.Torn:
        raise Damaged(named, "its write-ahead log is broken in the middle") from None
    except FileNotFoundError:
        raise CannotRead(named.absolute(), "there is no such file (DATA_DIR is looked for where this runs)") from None
    except OSError as error:
        raise CannotRead(named, reason_of(error)) from None


def snapshot_of(content: Snapshot, wall: float) -> Snapshot:
    """What is over is left out, and what ends later than anything can (a clock was wrong)."""
    known = {instance.spec.key for instance in content.instances} if content.tombstones or content.values else set()
    return content._replace(
        values=tuple(
            event for event in content.values if _holds(event, wall) and not (event.kind.fades and event.key in known)
        ),
        tombstones=tuple(
            (key, min(until, wall + MAX_BURIED))
            for key, until in content.tombstones
            if until > wall and key not in known
        ),
    )


def _holds(event: ValueEvent[Any, Any], wall: float) -> bool:
    until = getattr(event.after, "until", None)
    return until is None or wall < until <= wall + MAX_SECONDS


def _checked_format(sql: sqlite3.Connection, named: Path) -> int:
    if pragma(sql, "application_id") != APPLICATION_ID:
        raise Damaged(named, "it is no registry of this program")
    format = int(pragma(sql, "user_version"))
    if format > FORMAT:
        raise NewerFormat(named, format, FORMAT)
    if format < 1:
        raise Damaged(named, f"its format is {format}")
    verdict = str(pragma(sql, "integrity_check(1)"))
    if verdict != "ok":
        raise Damaged(named, verdict.splitlines()[-1])
    made = [row[0] for row in sql.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")]
    if made != tables(format):
        raise Damaged(named, "its tables are not those that were made")
    return format


def _content(sql: sqlite3.Connection, wall: float) -> Snapshot:
    """BadRow."""
    meta = dict(rows.read_all(sql, "meta", _meta))
    instances = rows.read_all(sql, "instance", rows.instance)
    values = rows.read_all(sql, "value", rows.value)
    tombstones = rows.read_all(sql, "tombstone", rows.tombstone)
    _one_each("instances", [instance.spec.key for instance in instances])
    return Snapshot(meta.get("index", 0) + _used_up(meta, wall), tuple(instances), tuple(values), tuple(tombstones))


def _meta(row: rows.Row) -> tuple[str, int]:
    name, value = rows.opened(row)
    if name not in _META or not isinstance(value, int):
        raise rows.BadRow(f"the entry {name!r:.80} is unknown")
    return name, value


def _one_each(what: str, keys: list[Key]) -> None:
    if len(set(keys)) < len(keys):
        twice = next(key for key, count in Counter(keys).items() if count > 1)
        raise rows.BadRow(f"there are two {what} for one place: {twice}")


def _used_up(meta: Mapping[str, int], wall: float) -> int:
    """What a start on a full disk, which could reserve nothing, may have counted beyond what was reserved: one a second."""
    since = int(wall) - meta.get("wall", 0) if meta.get("wall") else 0
    return min(max(0, since), MAX_USED_UP)
