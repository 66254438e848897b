"""A file that cannot be written: writes go on, lines are kept and then counted, and all is told when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from discovery.plugins import audit
from discovery.plugins.audit import Trail
from discovery.plugins.audit.file import AuditFile
from discovery.store.registration import Register
from discovery.system import backlog
from discovery.system.background_writer import WriteRefused
from tests.plugins.audit.house import MIB, Held, a_house
from tests.store.making import spec

LINE = b"123456789\n"


class Failing(AuditFile):
    """`takes`: lines that still go in before the disk is full; None: all."""

    takes: int | None = None

    def append(self, lines: Sequence[bytes]) -> None:
        if self.takes is None:
            super().append(lines)
            return
        taken = lines[: self.takes]
        super().append(taken)
        self.takes -= len(taken)
        raise WriteRefused("No space left on device", len(taken))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Failing:
    monkeypatch.setattr(backlog, "FIRST_RETRY", 0.01)
    monkeypatch.setattr(backlog, "LAST_RETRY", 0.01)
    return Failing(tmp_path / "audit.jsonl", MIB, 3)


@asynccontextmanager
async def a_trail(file: AuditFile) -> AsyncIterator[Trail]:
    trail = Trail(file)
    yield trail
    await trail.close()


async def recovered(trail: Trail) -> None:
    async with asyncio.timeout(60):
        while trail.writer.refuses is not None or trail.writer.done < trail.writer.added:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_writes_go_on_while_it_cannot_be_written_and_their_lines_come_later(
    file: Failing,
) -> None:
    async with a_house(file.path, open_file=lambda: file) as house:
        await house.submit(Register(spec(port=80)))
        file.takes = 0
        for port in range(81, 85):
            await house.submit(Register(spec(port=port)))
        assert len(house.registry) == 5
        assert house.audit.stats() == {
            "audit": {"writable": False, "reason": "No space left on device", "written": 1, "waiting": 4, "lost": 0}
        }
        assert "No space left on device" in (house.trail.writer.trouble() or "")
        file.takes = None
        await recovered(house.trail)
        await house.submit(Register(spec(port=85)))
        assert [line["instance"]["port"] for line in house.lines()] == list(range(80, 86))
        assert house.audit.stats()["audit"]["writable"]


async def test_what_no_longer_fits_is_lost_and_the_file_says_so(file: Failing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MAX_OCTETS", 3 * len(LINE))
    async with a_trail(file) as trail:
        file.takes = 0
        trail.add(LINE)
        await trail.flushed()
        for _ in range(4):
            trail.add(LINE)
            await trail.flushed()
        assert (trail.writer.added, trail.lost) == (3, 2)
        file.takes = None
        await recovered(trail)
        trail.add(LINE)
        await trail.flushed()
        assert trail.lost == 2
    *kept, missing, last = file.path.read_bytes().splitlines(keepends=True)
    assert (kept, last) == ([LINE] * 3, LINE)
    content = orjson.loads(missing)
    assert (content["action"], content["lines"], content["by"]["name"]) == ("lost", 2, "the server")


async def test_what_did_not_fit_on_a_slow_disk_is_told_with_the_next_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MAX_OCTETS", 3 * len(LINE))
    file = Held(tmp_path / "audit.jsonl", MIB, 3)
    async with a_trail(file) as trail:
        file.hold()
        for _ in range(5):
            trail.add(LINE)
        file.let_go.set()
        await trail.flushed()
        trail.add(LINE)
    *kept, missing, last = file.path.read_bytes().splitlines(keepends=True)
    assert (kept, last, orjson.loads(missing)["lines"]) == ([LINE] * 3, LINE, 2)


async def test_a_disk_that_hangs_holds_no_write_for_longer_than_the_trail_has_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PATIENCE", 0.05)
    file = Held(tmp_path / "audit.jsonl", MIB, 3)
    async with a_house(file.path, open_file=lambda: file) as house:
        file.hold()
        async with asyncio.timeout(60):
            await house.submit(Register(spec(port=80)))
        house.trail.writer.patience = 3600
        async with asyncio.timeout(60):  # only the first one has waited
            for port in range(81, 90):
                await house.submit(Register(spec(port=port)))
        assert house.lines() == []
        assert house.audit.stats()["audit"]["reason"] == "the disk has not answered for 0.05 s"
        file.let_go.set()
        await recovered(house.trail)
        assert [line["instance"]["port"] for line in house.lines()] == list(range(80, 90))
