"""What the tests of this folder make again and again: instances, files with something in them, their copies, other processes."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from discovery.core.errors import DiscoveryError
from discovery.core.event import ValueEvent
from discovery.core.instance import Instance, Key, Registration
from discovery.core.kinds import Drained, DrainEvent, Revocation, TokenEvent, WindowEvent
from discovery.core.maintenance import Scope, Window
from discovery.core.status import Status
from discovery.plugins.journal import rows, schema
from discovery.plugins.journal.database import Database, Op, create
from discovery.plugins.journal.files import FILE
from discovery.plugins.journal.inspection import inspect
from discovery.store.values import Snapshot
from tests.store.making import WALL
from tests.stories.process import ROOT

LIMIT = 60.0
SUFFIXES = ("", "-wal")


def an_instance(number: int, version: int = 0) -> Instance:
    """Different numbers, different instances; the `version` is in the metadata."""
    spec = Registration.of(
        f"service-{number % 40}",
        f"10.0.{number >> 8}.{number & 255}",
        3000 + number,
        metadata={"version": version},
        tags=["blue", "eu"][: number % 3],
        zone="rack-1" if number % 2 else None,
    )
    return Instance(f"id-{number}", WALL + number / 8, spec, draining_since=WALL if number % 7 == 0 else None)


TOMBSTONES = ((Key("gone", "10.9.0.1", 80), WALL + 10.25), (Key("gone", "10.9.0.2", 81), WALL + 11))
VALUES: tuple[ValueEvent[Any, Any], ...] = (
    WindowEvent(Scope("service-1"), None, Window("moving house", WALL + 600), ""),
    WindowEvent(Scope("service-2", "10.0.0.2", 3002), None, Window("a new disk", WALL + 60.5, "ci"), ""),
    DrainEvent(Key("gone", "10.9.0.3", 82), None, Drained("id-700", "Gone", WALL, WALL + 1.5, WALL + 3600.5), ""),
    DrainEvent(Key("gone", "10.9.0.4", 83), None, Drained("id-700", "Gone", WALL, WALL + 2.5, WALL + 7200), ""),
    TokenEvent(bytes(32), None, Revocation("deploy", WALL + 1.5, "boss at 10.9.9.9", WALL + 3600), ""),
    TokenEvent(b"\1" * 32, None, Revocation("", WALL + 2.5, "10.9.9.9"), ""),
)
# The same as the version of November 2026 wrote it, by the first format that had it.
OLD_ROWS = {
    2: (
        "INSERT INTO window VALUES('service-1',NULL,NULL,'moving house',1700000600.0,2467644412)",
        "INSERT INTO window VALUES('service-2','10.0.0.2',3002,'a new disk',1700000060.5,2886333818)",
        "INSERT INTO tombstone VALUES('gone','10.9.0.1',80,1700000010.25,2587490792)",
        "INSERT INTO tombstone VALUES('gone','10.9.0.2',81,1700000011.0,3269289044)",
    ),
    3: (
        "INSERT INTO drain VALUES('gone','10.9.0.3',82,'id-700','Gone',1700000000.0,1700000001.5,1700003600.5,553643958)",
        "INSERT INTO drain VALUES('gone','10.9.0.4',83,'id-700','Gone',1700000000.0,1700000002.5,1700007200.0,2062348782)",
        "INSERT INTO window_opener VALUES('service-2','10.0.0.2',3002,'ci',2334699523)",
    ),
    4: (
        "INSERT INTO revoked VALUES(zeroblob(32),'deploy',1700000001.5,'boss at 10.9.9.9',1700003600.0,4156918398)",
        f"INSERT INTO revoked VALUES(x'{'01' * 32}','',1700000002.5,'10.9.9.9',NULL,2844972404)",
    ),
}


def puts(instances: Iterable[Instance]) -> list[Op]:
    return [(schema.PUT_INSTANCE, rows.of_instance(instance)) for instance in instances]


def put_index(index: int) -> Op:
    return (schema.PUT_META, rows.sealed("index", index))


def others() -> list[Op]:
    """All that is no instance and no number."""
    values = [(schema.PUT_VALUE, rows.of_value(event)) for event in VALUES]
    return values + [(schema.PUT_TOMBSTONE, rows.of_tombstone(*each)) for each in TOMBSTONES]


def a_kept(instance: Instance) -> Instance:
    """As a file has it: what is decided when it is loaded is no part of it."""
    return instance._replace(status=Status.HEALTHY)


def a_file(folder: Path, instances: int, index: int = 4711) -> Path:
    """A closed file with that many instances, all windows and all tombstones."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(a_database(folder / FILE)) as opened:
        opened.commit([*puts(map(an_instance, range(instances))), *others(), put_index(index)])
    return folder / FILE


def an_old_file(folder: Path, instances: int, index: int = 4711, format: int = 1) -> Path:
    """The same in an older format: 1 had instances alone."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(folder / FILE, isolation_level=None)) as sql:
        for number, steps in enumerate(schema.MIGRATIONS[:format], 1):
            for step in (*steps, *OLD_ROWS.get(number, ())):
                sql.execute(step) if isinstance(step, str) else step(sql)
        for statement, values in [*puts(map(an_instance, range(instances))), put_index(index)]:
            sql.execute(statement, values)
        sql.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
        sql.execute(f"PRAGMA user_version={format}")
    return folder / FILE


def a_database(file: Path) -> Database:
    """Looked at and opened as the server does; made when it is missing."""
    if not file.exists():
        create(file)
    inspect(file)
    return Database(file)


def content(file: Path) -> Snapshot:
    """Whatever opening or reading raises comes through."""
    with contextlib.closing(a_database(file)):
        return inspect(file)


def octets(folder: Path) -> dict[str, bytes]:
    """Of all files, by name."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def copy(folder: Path, to: Path) -> Path:
    """What a process that is killed now leaves behind."""
    to.mkdir(parents=True)
    for suffix in SUFFIXES:
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(folder / (FILE + suffix), to / (FILE + suffix))
    return to


def refusal(opening: Callable[[], object]) -> DiscoveryError | None:
    """Why it was refused, in our own words; any other exception is let through."""
    try:
        opening()
    except DiscoveryError as error:
        return error
    return None


@contextmanager
def child(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs `code`, with `arguments` in sys.argv; it is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait(LIMIT)


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line that it prints; its errors when it ends without."""
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return line.rstrip("\n")
