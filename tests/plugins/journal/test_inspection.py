"""A file that is refused: the error names the place and the way out, no octet of any file changes, and a backup comes back."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from discovery.plugins.journal import files, rows
from discovery.plugins.journal.database import Op
from discovery.plugins.journal.errors import CannotRead, Damaged
from discovery.plugins.journal.files import FILE
from discovery.plugins.journal.inspection import inspect
from discovery.plugins.journal.schema import (
    PUT_INSTANCE,
    PUT_META,
    PUT_TOMBSTONE,
    PUT_VALUE,
)
from tests.plugins.journal.making import (
    VALUES,
    a_database,
    a_file,
    an_instance,
    content,
    copy,
    octets,
    put_index,
    puts,
    refusal,
)
from tests.store.making import WALL

GOOD = rows.of_instance(an_instance(7))


def resealed(**changed: object) -> rows.Row:
    """The good row with other values and the right checksum: as another version, or a tool, may write it."""
    names = ("id", "registered_at", "draining_since", "name", "ip", "port", "metadata", "options")
    return rows.sealed(*(changed.get(name, value) for name, value in zip(names, GOOD, strict=False)))


# What is in the log when it is found, and what is said of it.
BAD: dict[str, tuple[list[Op], str]] = {
    "a row whose checksum is another one": (
        [(PUT_INSTANCE, (*GOOD[:3], "other", *GOOD[4:]))],
        "row 8 of table instance: the entry 'id-7' is not what was written",
    ),
    "a value whose checksum is another one": (
        [(PUT_VALUE, (*rows.of_value(VALUES[0])[:-1], 4711))],
        "row 6 of table value: the entry 'window' is not what was written",
    ),
    "a value of a kind that this version does not know": (
        [(PUT_VALUE, rows.sealed("colour", "web", "{}", None))],
        "row 7 of table value: the kind 'colour' is not known to this version; a newer one has written it",
    ),
    "a value with another key than its kind has": (
        [(PUT_VALUE, rows.sealed("token", "web", "{}", None))],
        "row 7 of table value: the entry 'token' means nothing",
    ),
    "a value that lacks a field": (
        [(PUT_VALUE, rows.sealed("window", "web", '{"reason":"r","by":""}', None))],
        "row 7 of table value: the entry 'window' means nothing",
    ),
    "a tombstone whose checksum is another one": (
        [(PUT_TOMBSTONE, ("web", "10.0.0.1", 80, WALL, 4711))],
        "row 3 of table tombstone: the entry 'web' is not what was written",
    ),
    "an option that this version does not know": (
        [(PUT_INSTANCE, resealed(options='{"colour":"blue"}'))],
        "row 8 of table instance: the entry 'id-7' means nothing",
    ),
    "options that are no object": (
        [(PUT_INSTANCE, resealed(options="[]"))],
        "row 8 of table instance: the entry 'id-7' means nothing",
    ),
    "options that are no JSON": (
        [(PUT_INSTANCE, resealed(options="{"))],
        "row 8 of table instance: the entry 'id-7' means nothing",
    ),
    "a kind of check that this version does not know": (
        [(PUT_INSTANCE, resealed(options='{"check":{"smoke":"signals"}}'))],
        "row 8 of table instance: the entry 'id-7' means nothing",
    ),
    "an entry that this version does not know": (
        [(PUT_META, rows.sealed("epoch", 3))],
        "row 2 of table meta: the entry 'epoch' is unknown",
    ),
    "an index that is no number": (
        [(PUT_META, rows.sealed("index", "many"))],
        "row 1 of table meta: the entry 'index' is unknown",
    ),
    "two instances with one address in one service": (
        puts([an_instance(7)._replace(id="another")]),
        "there are two instances for one place: 10.0.0.7 port 3007 of service service-7",
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def left(tmp_path: Path, folder: Path, ops: list[Op], instances: int = 20) -> None:
    """A folder as a kill leaves it: instances in the file, and `ops` in its log only."""
    a_file(tmp_path / "live", instances)
    with contextlib.closing(a_database(tmp_path / "live" / FILE)) as live:
        live.commit(ops)
        copy(tmp_path / "live", folder)
    assert (folder / f"{FILE}-wal").stat().st_size > 0


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_by_its_place_and_left_alone_and_a_backup_comes_back(
    folder: Path, tmp_path: Path, what: str
) -> None:
    ops, place = BAD[what]
    a_file(tmp_path / "backup", 20)
    left(tmp_path, folder, ops)
    before = octets(folder)
    error = refusal(lambda: files.open_for_service(folder, WALL))
    assert isinstance(error, Damaged)
    assert place in str(error)
    assert str(folder / FILE) in str(error)
    assert "`discovery restore FILE`" in str(error)
    assert octets(folder) == before
    found, aside = files.restore(folder, tmp_path / "backup" / FILE)
    assert len(found.instances) == 20
    assert aside is not None
    assert {aside.with_name(aside.name + name.removeprefix(FILE)).read_bytes() for name in before} == set(
        before.values()
    )
    opened, again = files.open_for_service(folder, WALL)
    opened.close()
    assert again.instances == found.instances


def test_a_damaged_file_with_commits_in_its_log_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    """SQLite would move them into the damaged file when it closes it."""
    left(tmp_path, folder, puts(map(an_instance, range(300, 400))), instances=300)
    file = folder / FILE
    damaged = bytearray(file.read_bytes())
    damaged[damaged.index(b"10.0.0.5")] ^= 1  # on a page that is not in the log
    file.write_bytes(damaged)
    before = octets(folder)
    for _ in range(3):
        assert isinstance(refusal(lambda: files.open_for_service(folder, WALL)), Damaged)
        assert octets(folder) == before


def test_looking_touches_nothing_and_sees_what_sqlite_sees(folder: Path, tmp_path: Path) -> None:
    left(tmp_path, folder, [*puts(map(an_instance, range(10, 3000))), put_index(5000)])
    before = octets(folder)
    found = inspect(folder / FILE)
    assert octets(folder) == before
    assert [len(found.instances), found.index] == [3000, 5000]
    opened, content_of_start = files.open_for_service(folder, 0)
    assert content_of_start == found
    opened.close()
    assert not (folder / f"{FILE}-wal").exists(), "SQLite has moved it into the file"
    assert content(folder / FILE) == found


def test_a_log_of_commits_that_were_moved_already_changes_nothing(folder: Path, tmp_path: Path) -> None:
    a_file(tmp_path / "live", 20)
    with contextlib.closing(a_database(tmp_path / "live" / FILE)) as live:
        live.commit(puts(map(an_instance, range(20, 400))))
        live._sql.execute("PRAGMA wal_checkpoint(PASSIVE)")
        copy(tmp_path / "live", folder)
    assert len(inspect(folder / FILE).instances) == 400


@pytest.mark.parametrize("versions", [b"\3\1", b"\1\3", b"\2\1", b"\0\0"])
def test_a_header_that_sqlite_would_read_but_never_write_is_damage(
    folder: Path, tmp_path: Path, versions: bytes
) -> None:
    file = a_file(tmp_path / "live", 5)
    files.back_up(tmp_path / "live", tmp_path / "single")
    octets_of_file = bytearray((tmp_path / "single").read_bytes())
    octets_of_file[18:20] = versions
    file.write_bytes(octets_of_file)
    error = refusal(lambda: files.open_for_service(file.parent, WALL))
    assert isinstance(error, Damaged)
    assert "its header is not what was written" in str(error)


def test_a_folder_in_the_place_of_the_file_is_told(folder: Path) -> None:
    (folder / FILE).mkdir(parents=True)
    error = refusal(lambda: files.open_for_service(folder, WALL))
    assert isinstance(error, CannotRead)
    assert str(folder / FILE) in str(error)
