"""The audit beside a real engine: nothing that is done returns before its line, writes that overlap are kept apart."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from discovery.core.instance import Key
from discovery.plugins import Seams
from discovery.plugins.audit import make
from discovery.store.errors import NotDurable, UnknownInstance
from discovery.store.operations import Drain
from discovery.store.registration import Deregister, Register
from discovery.store.values import Snapshot
from discovery.store.write import Write
from tests.plugins.audit.house import MIB, Held, a_house
from tests.store.making import START, a_registry, spec
from tests.waiting import until

KEY = Key("web", "10.0.0.1", 80)


class Slow:
    """A keeper that has what was committed when it is let go, as with a disk. `fails`: it never has."""

    safe = float("inf")

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.fails: NotDurable | None = None

    async def restore(self) -> Snapshot | None:
        return None

    def check(self) -> None:
        """It does not know beforehand."""

    async def settled(self) -> None:
        await self.go.wait()
        if self.fails is not None:
            raise self.fails


async def test_writes_that_overlap_are_each_told_by_what_they_did(tmp_path: Path) -> None:
    """All are applied before the first one returns."""
    slow = Slow()
    async with a_house(tmp_path / "audit.jsonl", slow) as house:
        writes: list[Write[Any]] = [
            Register(spec(weight=1)),
            Register(spec(weight=2)),
            Drain(KEY, True, "because"),
            Deregister(KEY, "because"),
            Register(spec(weight=3)),
        ]
        tasks = [asyncio.create_task(house.submit(write)) for write in writes]
        await until(lambda: len(house.log.commits) == len(writes))
        slow.go.set()
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
            await house.submit(Register(spec(port=port, weight=0)))

        async def client(port: int) -> None:
            for weight in range(1, 41):
                await house.submit(Register(spec(port=port, weight=weight)))

        await asyncio.gather(*(client(port) for port in range(80, 85)), client(80), client(81))
        lines = house.lines()
    assert [line["index"] for line in lines] == sorted(line["index"] for line in lines)
    for port in range(80, 85):
        own = [line for line in lines if line["instance"]["port"] == port]
        assert len(own) > 40
        assert all(later["before"] == earlier["after"] for earlier, later in pairwise(own))


async def test_what_happened_but_is_not_durable_is_told_as_both(tmp_path: Path) -> None:
    slow = Slow()
    slow.go.set()
    slow.fails = NotDurable("the disk is full")
    async with a_house(tmp_path / "audit.jsonl", slow) as house:
        with pytest.raises(NotDurable):
            await house.submit(Register(spec()))
        await house.trail.flushed()
        done, refused = house.lines()
    assert (done["outcome"], done["before"], done["after"]["name"]) == ("done", None, "web")
    assert (refused["outcome"], refused["before"], refused["after"]) == ("NotDurable", None, None)
    assert (done["index"], done["instance"]["port"]) == (refused["index"], refused["instance"]["port"])
    assert "the disk is full" in refused["error"]


async def test_a_write_whose_client_left_has_a_line(tmp_path: Path) -> None:
    slow = Slow()
    async with a_house(tmp_path / "audit.jsonl", slow) as house:
        task = asyncio.create_task(house.submit(Register(spec())))
        await until(lambda: len(house.registry) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await house.trail.flushed()
        assert (house.last["outcome"], house.last["after"]["name"]) == ("done", "web")


async def test_a_write_returns_when_its_line_is_in_the_file_and_no_sooner(tmp_path: Path) -> None:
    held = Held(tmp_path / "audit.jsonl", MIB, 3)
    async with a_house(held.path, open_file=lambda: held) as house:
        held.hold()
        task = asyncio.create_task(house.submit(Register(spec())))
        await asyncio.to_thread(held.reached.wait, 60)
        assert not task.done()
        assert house.lines() == []
        assert house.engine.renew(KEY).lease.renewed_at == START, "a heartbeat does not wait"
        held.let_go.set()
        await task
        assert len(house.lines()) == 1


async def test_a_refusal_does_not_wait_for_its_line_which_comes_all_the_same(tmp_path: Path) -> None:
    held = Held(tmp_path / "audit.jsonl", MIB, 3)
    async with a_house(held.path, open_file=lambda: held) as house:
        held.hold()
        with pytest.raises(UnknownInstance):
            await house.submit(Deregister("nobody", "because"))
        assert house.lines() == []
        held.let_go.set()
        await house.trail.flushed()
        assert house.last["outcome"] == "UnknownInstance"


async def test_it_is_off_without_a_file_and_on_with_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDIT_FILE", raising=False)
    seams = Seams()
    make(a_registry(), lambda: START).install(seams)
    assert [*seams.keepers, *seams.followers, *seams.refused] == []
    monkeypatch.setenv("AUDIT_FILE", "logs/audit.jsonl")
    audit = make(a_registry(), lambda: START)
    assert audit.stats() == {}
    await audit.open(None)  # type: ignore[arg-type]
    assert audit.stats() == {"audit": {"writable": True, "reason": None, "written": 0, "waiting": 0, "lost": 0}}
    await audit.close()
    assert (tmp_path / "logs/audit.jsonl").read_bytes() == b""
