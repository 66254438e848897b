"""The database behind the writer: what failed is told without its path, kept, and written when the disk has room again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from discovery.plugins.journal.database import Writer, writer_of
from discovery.plugins.journal.files import FILE
from discovery.system import backlog
from discovery.system.background_writer import WriteRefused
from tests.plugins.journal.house import Recording
from tests.plugins.journal.making import a_database, an_instance, content, put_index, puts
from tests.waiting import until


@pytest.fixture(autouse=True)
def _retries_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "FIRST_RETRY", 0.01)


@pytest.fixture
def database(tmp_path: Path) -> Recording:
    a_database(tmp_path / FILE).close()
    return Recording(tmp_path / FILE)


@pytest.fixture
async def writer(database: Recording) -> AsyncIterator[Writer]:
    writer = writer_of(database)
    yield writer
    database.refuses = ""
    assert await writer.close() == 0


async def test_what_was_put_together_is_one_transaction(writer: Writer, database: Recording) -> None:
    for index in range(1000):
        writer.put([put_index(index), *puts([an_instance(index)])])
    await writer.settled(writer.added)
    assert [len(group) for group in database.done] == [2000]
    found = content(database.file)
    assert (found.index, len(found.instances)) == (999, 1000)


async def test_a_refusal_names_the_file_in_the_warning_and_not_to_strangers(
    writer: Writer, database: Recording
) -> None:
    database.refuses = "the disk is full"
    with pytest.raises(WriteRefused, match=r"^the disk is full$"):
        await writer.settled(writer.put([put_index(1)]))
    assert writer.refuses == "the disk is full"
    assert (writer.trouble() or "").startswith(f"{database.file} cannot be written: the disk is full; register,")
    database.refuses = ""
    await until(lambda: writer.refuses is None)
    assert content(database.file).index == 1


async def test_close_writes_what_is_left_and_closes_the_file(database: Recording) -> None:
    writer = writer_of(database)
    for number in range(100):
        writer.put([put_index(number)])
    assert await writer.close() == 0
    assert content(database.file).index == 99
    assert not database.file.with_name(f"{FILE}-wal").exists()
    with pytest.raises(Exception, match="closed"):
        database.commit([])


async def test_a_disk_that_is_really_full_is_told_and_heals(tmp_path: Path) -> None:
    """Files of this process may not grow: SQLite is refused in the middle of its log, as by a full disk."""
    resource = pytest.importorskip("resource")
    database = a_database(tmp_path / FILE)
    writer = writer_of(database)
    before, during, after = (puts([an_instance(number)]) for number in range(3))
    await writer.settled(writer.put(before))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (database.file.with_name(f"{FILE}-wal").stat().st_size + 3000, hard))
    try:
        with pytest.raises(WriteRefused):
            await writer.settled(writer.put(during))
        assert writer.refuses is not None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await until(lambda: writer.refuses is None)
    await writer.settled(writer.put(after))
    assert await writer.close() == 0
    assert [*content(database.file).instances] == [an_instance(number) for number in range(3)]
