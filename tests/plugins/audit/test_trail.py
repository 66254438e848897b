"""A file that cannot be written: writes go on, lines are kept and then counted, and all is told when it is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import orjson
import pytest

from discovery.plugins.audit import trail as trails
from discovery.plugins.audit.file import AuditFile, CannotAppend
from discovery.plugins.audit.trail import Trail
from discovery.store.writes import Register
from tests.plugins.audit.house import MIB, a_house
from tests.store.making import WALL, spec

LINE = b"123456789\n"


class Failing(AuditFile):
    """`takes`: lines that still go in before the disk is full; None: all. `synced`: how often."""

    takes: int | None = None
    sync_fails = False
    synced = 0

    def append(self, lines: Iterable[bytes]) -> None:
        if self.takes is None:
            super().append(lines)
            return
        taken = list(islice(lines, self.takes))
        super().append(taken)
        self.takes -= len(taken)
        raise CannotAppend("No space left on device", len(taken))

    def sync(self) -> None:
        self.synced += 1
        if self.sync_fails:
            raise CannotAppend("Input/output error", 0)
        super().sync()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Failing:
    monkeypatch.setattr(trails, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(trails, "SYNC_SECONDS", 0.01)
    return Failing(tmp_path / "audit.jsonl", MIB, 3)


@asynccontextmanager
async def a_trail(file: AuditFile) -> AsyncIterator[Trail]:
    trail = Trail(file)
    trail.start()
    yield trail
    await trail.close()


async def recovered(trail: Trail) -> None:
    async with asyncio.timeout(10):
        while trail.failing is not None or trail.waiting:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_writes_go_on_while_it_cannot_be_written_and_their_lines_come_later(
    file: Failing, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_house(file.path, open_file=lambda: file) as house:
        await house.submit(Register(spec(port=80), WALL))
        file.takes = 0
        for port in range(81, 85):
            await house.submit(Register(spec(port=port), WALL))
        assert len(house.registry) == 5
        assert house.audit.stats() == {
            "audit": {"writable": False, "reason": "No space left on device", "written": 1, "waiting": 4, "lost": 0}
        }
        file.takes = None
        await recovered(house.trail)
        await house.submit(Register(spec(port=85), WALL))
        assert [line["instance"]["port"] for line in house.lines()] == list(range(80, 86))
        assert house.audit.stats()["audit"]["writable"]
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in said] == ["ERROR", "WARNING"], said
    assert "No space left on device" in said[0][1]
    assert "0 lines were lost" in said[1][1]


async def test_a_part_that_went_in_is_not_written_twice(file: Failing) -> None:
    async with a_trail(file) as trail:
        file.takes = 2
        for number in range(5):
            trail.add(b"%d\n" % number)
        await trail.flushed()
        assert (trail.written, trail.waiting) == (2, 3)
        file.takes = None
        await recovered(trail)
    assert file.path.read_bytes() == b"0\n1\n2\n3\n4\n"


async def test_what_no_longer_fits_is_lost_and_the_file_says_so(file: Failing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trails, "MAX_WAITING", 3 * len(LINE))
    async with a_trail(file) as trail:
        file.takes = 0
        trail.add(LINE)
        await trail.flushed()
        for _ in range(4):
            await trail.room()
            trail.add(LINE)
            await trail.flushed()
        assert (trail.waiting, trail.lost) == (3, 2)
        file.takes = None
        await recovered(trail)
        trail.add(LINE)
        await trail.flushed()
        assert trail.lost == 2
    *kept, missing, last = file.path.read_bytes().splitlines(keepends=True)
    assert (kept, last) == ([LINE] * 3, LINE)
    content = orjson.loads(missing)
    assert (content["action"], content["lines"], content["by"]["name"]) == ("lost", 2, "the server")


async def test_what_waits_at_the_end_is_tried_once_more(file: Failing, caplog: pytest.LogCaptureFixture) -> None:
    async with a_trail(file) as trail:
        file.takes = 0
        trail.add(LINE)
        trail.add(LINE)
        await trail.flushed()
        file.takes = 1
    assert file.path.read_bytes() == LINE
    assert "1 lines of the audit log could not be written before the end" in caplog.text


async def test_lines_that_were_just_added_are_in_the_file_at_the_end(file: Failing) -> None:
    async with a_trail(file) as trail:
        for _ in range(1000):
            trail.add(LINE)
    assert file.path.read_bytes() == LINE * 1000


async def test_it_is_synced_within_a_while_and_not_for_nothing(file: Failing) -> None:
    async with a_trail(file) as trail:
        trail.add(LINE)
        await trail.flushed()
        async with asyncio.timeout(10):
            while not file.synced:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        assert file.synced == 1
    assert file.synced == 2, "once more at the end"


async def test_a_sync_that_fails_is_told(file: Failing, caplog: pytest.LogCaptureFixture) -> None:
    file.sync_fails = True
    async with a_trail(file) as trail:
        trail.add(LINE)
        await trail.flushed()
        async with asyncio.timeout(10):
            while trail.failing is None:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert trail.failing == "Input/output error"
        file.sync_fails = False
        trail.add(LINE)
        await recovered(trail)
    assert file.path.read_bytes() == LINE * 2
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]
