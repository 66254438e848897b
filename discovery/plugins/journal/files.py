"""Backups of the data directory's file: copied through SQLite, checked, and moved to their place when they are whole.

A restore that is cut off leaves `registry.db.restoring`, and the server does not start until it was done again.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from discovery.core.errors import reason_of
from discovery.plugins.journal import rows, schema, wal
from discovery.plugins.journal.database import AHEAD, Database, Op, create
from discovery.plugins.journal.errors import CannotRead, CannotWrite
from discovery.plugins.journal.inspection import inspect, reading, snapshot_of
from discovery.plugins.journal.lock import Lock, give_to_owner
from discovery.plugins.journal.schema import PUT_META, translated_errors
from discovery.store.values import Snapshot
from discovery.system.in_place import put_in_place
from discovery.system.sqlite import BESIDE, beside, opened, remove

FILE = "registry.db"


def open_for_service(folder: Path, wall: float) -> tuple[Database, Snapshot]:
    """The file of `folder`, made when it is missing, and what is in it. `wall`: epoch seconds now.

    Damaged, NewerFormat, CannotRead, CannotWrite; then its files are as they were, to the octet.
    """
    file = folder / FILE
    if _restoring(folder).exists():
        again = f"do it again with `discovery restore FILE` ({file}.restoring is a whole backup too)"
        raise CannotRead(file, f"a restore was cut off half way; {again}")
    if not file.exists():
        create(file)
    content = inspect(file, wall)
    return Database(file), content


def back_up(folder: Path, target: Path) -> Snapshot:
    """Copies the file of `folder` over `target`. Returns what is in it. CannotRead, Damaged, NewerFormat, CannotWrite."""
    if not target.name or target.is_dir():
        raise CannotWrite(target, "it is a folder")
    if target.parent.resolve() == folder.resolve() and target.name.startswith(FILE):
        raise CannotWrite(target, "this is where the registry itself writes")
    part = beside(target, ".part")
    with _errors_as_cannot_write(target), _removed_afterwards(part):
        content = _copy(folder / FILE, part)
        put_in_place(part, target)
    return content


def restore(folder: Path, source: Path) -> tuple[Snapshot, Path | None]:
    """Puts `source` in the place of the file of `folder`. Returns what is in it, and where the replaced file is now, if there was one.

    It has the mode of that one; when root does it, it has the owner of `folder`.

    CannotRead, DataDirUnusable, DataDirInUse, Damaged, NewerFormat, CannotWrite; then nothing has changed.
    """
    _look_at(source)
    with contextlib.closing(Lock(folder)):
        return replace(folder, source)


def replace(folder: Path, source: Path) -> tuple[Snapshot, Path | None]:
    """As `restore`, by whoever has the folder's lock."""
    file, new, restoring = folder / FILE, beside(folder / FILE, ".new"), _restoring(folder)
    with _errors_as_cannot_write(file), _removed_afterwards(new):
        content = _copy(source, new, stat.S_IMODE(file.stat().st_mode) if file.exists() else 0o600)
        _keep_index_growing(file, new, content)
        give_to_owner(new)
        new.replace(restoring)
        replaced = _move_away(file)
        put_in_place(restoring, file)
    return content, replaced


def _restoring(folder: Path) -> Path:
    return beside(folder / FILE, ".restoring")


def _copy(source: Path, copy: Path, mode: int = 0o600) -> Snapshot:
    """What is in `source`, its write-ahead log included; `copy` is a single file of that mode, checked and of today's format."""
    _look_at(source)
    remove(copy)
    descriptor = os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    os.fchmod(descriptor, mode)  # whatever the umask is
    os.close(descriptor)
    with (
        translated_errors(source, CannotRead),
        contextlib.closing(opened(source, "ro")) as read,
        contextlib.closing(sqlite3.connect(copy)) as written,
    ):
        read.backup(written)
    content = inspect(copy, called=source)
    with contextlib.closing(Database(copy)) as database:
        database.leave_wal_mode()
    return content


def _look_at(source: Path) -> None:
    with reading(source):
        source.open("rb").close()
        wal.check(beside(source, "-wal"))


def _move_away(file: Path) -> Path | None:
    """Together with its write-ahead log: that may hold what a damaged file lacks."""
    if not file.exists() and not _size(beside(file, "-wal")):
        remove(file)
        return None
    stem = time.strftime(".before-%Y%m%dT%H%M%S")
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    away = next(path for name in names if not (path := beside(file, name)).exists())
    for suffix in (*BESIDE, ""):  # the log first: it must not be left beside the new file
        with contextlib.suppress(FileNotFoundError):
            beside(file, suffix).rename(beside(away, suffix))
    return away


def _keep_index_growing(file: Path, new: Path, content: Snapshot) -> None:
    """The index of `new` is not below that of `file`, which clients have seen, if that can still be read."""
    seen = _index_of(file)
    if seen > content.index:
        with contextlib.closing(Database(new)) as database:
            database.commit([(PUT_META, rows.sealed("index", seen))])
            database.leave_wal_mode()


def _index_of(file: Path) -> int:
    """Read without its write-ahead log, which may hold a later one and is allowed for. 0 when it cannot be read."""
    try:
        with contextlib.closing(opened(file, "ro&immutable=1")) as sql:
            (row,) = sql.execute("SELECT * FROM meta WHERE key='index'")
        return int(rows.opened(row)[1]) + (AHEAD if _size(beside(file, "-wal")) else 0)
    except (sqlite3.Error, ValueError, rows.BadRow):
        return 0


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


@contextlib.contextmanager
def _removed_afterwards(file: Path) -> Iterator[None]:
    """If it is still there: a good one was moved to its place."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            remove(file)


@contextlib.contextmanager
def _errors_as_cannot_write(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CannotWrite(file, reason_of(error)) from None


def read(folder: Path, wall: float) -> Snapshot:
    """What is in it at `wall`, epoch seconds; its index is one that the registry has not reached. As `inspect`."""
    return snapshot_of(inspect(folder / FILE, wall), wall)


def put(folder: Path, snapshot: Snapshot) -> Path | None:
    """In the place of what is there, which is moved aside: where to. As `files.replace`."""
    with tempfile.TemporaryDirectory() as aside:
        file = Path(aside) / FILE
        create(file)
        with contextlib.closing(Database(file)) as database:
            database.commit(_ops(snapshot))
            database.leave_wal_mode()
        return replace(folder, file)[1]


def _ops(snapshot: Snapshot) -> Iterator[Op]:
    yield schema.PUT_META, rows.sealed("index", snapshot.index)
    for instance in snapshot.instances:
        yield schema.PUT_INSTANCE, rows.of_instance(instance)
    for event in snapshot.values:
        yield schema.PUT_VALUE, rows.of_value(event)
    for key, until in snapshot.tombstones:
        yield schema.PUT_TOMBSTONE, rows.of_tombstone(key, until)
