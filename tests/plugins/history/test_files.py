"""Whatever is wrong with the files of the history keeps nobody from anything: it is named, counted, and told in the answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from pathlib import Path

import pytest

from discovery.plugins.history import file as files
from discovery.plugins.history import folder as folders
from discovery.plugins.history.asked import Asked, NotKnown, TooSlow
from discovery.plugins.history.file import Began
from discovery.plugins.history.reading import Reading
from discovery.plugins.history.recorder import Recorder
from discovery.plugins.history.rows import StoredEvent
from discovery.system.background_writer import WriteRefused
from discovery.system.sqlite import BESIDE
from tests.plugins.history.house import House
from tests.store.making import a_registry, spec


async def three_days(path: Path) -> House:
    """Three files, the last is being written, each with a registration of `web`."""
    house = House(path / "history")
    for port in (1, 2, 3):
        house.register(spec("web", port=port, ttl=3600.0))
        house.now += 2 * 3600 if port == 1 else 86400
        await house.written()
    house.register(spec("web", port=4))
    await house.written()
    assert [info.number for info in house.folder.files] == [1, 2, 3, 4][: len(house.folder.files)]
    return house


def ports(house: House, asked: Asked = Asked()) -> list[int]:  # noqa: B008 a value
    items = house.reading().page(asked._replace(kinds=frozenset({"registered"}))).items
    return [item.event.instance.spec.port for item in items if isinstance(item, StoredEvent)]  # type: ignore[union-attr]


def names(house: House) -> list[str]:
    return sorted(path.name for path in house.folder.path.iterdir() if not path.name.endswith(BESIDE))


async def test_a_damaged_file_is_set_aside_at_the_start_and_the_rest_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house = await three_days(tmp_path)
    await house.end()
    (house.folder.path / "000002.db").write_bytes(b"not a database" * 1000)
    await house.restart(10.0)
    assert "000002.db cannot be read (file is not a database) and is kept as 000002.db.damaged" in caplog.text
    assert house.folder.skipped == ("000002.db",)
    assert "000002.db.damaged" in names(house)
    page = await house.page()
    assert page.missing is not None
    assert "000002.db could not be read" in page.missing
    assert ports(house) == [4, 3, 1]
    between = house.folder.files[0].alive + 3600
    with pytest.raises(NotKnown, match="could not be kept"):
        await house.service_at("web", between)
    await house.end()


async def test_a_file_that_breaks_while_it_is_read_is_told_of_and_set_aside(tmp_path: Path) -> None:
    house = await three_days(tmp_path)
    broken = house.folder.files[1].path
    content = bytearray(broken.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    broken.write_bytes(content)
    reading = house.reading()
    page = reading.page(Asked())
    assert page.missing == f"{broken.name} could not be read"
    assert reading.broken == [broken]
    house.folder.discard(broken)
    assert not broken.exists()
    assert ports(house) == [4, 3, 1]
    await house.end()


async def test_a_file_of_a_newer_version_is_passed_over_and_left_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house = await three_days(tmp_path)
    await house.end()
    newer = house.folder.path / "000002.db"
    with contextlib.closing(sqlite3.connect(newer)) as sql:
        sql.execute("PRAGMA user_version=9")
    content = newer.read_bytes()
    await house.restart(10.0)
    assert "was written by a newer version (format 9, this version knows 1) and is passed over" in caplog.text
    assert newer.read_bytes() == content
    assert ports(house) == [4, 3, 1]
    await house.end()


async def test_a_file_that_was_half_made_when_the_machine_went_down_is_made_anew(tmp_path: Path) -> None:
    house = await three_days(tmp_path)
    await house.end()
    (house.folder.path / "000005.db.new").write_bytes(b"half")
    (house.folder.path / "000006.db").write_bytes(b"")  # a power cut left nothing of it
    await house.restart(10.0)
    assert "000005.db.new" not in names(house)
    assert house.folder.files[-1].path.name == "000007.db"
    assert ports(house) == [4, 3, 2, 1]
    await house.end()


async def test_what_a_kill_left_in_the_log_beside_the_file_is_read(tmp_path: Path) -> None:
    house = await three_days(tmp_path)
    last = house.folder.files[-1].path
    copy = tmp_path / "killed"
    copy.mkdir()
    for path in house.folder.path.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert (copy / f"{last.name}-wal").stat().st_size > 0
    await house.end()
    killed = House(copy)
    await killed.written()
    assert ports(killed) == [4, 3, 2, 1]
    await killed.end()


async def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    house = await three_days(tmp_path)
    assert house.folder.path.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in house.folder.path.iterdir()} == {0}
    await house.end()


async def test_the_oldest_files_go_when_they_are_too_old(tmp_path: Path) -> None:
    house = House(tmp_path / "history", days=2)
    for _ in range(6):
        house.register(spec("web", port=_ + 1))
        house.now += 86400
        house.advance(0)
    await house.written()
    assert names(house)[0] > "000002.db"
    assert len(names(house)) <= 5, "a day longer: the clock might have been wrong for a moment"
    await house.end()


async def test_the_oldest_files_go_when_there_are_too_many_octets(tmp_path: Path) -> None:
    house = House(tmp_path / "history", max_mb=16)
    house.folder.part, house.folder._max_octets = 400_000, 1_600_000
    text = "x" * 400
    for round in range(40):
        for port in range(1, 101):
            house.register(spec("web", port=port, metadata={"text": text, "round": round}))
        await house.written()
        house.recorder._tick()
        if house.recorder._life is not None:
            house.recorder._life.cancel()
        await house.written()
        assert sum(files.size(path) for path in house.folder._paths()) < 1_800_000  # with what one round writes
    assert house.folder.files[0].number > 1
    assert {info.began for info in house.folder.files} == {Began.SIZE}
    assert (await house.page()).missing is None
    await house.end()


async def test_a_state_that_is_too_large_for_the_bound_is_not_written_again_and_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_KNOWN", 3 * 2**20)
    house = House(tmp_path / "history", max_mb=16)
    house.register(spec("web", port=1))
    await house.restart(5.0)
    assert "takes more than an eighth of HISTORY_MAX_MB" in caplog.text
    assert "nothing is written until that is raised" in (house.folder.suspended or "")
    house.register(spec("web", port=2))
    house.register(spec("web", port=3))
    await house.written()
    assert house.folder.unwritten == 2
    monkeypatch.setattr(folders, "_KNOWN", 300)
    house.now += 86400
    house.register(spec("web", port=4))
    page = await house.page()
    assert page.missing is not None
    assert "could not be kept" in page.missing
    assert house.recorder.unwritten == 2
    assert ports(house) == [4, 1]
    await house.end()


async def test_a_folder_that_was_removed_is_made_anew_and_the_hole_is_told(tmp_path: Path) -> None:
    house = await three_days(tmp_path)
    for path in list(house.folder.path.iterdir()):
        path.unlink()
    house.recorder._tick()
    await house.written()
    assert house.folder.wants is Began.UNRECORDED
    house.register(spec("web", port=5))
    page = await house.page()
    assert ports(house) == [5]
    assert page.missing is not None
    await house.end()


async def test_a_full_disk_refuses_nobody_and_what_was_not_written_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path / "history")
    house.register(spec("web", port=1))
    await house.written()
    monkeypatch.setattr(files.HistoryFile, "append", full)
    monkeypatch.setattr("discovery.system.backlog.FIRST_RETRY", 0.01)
    house.register(spec("web", port=2))
    await house.written()
    assert house.recorder.writer.refuses == "database or disk is full"
    said = house.recorder.writer.trouble() or ""
    assert "cannot be written: database or disk is full; everything else goes on" in said
    monkeypatch.setattr(house.recorder.writer, "max_items", 1)
    lost_from = house.wall()
    house.register(spec("web", port=3))  # there is no room to keep it
    assert house.recorder.unwritten == 1
    monkeypatch.undo()
    house.recorder.writer.max_items = 1000
    await until_written(house)
    house.advance(5.0)
    house.register(spec("web", port=4))
    page = await house.page()
    assert ports(house) == [4, 2, 1]
    assert page.missing is not None
    assert page.missing.startswith("1 events from")
    (found,) = [item for item in page.items if not isinstance(item, StoredEvent) and item.kind == "unrecorded"]
    assert (found.wall, found.until) == (lost_from, house.wall())
    served = await house.service_at("web", house.wall())
    assert len(served.instances) == 4  # the checkpoint has what no event told
    await house.end()


async def until_written(house: House) -> None:
    while True:
        with contextlib.suppress(WriteRefused):
            await house.recorder.writer.settled(house.recorder.writer.added)
            return
        await asyncio.sleep(0.01)


def full(self: files.HistoryFile, commits: object) -> int:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise error


async def test_one_event_that_cannot_be_written_is_counted_and_keeps_no_other_from_it(tmp_path: Path) -> None:
    house = House(tmp_path / "history")
    house.register(spec("web", port=1))
    house.registry.drain("auto-0", True, "a broken \udcff reason", house.now, house.wall())
    house.register(spec("web", port=2))
    await house.written()
    assert house.recorder.unwritten == 1
    assert ports(house) == [2, 1]
    await house.end()


async def test_a_question_that_takes_too_long_ends(tmp_path: Path) -> None:
    house = House(tmp_path / "history")
    for round in range(50):
        for port in range(1, 101):
            house.register(spec("web", port=port, metadata={"round": round}))
    await house.written()
    with pytest.raises(TooSlow, match="ask for less: a service, an ip, or a shorter time"):
        Reading(house.folder.files, patience=-1.0).page(Asked(actor="10.0.0.9"))
    with pytest.raises(TooSlow):
        Reading(house.folder.files, ended=lambda: True).service_at("web", house.wall(), {})
    await house.end()


async def test_nothing_is_touched_before_the_state_is_restored(tmp_path: Path) -> None:
    """The folder may be another process's until then."""
    folder = folders.Folder(tmp_path / "history", 7, 2**24)
    recorder = Recorder(folder, a_registry(), lambda: 0.0)
    await recorder.close()
    assert not (tmp_path / "history").exists()
