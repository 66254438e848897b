"""The engine of a single process: each write is applied at its clock's time, and gives or raises what the registry does."""

from __future__ import annotations

import pytest

from discovery.core.change import Kind
from discovery.core.instance import Key
from discovery.engines.local import LocalEngine
from discovery.store.engine import Engine
from discovery.store.errors import ServiceFull, UnknownInstance, UnknownService
from discovery.store.registry import Registry
from discovery.store.writes import Deregister, DeregisterService, Register, Write
from tests.store.making import START, TTL, WALL, Log, a_registry, spec

KEY = Key("web", "10.0.0.1", 80)


class Clock:
    """Stands still until it is set."""

    now = START

    def __call__(self) -> float:
        return self.now


class House:
    """A registry, its log, and an engine before it."""

    def __init__(self) -> None:
        self.registry: Registry = a_registry(max_instances=2)
        self.log = Log.of(self.registry)
        self.clock = Clock()
        self.engine: Engine = LocalEngine(self.registry, self.clock)


@pytest.fixture
def house() -> House:
    return House()


async def test_it_is_loaded_once_it_is_open(house: House) -> None:
    house.registry.loaded = False
    await house.engine.open()
    assert house.registry.loaded
    assert house.log.changes == []


async def test_a_registration_is_the_truth_when_submit_returns(house: House) -> None:
    await house.engine.open()
    entry = await house.engine.submit(Register(spec(), WALL))
    assert house.registry.by_id(entry.instance.id) is entry
    assert (entry.instance.registered_at, entry.lease.expires_at) == (WALL, START + TTL)
    assert house.log.kinds() == [Kind.REGISTERED]
    await house.engine.close()


async def test_a_heartbeat_counts_from_the_time_it_is_applied(house: House) -> None:
    await house.engine.submit(Register(spec(), WALL))
    house.clock.now = START + 4
    entry = house.engine.renew(KEY)
    assert entry.lease.expires_at == START + 4 + TTL


async def test_a_deregistration_gives_what_was_removed(house: House) -> None:
    entry = await house.engine.submit(Register(spec(), WALL))
    assert await house.engine.submit(Deregister(KEY, "because")) == entry.instance
    assert [(change.kind, change.reason) for change in house.log.changes[1:]] == [(Kind.DEREGISTERED, "because")]


async def test_a_service_leaves_whole(house: House) -> None:
    for port in (80, 81):
        await house.engine.submit(Register(spec(port=port), WALL))
    removed = await house.engine.submit(DeregisterService("WEB", "because"))
    assert [instance.spec.port for instance in removed] == [80, 81]
    assert {change.reason for change in house.log.changes[2:]} == {"because"}
    assert len(house.registry) == 0


async def test_it_raises_what_the_registry_raises(house: House) -> None:
    with pytest.raises(UnknownInstance):
        house.engine.renew(KEY)
    with pytest.raises(UnknownInstance):
        await house.engine.submit(Deregister(KEY, "because"))
    with pytest.raises(UnknownService):
        await house.engine.submit(DeregisterService("web", "because"))
    for port in (80, 81):
        await house.engine.submit(Register(spec(port=port), WALL))
    with pytest.raises(ServiceFull):
        await house.engine.submit(Register(spec(port=82), WALL))
    assert len(house.log.changes) == 2


@pytest.mark.parametrize(
    "write",
    [Register(spec(), WALL), Deregister(KEY, "a"), DeregisterService("web", "a")],
    ids=lambda write: type(write).__name__,
)
async def test_a_write_is_a_value(write: Register | Deregister | DeregisterService) -> None:
    fields = {name: getattr(write, name) for name in type(write).__slots__}
    assert type(write)(**fields) == write
    assert hash(type(write)(**fields)) == hash(write)
    name = next(iter(fields))
    with pytest.raises(AttributeError):
        setattr(write, name, fields[name])


async def test_the_same_writes_at_the_same_times_make_the_same_registry() -> None:
    """So that a write can be kept, or sent to another process, and applied there."""
    writes: list[Write[object]] = [
        Register(spec(), WALL),
        Register(spec(tags=["a"]), WALL + 1),
        Deregister(KEY, "a"),
    ]
    here, there = House(), House()
    for house in (here, there):
        for now, write in enumerate(writes, int(START)):
            write.apply(house.registry, float(now))
    assert here.log.changes == there.log.changes
    assert len(here.log.changes) == 3
