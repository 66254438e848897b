"""The file: how a new one is made, an older one migrated, and what is not ours, newer, empty or cut off refused and left alone."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import stat
from pathlib import Path

import pytest

from discovery.core.kinds import WindowEvent
from discovery.core.maintenance import Window
from discovery.plugins.journal.errors import CannotWrite, Damaged, NewerFormat
from discovery.plugins.journal.files import FILE
from discovery.plugins.journal.inspection import inspect
from discovery.plugins.journal.schema import APPLICATION_ID, FORMAT
from discovery.store.values import Snapshot
from tests.plugins.journal.making import (
    TOMBSTONES,
    VALUES,
    a_database,
    a_file,
    an_instance,
    an_old_file,
    content,
    octets,
    others,
    put_index,
    puts,
    refusal,
)
from tests.store.making import WALL


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / FILE


def pragma(file: Path, name: str) -> object:
    with contextlib.closing(sqlite3.connect(file)) as sql:
        return sql.execute(f"PRAGMA {name}").fetchone()[0]


# -- a new one


def test_a_new_file_is_for_its_owner_alone_and_says_whose_it_is(file: Path) -> None:
    old = os.umask(0)
    try:
        opened = a_database(file)
        opened.commit([put_index(1)])
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in file.parent.iterdir()}
        opened.close()
    finally:
        os.umask(old)
    assert modes == dict.fromkeys([FILE, f"{FILE}-wal", f"{FILE}-shm"], 0o600)
    assert (pragma(file, "application_id"), pragma(file, "user_version")) == (APPLICATION_ID, FORMAT)
    assert file.read_bytes()[68:72] == b"disc"


def test_a_new_file_is_empty_and_the_next_one_that_opens_finds_what_was_put(file: Path) -> None:
    with contextlib.closing(a_database(file)) as opened:
        assert inspect(opened.file) == Snapshot(0)
        instances = [an_instance(number) for number in (3, 1, 2)]
        opened.commit([*puts(instances), *others(), put_index(17)])
        opened.commit([])
    assert content(file) == (17, tuple(instances), VALUES, TOMBSTONES)


def test_every_commit_is_synced_in_a_write_ahead_log(file: Path) -> None:
    with contextlib.closing(a_database(file)) as opened:
        assert opened._sql.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert opened._sql.execute("PRAGMA synchronous").fetchone() == (2,)


def test_an_instance_that_changes_keeps_its_place(file: Path) -> None:
    with contextlib.closing(a_database(file)) as opened:
        opened.commit(puts(map(an_instance, range(3))))
        opened.commit(puts([an_instance(0, version=1)]))
    assert [*content(file).instances] == [an_instance(0, version=1), an_instance(1), an_instance(2)]


def test_a_commit_is_all_or_nothing(file: Path) -> None:
    with contextlib.closing(a_database(file)) as opened:
        opened.commit(puts([an_instance(0)]))
        with pytest.raises(CannotWrite, match=FILE):
            opened.commit([*puts([an_instance(1)]), ("INSERT INTO nowhere VALUES(1)", ())])
        assert [*inspect(opened.file).instances] == [an_instance(0)]
        opened.commit(puts([an_instance(2)]))
        assert [*inspect(opened.file).instances] == [an_instance(0), an_instance(2)]


def test_a_file_that_was_half_made_is_made_again(file: Path) -> None:
    file.with_name(f"{FILE}.new").write_bytes(b"SQLite format 3\0")
    assert content(file) == Snapshot(0)
    assert {each.name for each in file.parent.iterdir()} == {FILE}


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match=FILE):
        a_database(tmp_path / "missing" / FILE)


@pytest.mark.parametrize("name", ["a b", "what?mode=ro", "#1", "100%25", "é"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    file = a_file(tmp_path / name, 3)
    assert len(content(file).instances) == 3
    assert {each.name for each in file.parent.iterdir()} == {FILE}


# -- an older and a newer one


@pytest.mark.parametrize("format", range(1, FORMAT))
def test_a_file_of_an_older_format_is_migrated_and_keeps_its_rows(file: Path, format: int) -> None:
    an_old_file(file.parent, 50, format=format)
    instances = tuple(an_instance(number) for number in range(50))
    known = [*VALUES[: (0, 0, 2, 4, 6)[min(format, 4)]]]
    if format == 2:  # it did not say who opened a window
        known[1] = WindowEvent(VALUES[1].key, None, Window("a new disk", WALL + 60.5), "")
    with contextlib.closing(a_database(file)) as opened:
        assert inspect(opened.file) == (4711, instances, tuple(known), TOMBSTONES if format >= 2 else ())
        opened.commit(others())
    assert content(file) == (4711, instances, VALUES, TOMBSTONES)
    assert (pragma(file, "user_version"), pragma(file, "integrity_check")) == (FORMAT, "ok")


def test_a_migrated_file_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    schemas = []
    for each in (an_old_file(tmp_path / "old", 1), a_file(tmp_path / "new", 1)):
        content(each)
        with contextlib.closing(sqlite3.connect(each)) as sql:
            schemas.append(sql.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall())
    assert schemas[0] == schemas[1]


@pytest.mark.parametrize("format", [FORMAT + 1, 2**31 - 1])
def test_a_newer_format_is_refused_and_left_alone(file: Path, format: int) -> None:
    a_file(file.parent, 5)
    with contextlib.closing(sqlite3.connect(file)) as sql:
        sql.execute(f"PRAGMA user_version={format}")
        sql.execute("CREATE TABLE future(x)")
    before = octets(file.parent)
    error = refusal(lambda: a_database(file))
    assert isinstance(error, NewerFormat)
    assert all(text in str(error) for text in (str(file), str(format), "discovery restore"))
    assert octets(file.parent) == before


# -- damage


def refused(file: Path) -> None:
    """As Damaged, in words that help; every octet is where it was."""
    before = file.read_bytes()
    error = refusal(lambda: content(file))
    assert isinstance(error, Damaged), error
    assert str(file) in str(error)
    assert "`discovery restore FILE`" in str(error)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "text", [b"", b"\0", b"hello\n", b"SQLite format 3\0", b"\0" * 8192, b"name,ip\n" * 5000], ids=len
)
def test_what_is_no_database_is_damaged(file: Path, text: bytes) -> None:
    file.write_bytes(text)
    refused(file)


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_a_file_of_another_program_is_damaged(file: Path, journal: str) -> None:
    with contextlib.closing(sqlite3.connect(file)) as sql:
        sql.execute(f"PRAGMA journal_mode={journal}")
        sql.execute("CREATE TABLE instance(id, mine)")
        sql.commit()
    refused(file)


def test_a_log_without_its_file_is_damaged(file: Path) -> None:
    a_file(file.parent, 1)
    file.rename(file.with_name(f"{FILE}-wal"))
    error = refusal(lambda: a_database(file))
    assert isinstance(error, Damaged)
    assert str(file) in str(error)
    assert not file.exists()


def test_a_file_that_was_cut_off_is_damaged_wherever_that_was(file: Path) -> None:
    a_file(file.parent, 100)
    whole = file.read_bytes()
    page = int.from_bytes(whole[16:18], "big")
    odd = random.Random(1)
    places = [*range(0, len(whole), page), 1, 15, 16, 99, 100, 101, 511, 513, len(whole) - 1]
    places += [odd.randrange(len(whole)) for _ in range(60)]
    assert len(whole) // page > 8
    for place in places:
        file.write_bytes(whole[:place])
        refused(file)
    print(f"{len(places)} cuts, each refused")


def test_a_damaged_file_that_is_moved_away_makes_room_for_a_new_one(file: Path) -> None:
    """As the message says."""
    a_file(file.parent, 100)
    file.write_bytes(file.read_bytes()[:-4096])
    refused(file)
    file.rename(file.with_name("away"))
    assert content(file) == Snapshot(0)
