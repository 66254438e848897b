"""The engine of a single process: each write is decided and applied at its clock's time, by those who have a say in it."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from discovery.core.caller import Caller
from discovery.core.errors import DiscoveryError, Forbidden
from discovery.core.event import Kind
from discovery.core.instance import Instance, Key
from discovery.engines.local import LocalEngine
from discovery.store.engine import Engine, WriteSeams
from discovery.store.errors import NotDurable, ServiceFull, UnknownInstance
from discovery.store.expiry import Expire
from discovery.store.fits import DoesNotFit
from discovery.store.operations import DeregisterMany, Drain
from discovery.store.registration import Deregister, Register
from discovery.store.values import Snapshot
from discovery.store.write import Write
from tests.driven import Checked
from tests.store.making import INTERVAL, START, TTL, WALL, Log, a_registry, spec

KEY = Key("web", "10.0.0.1", 80)
CI = Caller("10.9.9.9", "ci")


class Clock:
    """Stands still until it is set."""

    now = START

    def __call__(self) -> float:
        return self.now


class Disk:
    """A keeper. `fails`: it cannot keep anything now. `held`: it takes until that is set. `kept`: what it has at the start."""

    def __init__(self) -> None:
        self.fails = False
        self.held: asyncio.Event | None = None
        self.kept: Snapshot | None = None
        self.safe = float("inf")

    async def restore(self) -> Snapshot | None:
        return self.kept

    def check(self) -> None:
        if self.fails:
            raise NotDurable("no space")

    async def settled(self) -> None:
        if self.held is not None:
            await self.held.wait()
        self.check()


class House:
    """A registry, its log, and an engine before it, with all that may have a say in a write."""

    def __init__(self) -> None:
        self.registry = a_registry(max_instances=2)
        self.log = Log.of(self.registry)
        self.clock = Clock()
        self.disk = Disk()
        self.asked: list[tuple[str | None, Caller]] = []
        self.forbidden: set[str | None] = set()
        self.refused: list[tuple[Write[object], Caller, DiscoveryError]] = []
        seams = WriteSeams([self.authorize], [self.disk], [lambda *what: self.refused.append(what)])
        self.engine: Engine = LocalEngine(self.registry, self.clock, self.wall, seams)

    def authorize(self, owner: str | None, by: Caller) -> None:
        self.asked.append((owner, by))
        if owner in self.forbidden:
            raise Forbidden(by.name, "register")

    def wall(self) -> float:
        return WALL + self.clock.now - START


@pytest.fixture
def house() -> House:
    return House()


async def test_it_is_loaded_once_it_is_open(house: House) -> None:
    house.registry.loaded = False
    await house.engine.open()
    assert house.registry.loaded
    assert house.log.changes == []


async def test_it_begins_with_what_its_keeper_has(house: House) -> None:
    house.disk.kept = Snapshot(77, (Instance("mine", WALL - 5, spec()),))
    await house.engine.open()
    assert (house.registry.index, house.log.kinds()) == (78, [Kind.RESTORED])
    assert house.registry.at(KEY).lease.expires_at == START + TTL


async def test_a_registration_is_the_truth_when_submit_returns(house: House) -> None:
    await house.engine.open()
    instance = await house.engine.submit(Register(spec()), CI)
    entry = house.registry.at(instance.id)
    assert entry.instance is instance
    assert (instance.registered_at, entry.lease.expires_at) == (WALL, START + TTL)
    assert [(commit.by, commit.action) for commit in house.log.commits] == [(CI, "register")]
    await house.engine.close()


async def test_a_heartbeat_counts_from_the_time_it_is_applied(house: House) -> None:
    with pytest.raises(UnknownInstance):
        house.engine.renew(KEY)
    await house.engine.submit(Register(spec()))
    house.clock.now = START + 4
    entry = house.engine.renew(KEY)
    assert entry.lease.expires_at == START + 4 + TTL
    assert len(house.log.commits) == house.registry.renewals == 1


async def test_a_heartbeat_of_the_silent_is_a_commit_and_counts_once(house: House) -> None:
    await house.engine.submit(Register(spec()))
    house.clock.now = START + 2 * TTL
    entry = house.engine.renew(KEY, CI)
    assert (entry.lease.expires_at, house.registry.renewals) == (START + 3 * TTL, 1)
    assert house.log.kinds() == [Kind.REGISTERED, Kind.UNHEALTHY, Kind.HEALTHY]
    assert [(commit.by, len(commit.events)) for commit in house.log.commits[1:]] == [(CI, 2)]


WRITES: list[Write[object]] = [
    Register(spec()),
    Deregister(KEY, "a"),
    DeregisterMany((KEY,), "a", "web"),
    Drain(KEY, True, "a"),
]


@pytest.mark.parametrize("write", WRITES, ids=lambda write: type(write).__name__)
async def test_a_write_is_a_value(write: Write[object]) -> None:
    kind: Any = type(write)
    fields = {field.name: getattr(write, field.name) for field in dataclasses.fields(kind)}
    assert kind(**fields) == write
    assert hash(kind(**fields)) == hash(write)
    name = next(iter(fields))
    with pytest.raises(AttributeError):
        setattr(write, name, fields[name])


async def test_the_same_writes_at_the_same_times_make_the_same_registry() -> None:
    """So that a write can be kept, or sent to another process, and decided there."""
    writes: list[Write[object]] = [Register(spec()), Register(spec(tags=["a"])), Deregister(KEY, "a")]
    here, there = House(), House()
    for house in (here, there):
        for now, write in enumerate(writes, int(START)):
            house.clock.now = float(now)
            await house.engine.submit(write)
    assert here.log.commits == there.log.commits
    assert len(here.log.changes) == 3


# -- who has a say


async def test_whoever_is_not_allowed_to_changes_nothing_and_is_told_of(house: House) -> None:
    await house.engine.submit(Register(spec()), CI)
    house.forbidden = {"web"}
    write = Register(spec(port=81))
    with pytest.raises(Forbidden) as error:
        await house.engine.submit(write, CI)
    with pytest.raises(Forbidden):
        house.engine.renew(KEY, CI)
    with pytest.raises(Forbidden):
        house.engine.renew(house.registry.at(KEY).instance.id, CI)
    assert set(house.asked) == {("web", CI)}
    assert house.refused == [(write, CI, error.value)], "a heartbeat is no write"
    assert len(house.log.commits) == 1


async def test_what_cannot_be_kept_is_decided_and_changes_nothing(house: House) -> None:
    house.disk.fails = True
    write = Register(spec())
    with pytest.raises(NotDurable) as error:
        await house.engine.submit(write, CI)
    with pytest.raises(UnknownInstance):
        await house.engine.submit(Deregister(KEY, "because"))
    assert house.refused[0] == (write, CI, error.value)
    assert (len(house.registry), house.registry.index, house.log.commits) == (0, 0, [])


async def test_heartbeats_checks_and_what_time_brings_go_on_without_the_disk(house: House) -> None:
    instance = await house.engine.submit(Register(spec()))
    house.disk.fails = True
    await house.engine.submit(Checked(instance.id, "HTTP 503"))
    await house.engine.submit(Checked(instance.id, None))
    house.clock.now = START + TTL
    assert await house.engine.submit(Expire())
    house.engine.renew(KEY)
    house.clock.now += TTL + INTERVAL
    while await house.engine.submit(Expire()):
        pass
    assert house.log.kinds() == [
        Kind.REGISTERED, Kind.FAILING, Kind.HEALTHY, Kind.UNHEALTHY, Kind.HEALTHY, Kind.UNHEALTHY, Kind.EXPIRED,
    ]  # fmt: skip
    assert house.refused == []


async def test_a_write_is_answered_when_the_keepers_have_it_also_one_that_changes_nothing(house: House) -> None:
    """The second one repeats the first, which is not safe yet."""
    house.disk.held = asyncio.Event()
    writes = [asyncio.ensure_future(house.engine.submit(Register(spec()), CI)) for _ in range(2)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(house.registry) == len(house.log.commits) == 1
    assert not any(write.done() for write in writes)
    house.disk.held.set()
    first, second = await asyncio.gather(*writes)
    assert first == second


async def test_one_that_happened_but_could_not_be_kept_is_told_of_as_refused(house: House) -> None:
    house.disk.held = asyncio.Event()
    write = Register(spec())
    answer = asyncio.ensure_future(house.engine.submit(write, CI))
    await asyncio.sleep(0)
    house.disk.fails = True
    house.disk.held.set()
    with pytest.raises(NotDurable):
        await answer
    assert [(refused, by) for refused, by, _ in house.refused] == [(write, CI)]
    assert len(house.log.commits) == 1


async def test_of_many_one_that_is_refused_keeps_no_other_from_being_carried_out(house: House) -> None:
    results = await house.engine.submit_all([Register(spec(port=port)) for port in (80, 81, 82)], CI)
    assert [type(result) for result in results] == [Instance, Instance, ServiceFull]
    assert [commit.by for commit in house.log.commits] == [CI, CI]
    assert [type(error) for _, _, error in house.refused] == [ServiceFull]
    assert await house.engine.submit_all([]) == []


async def test_many_are_made_safe_together(house: House) -> None:
    house.disk.held = asyncio.Event()
    answer = asyncio.ensure_future(house.engine.submit_all([Register(spec(port=port)) for port in (80, 81)]))
    for _ in range(5):
        await asyncio.sleep(0)
    assert (len(house.registry), answer.done()) == (2, False)
    house.disk.held.set()
    assert len(await answer) == 2


async def test_others_have_their_turn_between_many(house: House) -> None:
    house.registry.adopt(house.registry.settings._replace(max_instances_per_service=2000))
    seen: list[int] = []

    async def watch() -> None:
        while len(house.registry) < 2000:
            seen.append(len(house.registry))
            await asyncio.sleep(0)

    watching = asyncio.ensure_future(watch())
    await house.engine.submit_all([Register(spec(port=port)) for port in range(1, 2001)])
    await watching
    assert len(set(seen)) > 3, "a turn has 2 ms, and each write takes some 10 µs"


def test_it_leads_and_without_keepers_all_is_safe() -> None:
    engine = LocalEngine(a_registry(), Clock(), Clock())
    assert engine.leads
    assert engine.safe == float("inf")


def test_it_is_as_safe_as_the_slowest_keeper(house: House) -> None:
    house.disk.safe = 4
    assert house.engine.safe == 4


async def test_what_does_not_fit_is_a_defect_of_which_its_writer_is_told_and_nobody_else(house: House) -> None:
    instance = await house.engine.submit(Register(spec()))
    told, index = list(house.log.commits), house.registry.index
    del house.registry._by_id[instance.id]
    [misfit] = house.engine.concerns()
    assert not misfit.check()
    with pytest.raises(DoesNotFit):
        await house.engine.submit(Drain(instance.spec.key, True, "asked"))
    assert (house.log.commits, house.registry.index) == (told, index)
    assert "does not fit" in str(misfit.check())
    assert house.engine.not_ready() is None
    await house.engine.submit(Register(spec("api")))
