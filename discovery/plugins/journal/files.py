"""Backups of the data directory's file: made beside it and moved to their place when they are whole and checked."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

from discovery.plugins.journal.database import Content, Database, put_in_place
from discovery.plugins.journal.errors import CannotWrite, NoFile
from discovery.plugins.journal.lock import Lock

FILE = "registry.db"
# What SQLite keeps beside a file.
_BESIDE = ("-wal", "-shm")


def back_up(folder: Path, target: Path) -> Content:
    """The file of `folder` into `target`, replacing it; what is in it. NoFile, Damaged, NewerFormat, CannotWrite."""
    source = folder / FILE
    if not source.exists():
        raise NoFile(source)
    part = _beside(target, ".part")
    with contextlib.closing(Database(source)) as opened:
        opened.copy_to(part)
    try:
        content = _content(part)
        put_in_place(part, target)
    except OSError as error:
        raise CannotWrite(target, error.strerror or str(error)) from None
    return content


def restore(folder: Path, source: Path) -> tuple[Content, Path | None]:
    """`source` in the place of the file of `folder`; what is in it, and where the file is now that was there before.

    NoFile, DataDirUnusable, DataDirInUse, Damaged, NewerFormat, CannotWrite; then nothing has changed.
    """
    if not source.exists():
        raise NoFile(source)
    with contextlib.closing(Lock(folder)):
        new = folder / f"{FILE}.new"
        try:
            shutil.copyfile(source, new)
            content = _content(new)
            replaced = _move_away(folder / FILE)
            put_in_place(new, folder / FILE)
        except OSError as error:
            raise CannotWrite(folder / FILE, error.strerror or str(error)) from None
    return content, replaced


def _content(file: Path) -> Content:
    """Read and checked; afterwards it is a single file."""
    with contextlib.closing(Database(file)) as opened:
        content = opened.load()
        opened.make_single()
        return content


def _move_away(file: Path) -> Path | None:
    """With its write-ahead log, which may hold what a damaged file has not."""
    if not file.exists():
        return None
    away = _beside(file, time.strftime(".before-%Y%m%dT%H%M%S"))
    for suffix in ("", *_BESIDE):
        with contextlib.suppress(FileNotFoundError):
            _beside(file, suffix).rename(_beside(away, suffix))
    return away


def _beside(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)
