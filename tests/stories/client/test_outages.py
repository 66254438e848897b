"""The SDK through a restart, a failover, the death of all servers and a partition, beside a client that polls and believes what it gets."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from discovery.client import RegistryClient, RegistryError, Resolver, Service
from tests.ports import free_port
from tests.stories.client.relay import Relay
from tests.stories.process import LIMIT, Discovery, running

NAME = "api"
# Seconds. Whoever gets no core for a while loses no lease by it; and a third of it is less than the grace for a list that became empty.
LEASE = 6
# Seconds for one answer: a server that gets no core for a while is no outage.
TIMEOUT = 5.0
POLL_SECONDS = 1.0


class Poller:
    """What a client without the SDK does: it asks every second; an error is an empty list."""

    def __init__(self, url: str) -> None:
        self._registry = RegistryClient(url, timeout=TIMEOUT)
        self.ports: set[int] = set()
        self._task = asyncio.create_task(self._poll())

    async def _poll(self) -> None:
        while True:
            try:
                reply = await self._registry.request("GET", f"/resolve/{NAME}")
                self.ports = {each["port"] for each in reply.content["instances"]}
            except RegistryError:
                self.ports = set()
            await asyncio.sleep(POLL_SECONDS)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._registry.close()


class Beside:
    """Looks at both all the time. `emptied`: who has had an empty list. `seen`: when each first had a port, loop seconds."""

    def __init__(self, resolver: Resolver, poller: Poller) -> None:
        self.resolver, self.poller = resolver, poller
        self.emptied: set[str] = set()
        self.seen: dict[tuple[str, int], float] = {}
        self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while True:
            sdk = {each.port or 0 for each in await self.resolver.instances(NAME)}
            for who, ports in (("sdk", sdk), ("poller", self.poller.ports)):
                if not ports:
                    self.emptied.add(who)
                for port in ports:
                    self.seen.setdefault((who, port), time.monotonic())
            await asyncio.sleep(0.005)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(LIMIT):
            while not condition():
                await asyncio.sleep(0.005)
                if self._task.done():
                    self._task.result()

    async def both_know(self, *ports: int) -> None:
        await self.until(lambda: all((who, port) in self.seen for who in ("sdk", "poller") for port in ports))

    async def sdk_has(self, *ports: int) -> None:
        async with asyncio.timeout(LIMIT):
            while {each.port for each in await self.resolver.instances(NAME)} != set(ports):  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class World(AsyncExitStack):
    """Servers and clients that end together. Servers are started in a thread, so that the clients go on meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self._servers: dict[int, contextlib.ExitStack] = {}

    async def start(self, port: int, **settings: Any) -> Discovery:
        stack = self._servers[port] = contextlib.ExitStack()
        self.push_async_callback(asyncio.to_thread, stack.close)
        return await asyncio.to_thread(
            stack.enter_context, running(PORT=port, HEARTBEAT_TIMEOUT_SECONDS=LEASE, **settings)
        )

    async def stop(self, server: Discovery, signum: int) -> None:
        port = server.port
        await asyncio.to_thread(server.stop, signum)
        await asyncio.to_thread(self._servers.pop(port).close)

    async def serve(self, urls: str, *ports: int) -> list[Service]:
        return [await self.enter_async_context(Service(NAME, port, urls=urls, timeout=TIMEOUT)) for port in ports]

    async def look(self, urls: str, polled: str, *ports: int, silence: float = 40.0) -> Beside:
        """Both know these ports already."""
        resolver = await self.enter_async_context(Resolver(urls=urls, timeout=TIMEOUT, silence=silence))
        poller = Poller(polled)
        self.push_async_callback(poller.close)
        async with asyncio.timeout(LIMIT):
            while not (poller.ports >= set(ports) and len(await resolver.instances(NAME)) == len(ports)):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        beside = Beside(resolver, poller)
        self.push_async_callback(beside.close)
        return beside


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


async def test_a_change_is_known_sooner_than_by_asking_every_second_and_a_restart_empties_no_list() -> None:
    port = free_port()
    async with World() as world:
        server = await world.start(port)
        await world.serve(url(port), 1, 2)
        beside = await world.look(url(port), url(port), 1, 2)
        ahead = []
        for new in (11, 12, 13):
            await world.serve(url(port), new)
            await beside.both_know(new)
            ahead.append(beside.seen["poller", new] - beside.seen["sdk", new])
        assert sum(ahead) > 0, "by asking every second it takes half a second"
        assert beside.emptied == set()

        await world.stop(server, signal.SIGTERM)
        await beside.until(lambda: "poller" in beside.emptied)
        server = await world.start(port)  # it has kept nothing
        await world.serve(url(port), 21)
        await beside.both_know(21)
        await beside.sdk_has(1, 2, 11, 12, 13, 21)
        assert beside.emptied == {"poller"}


async def test_when_servers_die_one_after_the_other_the_last_good_list_stays(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    urls = f"{url(first)},{url(second)}"
    data = {"DATA_DIR": str(tmp_path / "data")}
    async with World() as world:
        one, other = await world.start(first, **data), await world.start(second)
        await world.serve(urls, 1, 2)
        beside = await world.look(urls, url(first), 1, 2)

        await world.stop(one, signal.SIGKILL)  # all go to the other, which has never heard of them
        await asyncio.to_thread(until_registered, other, {1, 2})
        await beside.sdk_has(1, 2)

        await world.stop(other, signal.SIGKILL)  # now nobody is left
        await beside.until(lambda: not beside.resolver._live and "poller" in beside.emptied)
        with pytest.raises(StopIteration) as done:  # a list that is known waits for nothing
            beside.resolver.instances(NAME).send(None)
        assert {each.port for each in done.value.value} == {1, 2}

        await world.start(first, **data)
        await world.serve(urls, 3)
        await beside.both_know(3)
        await beside.sdk_has(1, 2, 3)
        assert beside.emptied == {"poller"}


def until_registered(server: Discovery, ports: set[int]) -> None:
    deadline = time.monotonic() + LIMIT
    while {each["port"] for each in server.request("GET", f"/resolve/{NAME}").body["instances"]} != ports:
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_behind_a_partition_the_last_good_list_stays_and_what_was_missed_is_heard_afterwards() -> None:
    port = free_port()
    async with World() as world, Relay(port) as relay:
        await world.start(port)
        leaving, _ = await world.serve(url(port), 1, 2)
        beside = await world.look(relay.url, relay.url, 1, 2, silence=1.0)
        relay.cut()
        await leaving.close()
        await world.serve(url(port), 3)
        await beside.until(lambda: not beside.resolver._live and "poller" in beside.emptied)
        assert {each.port for each in await beside.resolver.instances(NAME)} == {1, 2}
        relay.heal()
        await beside.sdk_has(2, 3)
        assert beside.emptied == {"poller"}
