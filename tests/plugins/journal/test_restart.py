"""Restart: what is restored is what was, with full leases and an index that never goes back, after a close and after a kill."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path

import pytest

from discovery.core.caller import Caller, Grants
from discovery.core.event import Kind
from discovery.core.instance import Instance, Key, Registration
from discovery.core.maintenance import Scope, Window
from discovery.core.status import Status
from discovery.plugins.journal.files import FILE
from discovery.store.errors import Deregistered, UnknownInstance
from discovery.store.operations import ChangeSettings, Maintain
from discovery.store.registration import Upsert
from tests.plugins.journal.house import House, Time, known, last_index, living
from tests.plugins.journal.making import a_kept, an_instance, an_old_file, content, copy
from tests.store.making import START, TTL, WALL, spec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def test_what_is_restored_is_what_was(folder: Path) -> None:
    time = Time()
    async with living(folder, time) as house:
        for number in range(60):
            time.pass_by(0.125)
            name = f"Service-{number % 7}"
            await house.register(spec(name, port=number + 1, tags=["a"], zone="z", ttl=5, metadata={"n": number}))
        await house.register(spec("own", id="my-own-id"))
        for number in (3, 30, 59):
            await house.deregister(spec(f"service-{number % 7}", port=number + 1).key)
        await house.drain(spec("service-1", port=2).key)
        await house.drain(spec("service-2", port=3).key)
        await house.drain(spec("service-2", port=3).key, False)
        await house.register(spec("SERVICE-4", port=5, metadata={"n": "new"}))
        await house.maintain(Scope("service-5"), Window("because", time.wall + 600))
        wide = await house.register(spec("Orders DB / eu", "Db.example.com.", None, ttl=5))
        await house.register(spec("Orders DB / eu", "db.example.com", 80, ttl=5))
        await house.maintain(Scope.of(wide.instance.spec.key), Window("a new disk", time.wall + 600))
        before = known(house.registry)
        windows, index = dict(house.registry.windows), house.registry.index
    assert sum(instance.draining for instance in before) == 1
    time.pass_by(2)
    async with living(folder, time) as house:
        assert list(map(a_kept, known(house.registry))) == list(map(a_kept, before))
        assert dict(house.registry.windows) == windows
        assert house.registry.index >= index
        for entry in house.registry:
            assert entry.lease.renewed_at == time.now
            assert entry.lease.ttl == (TTL if entry.instance.spec.ttl is None else 5)
            wanted = Status.DRAINING if entry.instance.draining else Status.HEALTHY
            wanted = Status.MAINTENANCE if house.registry.window(entry.instance) else wanted
            assert entry.status is wanted
        for service in house.registry.services.values():
            assert all(entry.instance.spec.name == service.name for entry in service.entries.values())
        assert house.registry.at("my-own-id").instance.spec.name == "own"
        assert set(house.log.kinds()) == {Kind.RESTORED}


async def test_a_tombstone_outlives_the_restart_for_what_is_left_of_it(folder: Path) -> None:
    time = Time()
    key = spec().key
    async with living(folder, time) as house:
        await house.register(spec())
        await house.deregister(key)
    time.pass_by(4)
    async with living(folder, time) as house:
        assert house.registry.buried(key, time.now) == TTL - 4
        with pytest.raises(UnknownInstance):
            house.engine.renew(key)
        with pytest.raises(Deregistered):
            await house.engine.submit(Upsert(spec()))
    time.pass_by(7)
    async with living(folder, time) as house:
        assert house.registry.buried(key, time.now) == 0
        await house.engine.submit(Upsert(spec()))


async def test_who_registered_again_and_expired_is_not_buried(folder: Path) -> None:
    time = Time()
    async with living(folder, time) as house:
        await house.register(spec(ttl=60))
        await house.deregister(spec().key)
        await house.register(spec(ttl=1))
        for _ in range(2):
            time.pass_by(7)
            house.registry.advance(time.now, 100)
        assert len(house.registry) == 0
        assert house.registry.buried(spec().key, time.now) == 0
    async with living(folder, time) as house:
        assert house.registry.buried(spec().key, time.now) == 0


async def test_old_tombstones_do_not_pile_up(folder: Path) -> None:
    time = Time()
    async with living(folder, time) as house:
        for turn in range(300):
            time.pass_by(5)
            await house.register(spec(port=turn + 1))
            await house.deregister(spec(port=turn + 1).key)
        await house.settled()
        kept = len(content(copy(folder, folder / "copy") / FILE).tombstones)
    assert kept <= 100


async def test_a_window_ends_at_its_time_whatever_happened_between(folder: Path) -> None:
    time = Time()
    async with living(folder, time) as house:
        await house.register(spec(ttl=3600))
        await house.maintain(Scope("web"), Window("because", time.wall + 100))
    time.pass_by(60)
    async with living(folder, time) as house:
        assert next(iter(house.registry)).status is Status.MAINTENANCE
        time.pass_by(39)
        house.registry.advance(time.now, 100)
        assert next(iter(house.registry)).status is Status.MAINTENANCE
        time.pass_by(1)
        house.registry.advance(time.now, 100)
        assert next(iter(house.registry)).status is Status.HEALTHY
    async with living(folder, time) as house:
        assert not house.registry.windows


async def test_the_index_goes_on_where_it_was_after_a_close(folder: Path) -> None:
    index = 0
    for _ in range(4):
        async with living(folder) as house:
            assert index <= house.registry.index <= index + 1
            await house.register(spec("web"))
            await house.deregister(spec("web").key)
            index = house.registry.index


async def test_an_index_that_began_higher_stays(folder: Path) -> None:
    async with living(folder, index=1000) as house:
        await house.register(spec())
    async with living(folder, index=5_000_000) as house:
        index = house.registry.index
        assert index >= 5_000_000
    async with living(folder, index=1000) as house:
        assert index <= house.registry.index <= index + 1


async def test_a_file_of_the_first_format_is_restored(folder: Path) -> None:
    an_old_file(folder, 30)
    instances = [an_instance(number) for number in range(30)]
    async with living(folder) as house:
        assert list(map(a_kept, known(house.registry))) == instances
        assert house.registry.index >= 4711
        await house.maintain(Scope("service-1"), Window("because", WALL + 60))
    async with living(folder) as house:
        assert list(map(a_kept, known(house.registry))) == instances
        assert len(house.registry.windows) == 1


# -- killed at any moment


# What is kept of one address: the instance, the window of maintenance, and whether it was deregistered lately.
State = tuple[Instance | None, Window | None, bool]


class Owner:
    """Writes one instance's life, one step after another. `states[i]`: what the registry knew after step i."""

    def __init__(self, number: int, chosen: random.Random) -> None:
        self.key = Key(f"service-{number % 5}", "10.0.0.1", 3000 + number)
        self.scope = Scope.of(self.key)
        self.states: list[State] = [(None, None, False)]
        self.acknowledged = 0
        self._random = chosen

    def state(self, house: House) -> State:
        entry, windows = house.registry.find(self.key), house.registry.windows
        kept = None if entry is None else a_kept(entry.instance)
        return kept, windows.get(self.scope), house.registry.buried(self.key, house.time.now) > 0

    def spec(self) -> Registration:
        key = self.key
        return spec(key.service, key.ip, key.port, metadata={"step": len(self.states)}, ttl=60)

    async def step(self, house: House) -> None:
        instance, window, _ = self.states[-1]
        writes: list[Callable[[], Coroutine[None, None, object]]] = [lambda: house.register(self.spec())]
        if window is not None:
            writes.append(lambda: house.end_maintenance(self.scope))
        if instance is not None:
            writes += [
                lambda: house.maintain(self.scope, Window(f"step {len(self.states)}", WALL + 600)),
                lambda: house.drain(self.key),
                lambda: house.drain(self.key, False),
                lambda: house.deregister(self.key),
            ]
        writing = asyncio.create_task(self._random.choice(writes)())
        await asyncio.sleep(0)  # it is applied now, and waits for the disk
        self.states.append(self.state(house))
        step = len(self.states) - 1
        await writing
        self.acknowledged = step


async def test_a_kill_at_any_moment_loses_nothing_that_was_acknowledged(folder: Path, tmp_path: Path) -> None:
    chosen = random.Random(12)
    owners = [Owner(number, chosen) for number in range(20)]
    killed: list[tuple[Path, int, list[tuple[int, int]]]] = []

    async def live(house: House, owner: Owner, steps: int) -> None:
        for _ in range(steps):
            await owner.step(house)

    async def kill(house: House, times: int) -> None:
        for number in range(times):
            for _ in range(chosen.randrange(12)):
                await asyncio.sleep(0)
            before = [owner.acknowledged for owner in owners]
            told = last_index(house.log.changes)
            left = copy(folder, tmp_path / f"killed-{number}")
            killed.append(
                (left, told, [(least, len(owner.states)) for least, owner in zip(before, owners, strict=True)])
            )
            await asyncio.sleep(0.002)

    async with living(folder, index=1000) as house:
        await asyncio.gather(kill(house, 40), *(live(house, owner, 25) for owner in owners))
    print(f"{len(killed)} kills within {sum(len(owner.states) for owner in owners)} writes")
    half = 0
    for left, told, spans in killed:
        async with living(left, Time(START + 5)) as after:
            assert after.registry.index >= told
            half += sum(least + 1 < most for least, most in spans)
            check(after, owners, spans)
    assert half > 20, "hardly anything was under way"


def check(after: House, owners: Sequence[Owner], spans: Sequence[tuple[int, int]]) -> None:
    for owner, (least, most) in zip(owners, spans, strict=True):
        found = owner.state(after)
        assert found in owner.states[least:most], owner.key
        if found[0] is not None:
            assert after.registry.at(found[0].id).lease.renewed_at == after.time.now


async def test_a_window_that_ended_while_the_process_was_away_may_be_opened_again(folder: Path) -> None:
    """The file must not have two for one scope afterwards, and not the token of the first."""
    time, scope = Time(), Scope("web")
    ci = Caller("10.0.0.1", "ci", Grants(register=("*",)))
    async with living(folder, time) as house:
        entry = await house.register(spec(ttl=3600))
        own = Scope.of(entry.instance.spec.key)
        await house.maintain(scope, Window("first", time.wall + 60))
        await house.engine.submit(Maintain(own, Window("first", time.wall + 60)), ci)
    time.pass_by(61)
    async with living(folder, time) as house:
        assert not house.registry.windows
        await house.maintain(scope, Window("second", time.wall + 60))
        await house.maintain(own, Window("second", time.wall + 60))
    async with living(folder, time) as house:
        assert {window.reason for window in house.registry.windows.values()} == {"second"}
        assert {window.by for window in house.registry.windows.values()} == {""}


async def test_the_drains_of_two_that_had_one_id_after_the_other_are_both_remembered(folder: Path) -> None:
    time = Time()
    async with living(folder, time) as house:
        for ip in ("10.0.0.1", "10.0.0.2"):
            entry = await house.register(spec(ip=ip, id="web-1"))
            await house.drain(entry.instance.id)
            time.pass_by(TTL + 20)
            house.registry.advance(time.now, wall=time.wall)
            assert len(house.registry) == 0
    async with living(folder, time) as house:
        for ip in ("10.0.0.1", "10.0.0.2"):
            assert (await house.register(spec(ip=ip))).status is Status.DRAINING
        assert len(house.registry.drains) == 0


async def test_what_was_restored_is_safe_so_an_unchanged_whole_heartbeat_is_no_write(folder: Path) -> None:
    async with living(folder) as house:
        await house.register(spec())
    async with living(folder) as house:
        assert house.registry.at(spec().key).index <= house.engine.safe


async def test_a_restart_with_other_settings_is_one_event_and_the_next_one_with_the_same_is_none(folder: Path) -> None:
    async with living(folder) as house:
        entry = await house.register(spec())
        assert not [change for change in house.log.commits if change.action == ChangeSettings.action]
    async with living(folder, lease_ttl=40.0, max_instances=7) as house:
        [commit] = [commit for commit in house.log.commits if commit.action == ChangeSettings.action]
        [event] = commit.events
        assert event.name == "settings-changed"
        assert (
            event.reason
            == f"HEARTBEAT_TIMEOUT_SECONDS was {TTL:g} and is 40, MAX_INSTANCES_PER_SERVICE was 1,000 and is 7"
        )
        assert house.registry.at(entry.instance.id).lease.ttl == 40.0
        await house.settled()
    async with living(folder, lease_ttl=40.0, max_instances=7) as house:
        assert not [commit for commit in house.log.commits if commit.action == ChangeSettings.action]
