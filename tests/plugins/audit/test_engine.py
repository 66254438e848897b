"""The engine with the audit in front: nothing returns before its line, writes that overlap are kept apart, the rest passes untouched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest

from discovery.core.caller import NOBODY, Caller
from discovery.core.instance import Key
from discovery.plugins.audit import make
from discovery.store.engine import Engine
from discovery.store.errors import NotDurable, UnknownInstance
from discovery.store.service import Entry
from discovery.store.writes import Deregister, Drain, Register, Write
from tests.plugins.audit.house import MIB, Held, a_house
from tests.store.making import START, WALL, a_registry, spec

KEY = Key("web", "10.0.0.1", 80)
T = TypeVar("T")


class Slow:
    """Applies at once, and returns when it is let go, as an engine does that waits for a disk."""

    def __init__(self, inner: Engine) -> None:
        self._inner = inner
        self.go = asyncio.Event()
        self.fails: Exception | None = None
        self.applied = 0

    async def open(self) -> None:
        await self._inner.open()

    async def submit(self, write: Write[T], by: Caller = NOBODY) -> T:
        result = await self._inner.submit(write, by)
        self.applied += 1
        await self.go.wait()
        if self.fails is not None:
            raise self.fails
        return result

    def renew(self, which: Key | str, by: Caller = NOBODY) -> Entry:
        return self._inner.renew(which, by)

    def is_safe(self, id: str) -> bool:
        return self._inner.is_safe(id)

    async def close(self) -> None:
        await self._inner.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0)


async def test_writes_that_overlap_are_each_told_by_what_they_did(tmp_path: Path) -> None:
    """All are applied before the first one returns."""
    made: list[Slow] = []

    def slow(engine: Engine) -> Engine:
        made.append(Slow(engine))
        return made[0]

    async with a_house(tmp_path / "audit.jsonl", slow) as house:
        writes: list[Write[Any]] = [
            Register(spec(weight=1), WALL),
            Register(spec(weight=2), WALL),
            Drain(KEY, WALL, "because"),
            Deregister(KEY, "because"),
            Register(spec(weight=3), WALL),
        ]
        tasks = [asyncio.create_task(house.submit(write)) for write in writes]
        await until(lambda: made[0].applied == len(writes))
        made[0].go.set()
        await asyncio.gather(*tasks)
        lines = house.lines()
    assert [line["action"] for line in lines] == ["register", "register", "drain", "deregister", "register"]
    assert [line["index"] for line in lines] == [1, 2, 3, 4, 5]
    weights = [tuple(side and side["weight"] for side in (line["before"], line["after"])) for line in lines]
    assert weights == [(None, 1), (1, 2), (2, 2), (2, None), (None, 3)]
    assert [line["instance"]["id"] for line in lines] == ["auto-0"] * 4 + ["auto-1"]


async def test_each_line_begins_where_the_one_before_it_ended(tmp_path: Path) -> None:
    async with a_house(tmp_path / "audit.jsonl") as house:
        for port in range(80, 85):
            await house.submit(Register(spec(port=port, weight=0), WALL))

        async def client(port: int) -> None:
            for weight in range(1, 41):
                await house.submit(Register(spec(port=port, weight=weight), WALL))

        await asyncio.gather(*(client(port) for port in range(80, 85)), client(80), client(81))
        lines = house.lines()
    assert [line["index"] for line in lines] == sorted(line["index"] for line in lines)
    for port in range(80, 85):
        own = [line for line in lines if line["instance"]["port"] == port]
        assert len(own) > 40
        assert all(later["before"] == earlier["after"] for earlier, later in pairwise(own))


async def test_what_happened_but_is_not_durable_is_told_as_both(tmp_path: Path) -> None:
    def failing(engine: Engine) -> Engine:
        slow = Slow(engine)
        slow.go.set()
        slow.fails = NotDurable("the disk is full")
        return slow

    async with a_house(tmp_path / "audit.jsonl", failing) as house:
        with pytest.raises(NotDurable):
            await house.submit(Register(spec(), WALL))
        assert house.last["outcome"] == "NotDurable"
        assert (house.last["before"], house.last["after"]["name"]) == (None, "web")


async def test_a_write_whose_client_left_has_a_line(tmp_path: Path) -> None:
    made: list[Slow] = []

    def slow(engine: Engine) -> Engine:
        made.append(Slow(engine))
        return made[0]

    async with a_house(tmp_path / "audit.jsonl", slow) as house:
        task = asyncio.create_task(house.submit(Register(spec(), WALL)))
        await until(lambda: made[0].applied == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await house.trail.flushed()
        assert (house.last["outcome"], house.last["after"]["name"]) == ("CancelledError", "web")


async def test_a_write_returns_when_its_line_is_in_the_file_and_no_sooner(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    held = Held(path, MIB, 3)
    async with a_house(path, open_file=lambda: held) as house:
        for write, error in ((Register(spec(), WALL), None), (Deregister("nobody", "because"), UnknownInstance)):
            before = len(house.lines())
            held.hold()
            task = asyncio.create_task(house.submit(write))
            await asyncio.to_thread(held.reached.wait, 10)
            assert not task.done()
            assert house.engine.renew(KEY).lease.renewed_at == START, "a heartbeat does not wait"
            held.let_go.set()
            if error is None:
                await task
            else:
                with pytest.raises(error):
                    await task
            assert len(house.lines()) == before + 1


async def test_it_is_off_without_a_file_and_on_with_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDIT_FILE", raising=False)
    assert make(a_registry(), lambda: START) is None
    monkeypatch.setenv("AUDIT_FILE", "logs/audit.jsonl")
    audit = make(a_registry(), lambda: START)
    assert audit is not None
    assert audit.stats() == {}
    await audit.open(None)  # type: ignore[arg-type]
    assert audit.stats() == {"audit": {"writable": True, "reason": None, "written": 0, "waiting": 0, "lost": 0}}
    await audit.close()
    assert (tmp_path / "logs/audit.jsonl").read_bytes() == b""
