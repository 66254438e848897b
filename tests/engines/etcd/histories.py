"""The history of 8 clients that write at 3 nodes while links, nodes and members fail; and whether it is linearizable, service by service.

python -m tests.engines.etcd.histories --seconds 60 --seed 1
"""

from __future__ import annotations

import argparse
import asyncio
import math
import signal
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from random import Random

from discovery.core.errors import DiscoveryError
from discovery.core.instance import Key
from discovery.store.errors import ServiceFull, UnknownInstance
from discovery.store.registration import Deregister
from tests.engines.etcd.cluster import EtcdCluster, Node, Proxy, cluster_of, to_register
from tests.engines.etcd.linearizability import Call, is_linearizable, service_of
from tests.waiting import until

CLIENTS, NODES, SERVICES = 8, 3, 4
# Of a service: as many may be registered, and so many want to.
LIMIT, WANT = 3, 6
# Seconds after which a client no longer waits for an answer.
PATIENCE = 8.0


class Histories:
    """`of`: the calls about each service."""

    def __init__(self, etcd: EtcdCluster, seed: int) -> None:
        self.of: dict[str, list[Call]] = defaultdict(list)
        self.done: Counter[str] = Counter()
        self._etcd = etcd
        self._random = Random(seed)
        self._nodes: list[Node] = []
        self._proxies: list[list[Proxy]] = []
        self._made = 0
        self._over = asyncio.Event()

    async def start(self) -> None:
        for _ in range(NODES):
            await self._add_node()

    async def _add_node(self) -> None:
        """Its two ways to etcd lead through proxies: what was sent on one is tried again on the other."""
        members = self._random.sample(self._etcd.members, 2)
        proxies = [Proxy(member.client) for member in members]
        for proxy in proxies:
            await proxy.start()
        node = Node(f"n{self._made}", [proxy.url for proxy in proxies], limit=LIMIT, ttl=600.0)
        self._made += 1
        await node.start()
        self._nodes.append(node)
        self._proxies.append(proxies)

    # -- clients

    async def run(self, seconds: float) -> None:
        clients = [asyncio.create_task(self._client(Random(self._random.random()))) for _ in range(CLIENTS)]
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            await self._fault()
            await asyncio.sleep(self._random.uniform(0.2, 0.8))
        self._over.set()
        await asyncio.gather(*clients)
        await self._heal()
        await self._read_all()

    async def _client(self, random: Random) -> None:
        while not self._over.is_set():
            service, ip = f"svc{random.randrange(SERVICES)}", f"10.0.0.{random.randrange(WANT) + 1}"
            action = "register" if random.random() < 0.6 else "deregister"
            node = random.choice(self._nodes)
            start = time.monotonic()
            outcome = await self._outcome(node, action, service, ip)
            self.of[service].append(Call(start, math.inf if outcome is None else time.monotonic(), action, ip, outcome))
            self.done[f"{action} {outcome}"] += 1
            await asyncio.sleep(random.uniform(0, 0.08) if outcome else 0.3)

    async def _outcome(self, node: Node, action: str, service: str, ip: str) -> str | None:
        try:
            async with asyncio.timeout(PATIENCE):
                if action == "register":
                    await node.once(to_register(service, ip))
                else:
                    await node.once(Deregister(Key(service, ip, 3000), "a test asks for it"))
        except ServiceFull:
            return "full"
        except UnknownInstance:
            return "unknown"
        except (DiscoveryError, TimeoutError):  # it was not answered: it may have happened, and may yet happen
            return None
        return "ok"

    # -- faults

    async def _fault(self) -> None:
        match self._random.choice(
            ["cut", "blackhole", "blackhole", "slow", "kill member", "stop member", "kill node", ""]
        ):
            case "kill member":
                member = self._random.choice(self._etcd.members)
                member.kill()
                await self._pause()
                member.start(self._etcd.members)
            case "stop member":
                member = self._random.choice(self._etcd.members)
                member.send(signal.SIGSTOP)
                await self._pause()
                member.send(signal.SIGCONT)
            case "kill node":
                number = self._random.randrange(NODES)
                node, proxies = self._nodes[number], self._proxies[number]
                await node.kill()
                await asyncio.gather(*(proxy.close() for proxy in proxies))
                del self._nodes[number], self._proxies[number]
                await self._add_node()
            case "":
                await self._pause()
            case how:
                proxy = self._random.choice(self._random.choice(self._proxies))
                if how == "cut":
                    proxy.cut()
                elif how == "blackhole":
                    proxy.blackhole()
                else:
                    proxy.delay = 1.2  # what was sent arrives, and the answer comes too late
                await self._pause()
                proxy.delay = 0.0
                proxy.heal()

    async def _pause(self) -> None:
        await asyncio.sleep(self._random.uniform(0.3, 1.5))

    async def _heal(self) -> None:
        await self._etcd.ready()
        await until(lambda: all(node.engine.not_ready() is None for node in self._nodes))
        await until(lambda: len({node.registry.index for node in self._nodes}) == 1)

    async def _read_all(self) -> None:
        """At the end all nodes are asked: what they have must be explained too."""
        now = time.monotonic()
        for service in self.of:
            for node in self._nodes:
                self.of[service].append(Call(now, now, "read", "", ",".join(sorted(node.served(service)))))

    async def stop(self) -> None:
        for node in self._nodes:
            await node.stop()
        for proxies in self._proxies:
            for proxy in proxies:
                await proxy.close()

    def not_linearizable(self) -> list[str]:
        """The services whose calls no order explains."""
        step = service_of(LIMIT)
        return [service for service, history in sorted(self.of.items()) if not is_linearizable(history, step)]


async def record(folder: Path, seconds: float, seed: int) -> Histories:
    async with cluster_of(folder, 3) as etcd:
        histories = Histories(etcd, seed)
        await histories.start()
        try:
            await histories.run(seconds)
        finally:
            await histories.stop()
        return histories


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        histories = asyncio.run(record(Path(folder), given.seconds, given.seed))
    print(dict(sorted(histories.done.items())))
    wrong = histories.not_linearizable()
    for service in wrong:
        print(service, *sorted(histories.of[service]), sep="\n  ")
    raise SystemExit(f"not linearizable: {', '.join(wrong)}" if wrong else 0)


if __name__ == "__main__":
    main()
