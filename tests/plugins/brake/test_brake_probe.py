"""The plugin between a registry and ports on loopback: processes that are gone leave, others stay, and who must not be asked is not."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from random import Random
from typing import Any

import pytest

from discovery.core.caller import Caller
from discovery.core.instance import Instance
from discovery.core.status import Probed, Status
from discovery.engines.local import LocalEngine
from discovery.plugins import Seams
from discovery.plugins.brake import BrakeProbe
from discovery.store.brake import Brake
from discovery.store.reaper import Reaper
from discovery.store.registration import Register
from tests.driven import DrivenRegistry
from tests.patient import clock
from tests.store.making import a_registry, spec
from tests.waiting import until

TTL = 0.5
LOOPBACK = Caller("127.0.0.1")


class House:
    def __init__(self, max_seconds: float = 60.0) -> None:
        self.ahead = -60.0  # of the wall: all that is registered now has beaten for a while later
        self.passed = 0.0  # seconds that nobody was run in
        brake = Brake(30, max_seconds, 1.0, TTL, Random(1))
        self.registry: DrivenRegistry = a_registry(
            lease_ttl=TTL, started_at=self.clock(), brake=brake, max_instances=1000, cleanup_interval=60.0
        )
        self.plugin = BrakeProbe(self.registry, self.clock)
        self.seams = Seams(followers=self.registry.followers)
        self.engine = LocalEngine(self.registry, self.clock, lambda: time.time() + self.ahead, self.seams)

    def clock(self) -> float:
        return clock() + self.passed

    async def register(self, port: int, by: Caller = LOOPBACK, name: str = "web", **fields: Any) -> Instance:
        return await self.engine.submit(Register(spec(name, **{"ip": "127.0.0.1", "port": port, **fields})), by)

    def status(self, instance: Instance) -> Status:
        return self.registry.at(instance.id).instance.status

    def probed(self, instance: Instance) -> Probed | None:
        return self.registry.at(instance.id).instance.probed

    @property
    def asked(self) -> int:
        stats = self.plugin.stats()["brakeProbe"]
        return int(stats["accepted"] + stats["refused"] + stats["unknown"])


@asynccontextmanager
async def house() -> AsyncIterator[House]:
    found = House()
    found.plugin.install(found.seams)
    await found.plugin.open(found.engine)
    reaper = Reaper(found.registry, found.engine, found.clock)
    reaper.start()
    try:
        yield found
    finally:
        reaper.stop()
        await found.plugin.close()


def nobodys_ports(stack: ExitStack, count: int) -> list[int]:
    """Bound, so that nobody else takes them, and not listening."""
    sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
    return [sock.getsockname()[1] for sock in sockets]


@pytest.fixture
def gone() -> Any:
    with ExitStack() as stack:
        yield nobodys_ports(stack, 30)


async def test_whose_port_refuses_is_out_and_whose_accepts_is_first_of_the_suspects(gone: list[int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with house() as found:
            dead = [await found.register(port) for port in gone[:3]]
            hung = await found.register(listening.getsockname()[1])
            found.ahead = 0.0
            await until(lambda: found.probed(hung) is Probed.ACCEPTED)
            await until(lambda: {found.status(each) for each in dead} == {Status.UNHEALTHY})
            late = found.clock() - max(found.registry.at(each.id).lease.expires_at for each in dead)
            print(f"out {late:.3f} s after their leases")
            service = found.registry.service("web")
            assert service is not None
            assert [each.instance for each in service.served(found.clock())] == [found.registry.at(hung.id).instance]
            assert found.asked == 4


async def test_nobody_is_asked_whom_a_stranger_registered_or_who_has_not_beaten_for_long(gone: list[int]) -> None:
    async with house() as found:
        others = [await found.register(port, Caller("10.0.0.9")) for port in gone[:3]]
        udp = [await found.register(port, protocol="udp", name="udp") for port in gone[3:6]]
        found.ahead = 0.0
        new = [await found.register(port, name="new") for port in gone[6:9]]
        dead = [await found.register(port, Caller("127.0.0.1", "ci"), name="dead") for port in gone[9:12]]
        for each in dead:
            entry = found.registry.at(each.id)
            entry.instance = entry.instance._replace(registered_at=time.time() - 60)
        await until(lambda: {found.status(each) for each in dead} == {Status.UNHEALTHY})
        assert {found.status(each) for each in [*others, *udp, *new]} == {Status.SUSPECT}
        assert found.asked == 3


async def test_one_that_is_held_and_makes_way_in_one_commit_keeps_nobody_else_from_being_asked(gone: list[int]) -> None:
    async with house() as found:
        found.registry.adopt(found.registry.settings._replace(max_instances_per_service=4))
        dead = [await found.register(port) for port in gone[:4]]
        found.ahead = 0.0
        found.passed += TTL  # nobody notices that their leases run out
        await found.register(gone[4])
        await until(lambda: [found.registry.find(each.id) is None for each in dead].count(True) == 1)
        left = [each for each in dead if found.registry.find(each.id) is not None]
        await until(lambda: {found.status(each) for each in left} == {Status.UNHEALTHY})


async def test_who_beats_again_is_healthy_though_its_port_refuses(gone: list[int]) -> None:
    async with house() as found:
        dead = [await found.register(port) for port in gone[:3]]
        found.ahead = 0.0
        await until(lambda: {found.status(each) for each in dead} == {Status.UNHEALTHY})
        for each in dead:
            found.engine.renew(each.id)
        assert {(found.status(each), found.probed(each)) for each in dead} == {(Status.HEALTHY, None)}


async def test_refusals_of_a_fifth_of_all_on_three_hosts_are_a_firewalls(gone: list[int]) -> None:
    async with house() as found:
        dead = [
            await found.register(port, Caller("127.0.0.1", "ci"), ip=f"127.0.0.{1 + number % 3}")
            for number, port in enumerate(gone[:24])
        ]
        found.ahead = 0.0
        await until(lambda: found.asked >= 24)
        await until(lambda: found.plugin.stats()["brakeProbe"]["inHand"] == 0)
        assert {(found.status(each), found.probed(each)) for each in dead} == {(Status.SUSPECT, None)}
        [firewall] = found.seams.concerns
        [said] = firewall.check().values()
        assert said.startswith("a fifth of all instances is silent and nearly all of their ports refuse: a firewall")


async def test_at_most_200_a_second_are_asked(gone: list[int]) -> None:
    async with house() as found:
        for number in range(300):
            await found.register(1 + number, Caller("127.0.0.1", "ci"), name=f"web-{number % 60}", ip="127.0.0.77")
        found.ahead = 0.0
        await until(lambda: found.asked > 0)
        started, before = found.clock(), found.asked
        await asyncio.sleep(0.5)
        late = 0.2  # that many seconds of a busy loop are made up for
        assert found.asked - before <= 200 * (found.clock() - started + late) + 4
        await until(lambda: found.asked >= 300)
