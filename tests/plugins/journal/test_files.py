"""Backups: consistent copies, of a file that is in use too, and back into their place without losing what was there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest

from discovery.plugins.journal import files
from discovery.plugins.journal.errors import CannotRead, CannotWrite, Damaged, DataDirInUse, NewerFormat
from discovery.plugins.journal.files import FILE
from discovery.plugins.journal.inspection import inspect
from discovery.plugins.journal.lock import Lock
from discovery.plugins.journal.schema import FORMAT
from tests.plugins.journal.house import known, living
from tests.plugins.journal.making import (
    TOMBSTONES,
    VALUES,
    a_database,
    a_file,
    a_kept,
    an_instance,
    an_old_file,
    content,
    octets,
    puts,
    refusal,
)
from tests.store.making import spec

MANY = tuple(an_instance(number) for number in range(50))
WHOLE = (4711, MANY, VALUES, TOMBSTONES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A place for backups."""
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "registry.backup"


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


# -- backup


def test_a_backup_is_one_file_with_everything(folder: Path, target: Path) -> None:
    a_file(folder, 50)
    before = octets(folder)
    assert files.back_up(folder, target) == WHOLE
    assert names(target.parent) == {target.name}
    assert octets(folder)[FILE] == before[FILE]
    assert target.read_bytes()[18:20] == b"\1\1", "a single file, without a log"
    assert content(target) == WHOLE


def test_a_backup_holds_what_is_only_in_the_log_yet(folder: Path, target: Path) -> None:
    a_file(folder, 50)
    with contextlib.closing(a_database(folder / FILE)) as live:
        live.commit(puts([an_instance(999)]))
        assert b"id-999" not in (folder / FILE).read_bytes()
        assert files.back_up(folder, target).instances == (*MANY, an_instance(999))
        live.commit(puts([an_instance(1000)]))
        assert len(inspect(live.file).instances) == 52
    assert names(target.parent) == {target.name}
    assert content(target).instances == (*MANY, an_instance(999))


def test_a_backup_replaces_the_one_before(folder: Path, target: Path) -> None:
    a_file(folder, 50)
    target.write_text("an old one")
    files.back_up(folder, target)
    assert content(target) == WHOLE


async def test_backups_of_a_busy_registry_are_whole(folder: Path, target: Path) -> None:
    """Each holds every instance that was acknowledged before it began, and no half of a service."""
    async with living(folder) as house:
        acknowledged = 0

        async def write() -> None:
            nonlocal acknowledged
            for number in range(1, 301):
                await asyncio.gather(*(house.register(spec(f"pair-{number}", port=port)) for port in (1, 2)))
                acknowledged = number

        writing = asyncio.create_task(write())
        backups = 0
        while not writing.done():
            least = acknowledged
            found = await asyncio.to_thread(files.back_up, folder, target)
            assert {(each.spec.name, each.spec.port) for each in found.instances} >= {
                (f"pair-{number}", port) for number in range(1, least + 1) for port in (1, 2)
            }
            assert len(found.instances) % 2 == 0
            assert content(target) == found
            backups += 1
        await writing
        assert files.back_up(folder, target).instances == tuple(map(a_kept, known(house.registry)))
    print(f"{backups} backups while 300 pairs were written")
    assert backups >= 2


def test_a_damaged_registry_is_not_backed_up_and_the_old_backup_stays(folder: Path, target: Path) -> None:
    file = a_file(folder, 50)
    target.write_text("an old one")
    file.write_bytes(file.read_bytes()[:-4096])
    error = refusal(lambda: files.back_up(folder, target))
    assert isinstance(error, Damaged)
    assert str(file) in str(error)
    assert octets(target.parent) == {target.name: b"an old one"}


def test_there_may_be_nothing_to_back_up(folder: Path, target: Path) -> None:
    with pytest.raises(CannotRead, match=FILE):
        files.back_up(folder, target)
    assert not folder.exists()
    assert names(target.parent) == set()


def test_a_backup_into_a_missing_folder_is_told(folder: Path, tmp_path: Path) -> None:
    a_file(folder, 5)
    with pytest.raises(CannotWrite, match="missing"):
        files.back_up(folder, tmp_path / "missing" / "registry.backup")


def test_a_backup_in_the_place_of_a_folder_is_told(folder: Path, target: Path) -> None:
    a_file(folder, 5)
    target.mkdir()
    with pytest.raises(CannotWrite, match=target.name):
        files.back_up(folder, target)


# -- restore


def test_a_backup_comes_back_and_what_was_there_is_kept_aside(folder: Path, target: Path, tmp_path: Path) -> None:
    a_file(folder, 50)
    files.back_up(folder, target)
    saved = target.read_bytes()
    with contextlib.closing(a_database(folder / FILE)) as live:
        live.commit(puts([an_instance(999)]))
    found, aside = files.restore(folder, target)
    assert found == WHOLE
    assert aside is not None
    assert content(folder / FILE) == WHOLE
    assert content(aside).instances == (*MANY, an_instance(999))
    assert target.read_bytes() == saved


def test_a_restore_into_an_empty_place_makes_it(folder: Path, target: Path, tmp_path: Path) -> None:
    a_file(tmp_path / "other", 50)
    files.back_up(tmp_path / "other", target)
    assert files.restore(folder, target) == (WHOLE, None)
    assert content(folder / FILE) == WHOLE
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", [b"", b"hello", b"\0" * 5000])
def test_a_damaged_file_is_replaced_and_kept_aside_with_its_log(folder: Path, target: Path, damage: bytes) -> None:
    file = a_file(folder, 50)
    files.back_up(folder, target)
    file.write_bytes(damage)
    file.with_name(f"{FILE}-wal").write_bytes(b"what is left of it")
    found, aside = files.restore(folder, target)
    assert found == WHOLE
    assert content(file) == WHOLE
    assert aside is not None
    assert aside.read_bytes() == damage
    assert aside.with_name(f"{aside.name}-wal").read_bytes() == b"what is left of it"


def test_a_log_left_behind_by_a_kill_does_not_end_up_in_what_is_restored(folder: Path, target: Path) -> None:
    a_file(folder, 50)
    files.back_up(folder, target)
    with contextlib.closing(a_database(folder / FILE)) as live:
        live.commit(puts(map(an_instance, range(100, 200))))
        log = (folder / f"{FILE}-wal").read_bytes()
    (folder / f"{FILE}-wal").write_bytes(log)
    files.restore(folder, target)
    found = content(folder / FILE)
    assert found[1:] == WHOLE[1:]
    assert found.index > WHOLE[0], "the log may have held a later one"


def test_a_backup_of_an_older_format_is_migrated_and_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    old = an_old_file(tmp_path / "old", 50)
    before = old.read_bytes()
    a_file(folder, 5)
    found, _ = files.restore(folder, old)
    assert found == (4711, MANY, (), ())
    assert content(folder / FILE) == (4711, MANY, (), ())
    with contextlib.closing(sqlite3.connect(folder / FILE)) as sql:
        assert sql.execute("PRAGMA user_version").fetchone() == (FORMAT,)
    assert octets(old.parent) == {FILE: before}


@pytest.mark.parametrize("kind", ["cut", "empty", "text", "newer", "foreign"])
def test_a_backup_that_cannot_be_read_changes_nothing(folder: Path, target: Path, kind: str, tmp_path: Path) -> None:
    a_file(folder, 50)
    files.back_up(folder, target)
    whole = target.read_bytes()
    newer = whole[:60] + (99).to_bytes(4, "big") + whole[64:]
    foreign = whole[:68] + b"\0\0\0\0" + whole[72:]
    broken = {"cut": whole[:-4096], "empty": b"", "text": b"hi", "newer": newer, "foreign": foreign}[kind]
    target.write_bytes(broken)
    before = octets(folder)
    error = refusal(lambda: files.restore(folder, target))
    assert isinstance(error, NewerFormat if kind == "newer" else Damaged)
    after = octets(folder)
    assert {name: after[name] for name in before} == before
    assert target.read_bytes() == broken
    assert content(folder / FILE) == WHOLE


def test_a_missing_backup_changes_nothing(folder: Path, target: Path) -> None:
    with pytest.raises(CannotRead, match=target.name):
        files.restore(folder, target)
    assert not folder.exists()


def test_a_restore_into_a_folder_in_use_is_refused(folder: Path, target: Path) -> None:
    a_file(folder, 50)
    files.back_up(folder, target)
    lock = Lock(folder)
    before = octets(folder)
    with pytest.raises(DataDirInUse, match="pid"):
        files.restore(folder, target)
    assert octets(folder) == before
    lock.close()
    files.restore(folder, target)


async def test_a_registry_starts_from_what_was_restored(folder: Path, target: Path) -> None:
    async with living(folder) as house:
        for number in range(20):
            await house.register(spec(port=number + 1))
        await asyncio.to_thread(files.back_up, folder, target)
        before = known(house.registry)
        await house.deregister(before[0].id)
    shutil.rmtree(folder)
    files.restore(folder, target)
    async with living(folder) as house:
        assert known(house.registry) == before


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, int]]:
    """The owner and group that root, which we are from here on, gave each file, by the file's last name."""
    given: dict[str, tuple[int, int]] = {}
    rename = Path.replace

    def chown(path: Path, owner: int, group: int, *, follow_symlinks: bool) -> None:
        assert not follow_symlinks
        given[path.name] = (owner, group)

    def replace(path: Path, target: Path) -> Path:
        if path.name in given:
            given[target.name] = given.pop(path.name)
        return rename(path, target)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", chown)
    monkeypatch.setattr(Path, "replace", replace)
    return given


def test_what_root_restores_belongs_to_the_owner_of_the_folder(
    folder: Path, target: Path, given: dict[str, tuple[int, int]]
) -> None:
    a_file(folder, 50)
    files.back_up(folder, target)
    for each in folder.iterdir():
        each.unlink()
    files.restore(folder, target)
    owner = (folder.stat().st_uid, folder.stat().st_gid)
    assert given == dict.fromkeys(names(folder), owner)
    assert names(folder) == {FILE, "lock"}


def test_a_folder_that_root_makes_belongs_to_the_owner_of_the_one_above(
    folder: Path, target: Path, tmp_path: Path, given: dict[str, tuple[int, int]]
) -> None:
    a_file(tmp_path / "other", 5)
    files.restore(folder, tmp_path / "other" / FILE)
    assert set(given) == {folder.name, FILE, "lock"}


def test_a_restored_file_has_the_mode_of_the_one_before(folder: Path, target: Path) -> None:
    file = a_file(folder, 5)
    files.back_up(folder, target)
    file.chmod(0o640)
    files.restore(folder, target)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    file.unlink()
    files.restore(folder, target)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
