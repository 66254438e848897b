"""A writer over a fake file that blocks, fails and heals: groups, who is told what and when, and the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from discovery.system import background_writer
from discovery.system import backlog as backlogs
from discovery.system.background_writer import BackgroundWriter, WriteRefused
from tests.waiting import until

LIMIT = 60.0


class FakeFile:
    """`begun` and `done`: groups. It waits while it is not `let_go`, and refuses after `takes` items while it `refuses`."""

    def __init__(self) -> None:
        self.begun: list[list[str]] = []
        self.done: list[list[str]] = []
        self.let_go = threading.Event()
        self.let_go.set()
        self.refuses = ""
        self.takes = 0
        self.fails: Exception | None = None
        self.closed = 0
        self.threads: set[int] = set()

    def write(self, items: Sequence[str]) -> None:
        self.threads.add(threading.get_ident())
        self.begun.append(list(items))
        assert self.let_go.wait(LIMIT)
        if self.fails is not None:
            raise self.fails
        taken = list(items)[: self.takes] if self.refuses else list(items)
        self.done.append(taken)
        if self.refuses:
            raise WriteRefused(self.refuses, len(taken))

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed += 1

    @property
    def content(self) -> list[str]:
        return [item for group in self.done for item in group]


def a_writer(
    file: FakeFile, patience: float = LIMIT, max_items: int = 1000, max_octets: int = 10**6
) -> BackgroundWriter[str]:
    return BackgroundWriter(
        "fake", Path("fake.db"), file.write, file.close, "all else goes on", patience=patience, max_items=max_items, max_octets=max_octets
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _retries_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlogs, "FIRST_RETRY", 0.001)
    monkeypatch.setattr(backlogs, "LAST_RETRY", 0.01)


@pytest.fixture
def file() -> FakeFile:
    return FakeFile()


@pytest.fixture
async def writer(file: FakeFile) -> AsyncIterator[BackgroundWriter[str]]:
    writer = a_writer(file)
    yield writer
    file.refuses, file.fails = "", None
    file.let_go.set()
    assert await writer.close() == 0


async def blocked(writer: BackgroundWriter[str], file: FakeFile, item: str = "first") -> None:
    """The thread is in the middle of a write of that item, until the file is let go."""
    file.let_go.clear()
    writer.put(item)
    before = len(file.begun)
    await until(lambda: len(file.begun) > before)


# -- groups


async def test_what_is_put_in_one_turn_of_the_loop_is_one_group(writer: BackgroundWriter[str], file: FakeFile) -> None:
    numbers = [writer.put(f"{number}") for number in range(200)]
    assert numbers == list(range(1, 201))
    await asyncio.gather(*map(writer.settled, numbers))
    assert file.done == [[f"{number}" for number in range(200)]]
    assert (writer.added, writer.done) == (200, 200)


async def test_what_is_put_while_a_write_is_under_way_is_the_next_group(
    writer: BackgroundWriter[str], file: FakeFile
) -> None:
    await blocked(writer, file)
    for turn in range(50):
        writer.put(f"{turn}")
        await asyncio.sleep(0)
    file.let_go.set()
    await writer.settled(writer.added)
    assert file.done == [["first"], [f"{turn}" for turn in range(50)]]


async def test_all_is_written_in_order_by_one_thread_that_is_not_the_loops(file: FakeFile) -> None:
    writer = a_writer(file)
    for turn in range(300):
        writer.put(f"{turn}")
        await asyncio.sleep(0)
    assert await writer.close() == 0
    assert file.content == [f"{turn}" for turn in range(300)]
    assert file.closed == 1
    assert len(file.threads) == 1
    assert threading.get_ident() not in file.threads


# -- settled


async def test_settled_waits_for_its_own_item_and_for_no_later_one(
    writer: BackgroundWriter[str], file: FakeFile
) -> None:
    await writer.settled(0)
    first = writer.put("a")
    await writer.settled(first)
    assert file.content == ["a"]
    await blocked(writer, file, "b")
    await writer.settled(first)
    second = asyncio.create_task(writer.settled(writer.added))
    await asyncio.sleep(0.01)
    assert not second.done()
    file.let_go.set()
    await second
    assert file.content == ["a", "b"]


async def test_one_who_no_longer_waits_disturbs_nobody(writer: BackgroundWriter[str], file: FakeFile) -> None:
    await blocked(writer, file)
    number = writer.put("second")
    leaves, stays = (asyncio.create_task(writer.settled(number)) for _ in range(2))
    await asyncio.sleep(0)
    leaves.cancel()
    await asyncio.sleep(0)
    file.let_go.set()
    await stays
    assert leaves.cancelled()


# -- a file that refuses


async def test_a_failure_is_told_to_all_who_wait_and_to_all_who_come(
    writer: BackgroundWriter[str], file: FakeFile
) -> None:
    await blocked(writer, file)
    waiting = [asyncio.create_task(writer.settled(number)) for number in (1, writer.put("second"))]
    await asyncio.sleep(0)
    file.refuses = "the disk is full"
    file.let_go.set()
    for each in waiting:
        with pytest.raises(WriteRefused, match="the disk is full"):
            await each
    assert writer.refuses == "the disk is full"
    with pytest.raises(WriteRefused, match="the disk is full"):
        await writer.settled(writer.put("third"))


async def test_what_failed_is_kept_in_order_and_written_when_it_heals(
    writer: BackgroundWriter[str], file: FakeFile
) -> None:
    file.refuses = "no room"
    for item in "abc":
        with pytest.raises(WriteRefused):
            await writer.settled(writer.put(item))
    await until(lambda: len(file.begun) > 5)
    assert (writer.done, file.content) == (0, [])
    file.refuses = ""
    await until(lambda: writer.refuses is None)
    await writer.settled(writer.put("d"))
    assert file.content == ["a", "b", "c", "d"]


async def test_what_failed_and_healed_between_two_looks_is_told_at_the_second(
    writer: BackgroundWriter[str], file: FakeFile
) -> None:
    assert writer.trouble() is None
    file.refuses = "no room"
    with pytest.raises(WriteRefused):
        await writer.settled(writer.put("a"))
    file.refuses = ""
    await until(lambda: writer.refuses is None)
    said = "fake.db cannot be written: no room; all else goes on. Is its disk full, read-only or away?"
    assert (writer.trouble(), writer.trouble()) == (said, None)


async def test_the_part_that_went_in_is_not_written_again(writer: BackgroundWriter[str], file: FakeFile) -> None:
    file.refuses, file.takes = "no room for more", 2
    numbers = [writer.put(item) for item in "abcd"]
    await asyncio.gather(*map(writer.settled, numbers[:2]))
    assert writer.done == 2
    file.refuses = ""
    await writer.settled(numbers[3])
    assert file.content == ["a", "b", "c", "d"]


async def test_who_waits_while_a_disk_fails_once_is_told_what_became_of_it(
    writer: BackgroundWriter[str], file: FakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlogs, "FIRST_RETRY", 0.25)
    monkeypatch.setattr(backlogs, "LAST_RETRY", 0.25)
    file.refuses = "out of room for a moment"
    first = asyncio.create_task(writer.settled(writer.put("a")))
    await until(lambda: writer.refuses is not None)
    second = asyncio.create_task(writer.settled(writer.put("b")))
    await asyncio.sleep(0)
    assert not first.done()
    file.refuses = ""
    await asyncio.gather(first, second)
    assert file.content == ["a", "b"]


async def test_an_error_that_was_not_foreseen_is_a_refusal_and_in_the_log(
    writer: BackgroundWriter[str], file: FakeFile, caplog: pytest.LogCaptureFixture
) -> None:
    file.fails = ZeroDivisionError("of all things")
    with pytest.raises(WriteRefused, match="the log"):
        await writer.settled(writer.put("a"))
    file.fails = None
    await until(lambda: writer.refuses is None)
    assert file.content == ["a"]
    assert "ZeroDivisionError: of all things" in caplog.text


async def test_whoever_is_told_that_it_recovered_may_put_at_once(file: FakeFile) -> None:
    """As the audit does, which tells how many lines are missing."""

    def recovered() -> None:
        noisy.put("told")

    noisy = BackgroundWriter[str](
        "fake", Path("fake.db"), file.write, file.close, "", patience=LIMIT, max_items=10, max_octets=10,
        recovered=recovered,
    )  # fmt: skip
    file.refuses = "full"
    with pytest.raises(WriteRefused):
        await noisy.settled(noisy.put("a"))
    file.refuses = ""
    await until(lambda: noisy.refuses is None)
    await noisy.settled(noisy.put("b"))
    assert await noisy.close() == 0
    assert file.content == ["a", "told", "b"]


# -- a disk that hangs


async def test_a_disk_that_hangs_refuses_until_it_answers(file: FakeFile) -> None:
    writer = a_writer(file, patience=0.02)
    await blocked(writer, file)
    with pytest.raises(WriteRefused, match=r"the disk has not answered for 0\.02 s"):
        await writer.settled(1)
    with pytest.raises(WriteRefused):
        await writer.settled(writer.put("second"))
    file.let_go.set()
    await until(lambda: writer.done == 2)
    assert writer.refuses is None
    assert file.content == ["first", "second"]
    await writer.close()


async def test_a_process_that_was_not_run_for_a_while_does_not_blame_its_disk(
    writer: BackgroundWriter[str], file: FakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_writer, "SLOW_SECONDS", 0.0)
    await blocked(writer, file)
    assert writer.trouble() is None, "that it is done may just not have been heard"
    assert "is behind: 1 changes wait" in (writer.trouble() or "")


async def test_patience_counts_for_one_write_and_not_for_the_time_between(
    writer: BackgroundWriter[str], file: FakeFile
) -> None:
    await blocked(writer, file)
    assert writer._overdue is not None
    file.let_go.set()
    await writer.settled(1)
    assert writer._overdue is None


async def test_a_file_that_hangs_delays_no_other(writer: BackgroundWriter[str], file: FakeFile) -> None:
    hangs = FakeFile()
    other = a_writer(hangs)
    await blocked(other, hangs)
    for item in "abc":
        await writer.settled(writer.put(item))
    assert file.content == ["a", "b", "c"]
    assert other.done == 0
    hangs.let_go.set()
    await other.close()


async def test_more_than_may_wait_is_full_and_nothing_is_dropped(file: FakeFile) -> None:
    writer = a_writer(file, max_items=3, max_octets=100)
    await blocked(writer, file)
    assert (writer.full, writer.refuses) == (False, None)
    for item in "ab":
        writer.put(item)
    assert (writer.full, writer.refuses) == (True, "3 changes wait for a slow disk")
    writer.put("c")
    file.let_go.set()
    await writer.settled(writer.added)
    assert (writer.full, writer.refuses, file.content) == (False, None, ["first", "a", "b", "c"])
    await blocked(writer, file)
    writer.put("large", 100)
    assert writer.full
    file.let_go.set()
    await writer.close()


# -- the end


async def test_close_writes_what_is_left_while_a_write_is_under_way(file: FakeFile) -> None:
    writer = a_writer(file)
    await blocked(writer, file)
    writer.put("second")
    closing = asyncio.create_task(writer.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    file.let_go.set()
    assert await closing == 0
    assert (file.content, file.closed) == (["first", "second"], 1)


@pytest.mark.parametrize("items", [[], ["a"]])
async def test_close_at_once_writes_once_what_there_is_and_nothing_that_comes_later(
    file: FakeFile, items: list[str]
) -> None:
    writer = a_writer(file)
    for item in items:
        writer.put(item)
    assert await writer.close() == 0
    writer.put("late")
    await asyncio.sleep(0.01)
    assert (file.begun, file.closed) == ([items] if items else [], 1)


async def test_close_tries_once_more_and_says_how_much_is_lost(file: FakeFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_writer, "retry_after", lambda failures: 60.0 if failures > 1 else 0.0)
    writer = a_writer(file)
    file.refuses = "the disk is full"
    numbers = [writer.put(item) for item in "abc"]
    with pytest.raises(WriteRefused):
        await writer.settled(numbers[-1])
    file.takes = 1
    assert await writer.close() == 2
    assert (file.content, file.closed, len(file.begun)) == (["a"], 1, 3)


async def test_close_gives_up_a_disk_that_hangs(
    file: FakeFile, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_writer, "CLOSE_SECONDS", 0.02)
    writer = a_writer(file)
    await blocked(writer, file)
    writer.put("second")
    assert await writer.close() == 2
    assert "fake.db: 2 writes could not be made before the end" in caplog.text
    assert file.closed == 0, "not while the thread is in the middle of a write"
    file.let_go.set()
    await until(lambda: file.closed)
    assert file.content == ["first", "second"], "it answered in time after all"


async def test_whoever_waits_for_what_was_put_after_the_end_is_told(file: FakeFile) -> None:
    writer = a_writer(file)
    await writer.settled(writer.put("before"))
    await writer.close()
    with pytest.raises(WriteRefused, match="ending"):
        await writer.settled(writer.put("after"))
