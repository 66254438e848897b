"""Backups of the data directory's file: copied through SQLite, checked, and moved to their place when they are whole.

A restore that is cut off leaves `registry.db.restoring`, and the server does not start until it was done again.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from discovery.plugins.journal import rows, schema, wal
from discovery.plugins.journal.database import AHEAD, Database, Op, create
from discovery.plugins.journal.errors import CannotRead, CannotWrite, Interrupted
from discovery.plugins.journal.inspection import inspect, reading, snapshot_of
from discovery.plugins.journal.lock import Lock, give_to_owner
from discovery.plugins.journal.schema import PUT_META, translated_errors
from discovery.store.snapshot import Snapshot
from discovery.system.in_place import put_in_place

FILE = "registry.db"
# What SQLite keeps beside a file.
_BESIDE = ("-wal", "-shm")


def open_for_service(folder: Path, wall: float) -> tuple[Database, Snapshot]:
    """The file of `folder`, made when it is missing, and what is in it. `wall`: epoch seconds now.

    Interrupted, Damaged, NewerFormat, CannotRead, CannotWrite; then its files are as they were, to the octet.
    """
    file = folder / FILE
    if _restoring(folder).exists():
        raise Interrupted(file)
    if not file.exists():
        create(file)
    content = inspect(file, wall)
    return Database(file), content


def back_up(folder: Path, target: Path) -> Snapshot:
    """Copies the file of `folder` over `target`. Returns what is in it. NoFile, CannotRead, Damaged, NewerFormat, CannotWrite."""
    if not target.name or target.is_dir():
        raise CannotWrite(target, "it is a folder")
    if target.parent.resolve() == folder.resolve() and target.name.startswith(FILE):
        raise CannotWrite(target, "this is where the registry itself writes")
    part = _beside(target, ".part")
    with _errors_as_cannot_write(target), _removed_afterwards(part):
        content = _copy(folder / FILE, part)
        put_in_place(part, target)
    return content


def restore(folder: Path, source: Path) -> tuple[Snapshot, Path | None]:
    """Puts `source` in the place of the file of `folder`. Returns what is in it, and where the replaced file is now, if there was one.

    It has the mode of that one; when root does it, it has the owner of `folder`.

    NoFile, CannotRead, DataDirUnusable, DataDirInUse, Damaged, NewerFormat, CannotWrite; then nothing has changed.
    """
    _look_at(source)
    with contextlib.closing(Lock(folder)):
        return replace(folder, source)


def replace(folder: Path, source: Path) -> tuple[Snapshot, Path | None]:
    """As `restore`, by whoever has the folder's lock."""
    file, new, restoring = folder / FILE, _beside(folder / FILE, ".new"), _restoring(folder)
    with _errors_as_cannot_write(file), _removed_afterwards(new):
        content = _copy(source, new, stat.S_IMODE(file.stat().st_mode) if file.exists() else 0o600)
        _keep_index_growing(file, new, content)
        give_to_owner(new)
        new.replace(restoring)
        replaced = _move_away(file)
        put_in_place(restoring, file)
    return content, replaced


def _restoring(folder: Path) -> Path:
    return _beside(folder / FILE, ".restoring")


def _copy(source: Path, copy: Path, mode: int = 0o600) -> Snapshot:
    """What is in `source`, its write-ahead log included; `copy` is a single file of that mode, checked and of today's format."""
    _look_at(source)
    _remove(copy)
    descriptor = os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    if sys.platform != "win32":
        os.fchmod(descriptor, mode)  # whatever the umask is
    os.close(descriptor)
    with (
        translated_errors(source, CannotRead),
        contextlib.closing(_reader(source)) as read,
        contextlib.closing(sqlite3.connect(copy)) as written,
    ):
        read.backup(written)
    content = inspect(copy, called=source)
    with contextlib.closing(Database(copy)) as opened:
        opened.leave_wal_mode()
    return content


def _look_at(source: Path) -> None:
    with reading(source):
        source.open("rb").close()
        wal.check(_beside(source, "-wal"))


def _reader(source: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(source.absolute()))}?mode=ro", uri=True)


def _move_away(file: Path) -> Path | None:
    """Together with its write-ahead log: that may hold what a damaged file lacks."""
    if not file.exists() and not _size(_beside(file, "-wal")):
        _remove(file)
        return None
    stem = time.strftime(".before-%Y%m%dT%H%M%S")
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    away = next(path for name in names if not (path := _beside(file, name)).exists())
    for suffix in (*_BESIDE, ""):  # the log first: it must not be left beside the new file
        with contextlib.suppress(FileNotFoundError):
            _beside(file, suffix).rename(_beside(away, suffix))
    return away


def _keep_index_growing(file: Path, new: Path, content: Snapshot) -> None:
    """The index of `new` is not below that of `file`, which clients have seen, if that can still be read."""
    seen = _index_of(file)
    if seen > content.index:
        with contextlib.closing(Database(new)) as opened:
            opened.commit([(PUT_META, rows.sealed("index", seen))])
            opened.leave_wal_mode()


def _index_of(file: Path) -> int:
    """Read without its write-ahead log, which may hold a later one and is allowed for. 0 when it cannot be read."""
    uri = f"file:{quote(str(file.absolute()))}?mode=ro&immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as sql:
            (row,) = sql.execute("SELECT * FROM meta WHERE key='index'")
        return int(rows.opened(row)[1]) + (AHEAD if _size(_beside(file, "-wal")) else 0)
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
            _remove(file)


@contextlib.contextmanager
def _errors_as_cannot_write(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CannotWrite(file, error.strerror or str(error)) from None


def _remove(file: Path) -> None:
    for suffix in ("", *_BESIDE):
        _beside(file, suffix).unlink(missing_ok=True)


def _beside(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)


def read(folder: Path, wall: float) -> Snapshot:
    """What is in it at `wall`, epoch seconds; its index is one that the registry has not reached. As `inspect`."""
    return snapshot_of(inspect(folder / FILE, wall), wall)


def put(folder: Path, snapshot: Snapshot) -> Path | None:
    """In the place of what is there, which is moved aside: where to. As `files.replace`."""
    with tempfile.TemporaryDirectory() as aside:
        file = Path(aside) / FILE
        create(file)
        with contextlib.closing(Database(file)) as opened:
            opened.commit(_ops(snapshot))
            opened.leave_wal_mode()
        return replace(folder, file)[1]


def _ops(snapshot: Snapshot) -> Iterator[Op]:
    yield schema.PUT_META, rows.sealed("index", snapshot.index)
    for instance in snapshot.instances:
        yield schema.PUT_INSTANCE, rows.of_instance(instance)
    for event in snapshot.values:
        yield schema.PUT_VALUE, rows.of_value(event)
    for key, until in snapshot.tombstones:
        yield schema.PUT_TOMBSTONE, rows.of_tombstone(key, until)
