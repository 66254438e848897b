"""A registry's state out of its data directory and into it, for `discovery migrate`, which has the folder's lock."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from discovery.plugins.journal import rows, schema
from discovery.plugins.journal.database import Database, Op, create
from discovery.plugins.journal.files import FILE, replace
from discovery.plugins.journal.inspection import inspect, snapshot_of
from discovery.store.snapshot import Snapshot


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
