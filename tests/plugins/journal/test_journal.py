"""The journal in front of a real registry and engine: what must be on disk when a write returns, and what is never written."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from discovery.core.event import Kind
from discovery.core.instance import Instance
from discovery.core.maintenance import Scope, Window
from discovery.core.status import Status
from discovery.plugins.journal import rows
from discovery.plugins.journal.errors import Damaged, DataDirInUse
from discovery.plugins.journal.files import FILE
from discovery.store.errors import NotDurable, UnknownInstance
from discovery.store.operations import ReloadZones
from tests.driven import Checked
from tests.plugins.journal.house import House, Time, known, living, record
from tests.plugins.journal.making import a_file, a_kept, content, copy, octets
from tests.store.making import START, TTL, WALL, spec
from tests.waiting import until

KEY = spec().key


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    record(monkeypatch)
    return tmp_path / "data"


async def test_the_registry_is_loaded_when_the_engine_is_open(folder: Path) -> None:
    async with living(folder) as house:
        assert house.registry.loaded
        assert len(house.registry) == 0
        assert set(octets(folder)) == {"lock", FILE, f"{FILE}-wal", f"{FILE}-shm"}


# -- a write that returned is on disk


async def test_a_write_returns_only_when_its_commit_is_through(folder: Path) -> None:
    async with living(folder) as house:
        house.database.may_go.clear()
        writing = asyncio.create_task(house.register(spec()))
        await until(lambda: len(house.database.groups) > len(house.database.done))
        await asyncio.sleep(0.02)
        assert not writing.done()
        assert house.registry.find(KEY) is not None, "it is applied at once"
        house.database.may_go.set()
        await writing


async def test_a_write_that_changes_nothing_waits_for_what_it_repeats(folder: Path) -> None:
    """Registered again while the first registration is on its way to the disk: its reply is no promise earlier than that one's."""
    async with living(folder) as house:
        house.database.may_go.clear()
        first = asyncio.create_task(house.register(spec()))
        await until(lambda: len(house.database.groups) > len(house.database.done))
        again = asyncio.create_task(house.register(spec()))
        await asyncio.sleep(0.02)
        assert not first.done()
        assert not again.done()
        house.database.may_go.set()
        await asyncio.gather(first, again)


async def test_writes_at_the_same_time_share_a_commit(folder: Path) -> None:
    async with living(folder) as house:
        before = len(house.database.done)
        await asyncio.gather(*(house.register(spec(port=port)) for port in range(1, 501)))
        assert len(house.database.done) == before + 1
        for turn in range(1, 11):
            await asyncio.gather(*(house.deregister(spec(port=turn * 10 + port).key) for port in range(10)))
        assert len(house.database.done) == before + 11


async def test_what_expires_is_removed_from_the_disk(folder: Path) -> None:
    async with living(folder) as house:
        await house.register(spec())
        house.time.pass_by(100)
        house.registry.advance(house.time.now, 100)
        house.registry.advance(house.time.now + 10, 100)
        assert house.log.kinds()[-1] is Kind.EXPIRED
        await house.settled()
        found = content(copy(folder, folder / "copy") / FILE)
        assert (found.instances, found.tombstones) == ((), ())


# -- what is not written


async def test_heartbeats_are_not_written(folder: Path) -> None:
    async with living(folder) as house:
        entry = await house.register(spec())
        added, commits = house.writer.added, len(house.database.done)
        for _ in range(1000):
            house.time.pass_by(1)
            assert house.engine.renew(KEY) is entry
            house.engine.renew(entry.instance.id)
        house.time.pass_by(11)
        house.engine.renew(KEY)
        assert house.log.kinds()[-2:] == [Kind.UNHEALTHY, Kind.HEALTHY]
        await house.settled()
        assert (house.writer.added, len(house.database.done)) == (added, commits)
        assert entry.lease.expires_at == house.time.now + TTL


async def test_what_checks_say_is_written_and_comes_back(folder: Path) -> None:
    async with living(folder) as house:
        entry = await house.register(spec())
        for failing in ("refused", None, "timed out"):
            await house.engine.submit(Checked(entry.instance.id, failing))
        known = entry.instance
    async with living(folder) as house:
        entry = house.registry.at(KEY)
        assert (entry.status, entry.instance.checks) == (Status.FAILING, known.checks)


async def test_a_write_that_changes_nothing_does_not_wait_when_all_is_on_disk(folder: Path) -> None:
    async with living(folder) as house:
        await house.register(spec())
        house.database.may_go.clear()
        async with asyncio.timeout(60):
            await house.register(spec())
            await house.drain(KEY, False)
        house.database.may_go.set()
        assert house.writer.added == house.writer.done


async def test_a_write_that_is_refused_writes_nothing(folder: Path) -> None:
    async with living(folder) as house:
        added = house.writer.added
        with pytest.raises(UnknownInstance):
            await house.deregister(KEY)
        assert house.writer.added == added


# -- a disk that refuses


async def refused(house: House, reason: str = "the disk is full") -> None:
    """From now on."""
    house.database.refuses = reason
    with pytest.raises(NotDurable, match=reason):
        await house.register(spec("first"))


async def test_writes_are_refused_before_they_are_applied_once_the_disk_is_known_to_refuse(folder: Path) -> None:
    async with living(folder) as house:
        await house.register(spec())
        await refused(house)
        changes = len(house.log.changes)
        with pytest.raises(NotDurable, match="the disk is full"):
            await house.register(spec(port=81))
        with pytest.raises(NotDurable):
            await house.deregister(KEY)
        with pytest.raises(NotDurable):
            await house.drain(KEY)
        with pytest.raises(NotDurable):
            await house.maintain(Scope("web"), Window("because", WALL + 60))
        assert len(house.log.changes) == changes
        assert not house.registry.windows
        assert house.registry.find(KEY) is not None


async def test_heartbeats_and_checks_go_on_while_the_disk_refuses(folder: Path) -> None:
    async with living(folder) as house:
        entry = await house.register(spec())
        await refused(house)
        house.time.pass_by(3)
        house.engine.renew(KEY)
        assert entry.lease.expires_at == house.time.now + TTL
        await house.engine.submit(Checked(entry.instance.id, "refused"))
        assert entry.status is Status.FAILING


async def test_it_heals_by_itself_and_nothing_that_was_applied_is_lost(folder: Path) -> None:
    async with living(folder) as house:
        await refused(house)
        assert house.journal.stats()["journal"]["writable"] is False
        assert "the disk is full" in house.journal.stats()["journal"]["reason"]
        house.time.pass_by(100)
        house.registry.advance(house.time.now, 100)
        house.database.refuses = ""
        await until(lambda: house.writer.refuses is None)
        await house.register(spec(port=81))
        assert house.journal.stats()["journal"] == {"writable": True, "reason": None, "waiting": 0}
        assert [*content(copy(folder, folder / "copy") / FILE).instances] == [
            a_kept(instance) for instance in known(house.registry)
        ]


# -- starting


async def test_one_process_for_each_folder(folder: Path) -> None:
    async with living(folder):
        second = House(folder, Time())
        with pytest.raises(DataDirInUse, match=str(folder)):
            await second.engine.open()
        await second.close()
        assert not second.registry.loaded
    async with living(folder) as third:
        assert third.registry.loaded


async def test_what_cannot_be_read_keeps_it_from_starting_and_is_left_alone(folder: Path) -> None:
    file = a_file(folder, 50)
    whole = file.read_bytes()
    file.write_bytes(whole[:-5000])
    before = octets(folder)[FILE]
    house = House(folder, Time())
    with pytest.raises(Damaged) as error:
        await house.engine.open()
    await house.close()
    assert not house.registry.loaded
    assert str(file) in str(error.value)
    assert "discovery restore" in str(error.value)
    assert octets(folder)[FILE] == before
    file.write_bytes(whole)
    for suffix in ("-wal", "-shm"):
        file.with_name(FILE + suffix).unlink(missing_ok=True)
    async with living(folder) as again:
        assert len(again.registry) == 50


async def test_close_after_a_start_that_failed_halfway_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    house = House(tmp_path / "data", Time())
    with contextlib.suppress(Exception):
        await house.engine.open()
    await house.close()
    never = House(tmp_path / "other", Time(START))
    await never.close()
    assert not (tmp_path / "other").exists()
    assert never.journal.stats() == {}


async def test_what_is_noted_of_commits_without_rows_does_not_grow_while_the_disk_hangs(folder: Path) -> None:
    async with living(folder) as house:
        house.writer.put([], 0)
        before = len(house.journal._put_away)
        for number in range(1000):
            house.registry.do(ReloadZones(f"{number}"), house.time.now, house.time.wall)
        assert len(house.journal._put_away) <= before + 1


async def test_a_commit_that_cannot_be_written_down_is_never_taken_for_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with living(folder) as house:
        await house.register(spec())

        def fails(instance: Instance) -> None:
            raise RuntimeError("a defect")

        with monkeypatch.context() as broken:
            broken.setattr(rows, "of_instance", fails)
            with pytest.raises(NotDurable, match="restart the server"):
                await house.register(spec(port=81))
        for port in (82, 81):  # another one, and the same again
            with pytest.raises(NotDurable, match="restart the server"):
                await house.register(spec(port=port))
        assert house.registry.at(spec(port=81).key).index > house.engine.safe
    assert "a follower failed" in caplog.text
