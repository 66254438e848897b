"""The writer: what is added while a commit is under way is one commit, and what fails is told, kept, and tried again in order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from discovery.plugins.journal import writer as writing
from discovery.plugins.journal.database import Database, Op
from discovery.plugins.journal.files import FILE
from discovery.plugins.journal.writer import Writer
from discovery.store.errors import NotDurable
from tests.plugins.journal.making import LIMIT, content, put_index
from tests.plugins.journal.recording import Recording, when

SET = "INSERT INTO meta(key, value) VALUES(?,?)"


@pytest.fixture
def database(tmp_path: Path) -> Recording:
    return Recording(tmp_path / FILE)


@pytest.fixture
async def writer(database: Recording, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Writer]:
    monkeypatch.setattr(writing, "RETRY_SECONDS", 0.01)
    writer = Writer(database)
    writer.start()
    yield writer
    database.refuses = ""
    database.may_go.set()
    await writer.close()


def add_index(writer: Writer, index: int) -> None:
    statement, values = put_index(index)
    writer.add(statement, *values)


def keys(groups: Iterable[list[Op]]) -> list[list[object]]:
    return [[values[0] for _, values in group] for group in groups]


async def test_what_is_added_while_a_commit_is_under_way_is_one_commit(writer: Writer, database: Recording) -> None:
    database.may_go.clear()
    writer.add(SET, "first", 1)
    await when(lambda: database.groups)
    names = [f"more-{number}" for number in range(500)]
    for name in names:
        writer.add(SET, name, 1)
    waiting = [asyncio.ensure_future(writer.flushed()) for _ in range(50)]
    database.may_go.set()
    await asyncio.gather(*waiting)
    assert keys(database.done) == [["first"], names]
    assert (writer.commits, writer.added, writer.committed) == (2, 501, 501)


async def test_what_is_added_in_one_turn_of_the_loop_is_one_commit(writer: Writer, database: Recording) -> None:
    async def put(number: int) -> None:
        writer.add(SET, str(number), number)
        await writer.flushed()

    await asyncio.gather(*(put(number) for number in range(200)))
    assert keys(database.done) == [[str(number) for number in range(200)]]


async def test_flushed_returns_only_after_the_commit_that_holds_it(writer: Writer, database: Recording) -> None:
    async def put(number: int) -> None:
        writer.add(SET, str(number), number)
        await writer.flushed()
        assert any(str(number) in group for group in keys(database.done))

    database.may_go.clear()
    one = asyncio.create_task(put(1))
    await when(lambda: database.groups)
    two = asyncio.create_task(put(2))
    await asyncio.sleep(0.02)
    assert not one.done()
    assert not two.done()
    database.may_go.set()
    await asyncio.gather(one, two)
    for turn in range(3, 40):
        await asyncio.gather(*(put(number) for number in range(turn * 100, turn * 100 + turn)))


async def test_flushed_does_not_wait_for_what_is_added_later(writer: Writer, database: Recording) -> None:
    writer.add(SET, "a", 1)
    first = asyncio.create_task(writer.flushed())
    await when(lambda: database.groups)
    database.may_go.clear()
    writer.add(SET, "b", 1)
    async with asyncio.timeout(LIMIT):
        await first
    assert keys(database.done) == [["a"]]


async def test_flushed_returns_at_once_when_all_is_on_disk(writer: Writer, database: Recording) -> None:
    await writer.flushed()
    writer.add(SET, "a", 1)
    await writer.flushed()
    await writer.flushed()
    assert writer.commits == 1


async def test_a_commit_that_fails_is_told_to_those_who_wait_for_it(
    writer: Writer, database: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    database.may_go.clear()
    database.refuses = "the disk is full"
    writer.add(SET, "a", 1)
    first = asyncio.create_task(writer.flushed())
    await when(lambda: database.groups)
    writer.add(SET, "b", 1)
    second = asyncio.create_task(writer.flushed())
    await asyncio.sleep(0)
    database.may_go.set()
    for each in (first, second):
        with pytest.raises(NotDurable, match="the disk is full"):
            await each
    with pytest.raises(NotDurable, match="the disk is full") as refused:
        writer.check()
    assert str(database.file.parent) not in str(refused.value), "where it is, is for the log alone"
    assert str(database.file) in caplog.text


async def test_what_failed_is_kept_in_order_and_written_when_it_can_be(
    writer: Writer, database: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    database.refuses = "the disk is full"
    names = [f"{number}" for number in range(30)]
    for number, name in enumerate(names):
        writer.add(SET, name, number)
        if number % 10 == 0:
            with pytest.raises(NotDurable):
                await writer.flushed()
    failures = database.failures
    await when(lambda: database.failures > failures + 3)
    assert database.done == []
    assert writer.committed == 0
    database.refuses = ""
    await writer.flushed()
    assert [name for group in keys(database.done) for name in group] == names
    writer.check()
    said = [record.levelname for record in caplog.records if record.name == "discovery.journal"]
    assert said == ["ERROR", "WARNING"], "once when it begins, once when it is over"


async def test_it_heals_as_often_as_it_fails(writer: Writer, database: Recording) -> None:
    for turn in range(5):
        database.refuses = "no room"
        add_index(writer, turn)
        with pytest.raises(NotDurable):
            await writer.flushed()
        database.refuses = ""
        await when(lambda: writer.failing is None)
        await writer.flushed()
    assert content(database.file).reserved_index == 4


async def test_what_was_added_together_is_committed_together_however_much_it_is(
    writer: Writer, database: Recording
) -> None:
    """A kill between two commits would leave half of a write."""
    database.may_go.clear()
    writer.add(SET, "first", 0)
    await when(lambda: database.groups)
    for number in range(25_000):
        add_index(writer, number)
    database.may_go.set()
    await writer.flushed()
    assert [len(group) for group in database.done] == [1, 25_000]


async def test_close_writes_what_is_left_and_closes_the_file(database: Recording) -> None:
    writer = Writer(database)
    writer.start()
    for number in range(100):
        add_index(writer, number)
    await writer.close()
    assert content(database.file).reserved_index == 99
    assert not database.file.with_name(f"{FILE}-wal").exists()
    with pytest.raises(Exception, match="closed"):
        database.load()


async def test_close_while_a_commit_is_under_way_writes_all(database: Recording) -> None:
    writer = Writer(database)
    writer.start()
    database.may_go.clear()
    add_index(writer, 1)
    await when(lambda: database.groups)
    add_index(writer, 2)
    closing = asyncio.create_task(writer.close())
    await asyncio.sleep(0.01)
    database.may_go.set()
    await closing
    assert database.done == [[put_index(1)], [put_index(2)]]


async def test_close_does_not_wait_for_a_disk_that_refuses(
    database: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Writer(database)
    writer.start()
    database.refuses = "the disk is full"
    add_index(writer, 1)
    with pytest.raises(NotDurable):
        await writer.flushed()
    async with asyncio.timeout(LIMIT):
        await writer.close()
    assert "could not be written" in caplog.text


async def test_a_disk_that_is_really_full_is_told_and_heals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of this process may not grow: SQLite is refused in the middle of its log, as by a full disk."""
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(writing, "RETRY_SECONDS", 0.01)
    database = Database(tmp_path / FILE)
    writer = Writer(database)
    writer.start()
    writer.add(SET, "before", 1)
    await writer.flushed()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (database.file.with_name(f"{FILE}-wal").stat().st_size + 3000, hard))
    try:
        writer.add(SET, "during", 2)
        with pytest.raises(NotDurable):
            await writer.flushed()
        assert writer.failing is not None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await when(lambda: writer.failing is None)
    writer.add(SET, "after", 3)
    await writer.flushed()
    await writer.close()
    with contextlib.closing(Database(database.file)) as opened:
        found = opened._sql.execute("SELECT key, value FROM meta ORDER BY value").fetchall()
    assert found == [("before", 1), ("during", 2), ("after", 3)]
