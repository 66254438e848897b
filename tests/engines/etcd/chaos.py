"""Random loss and return of nodes, links and members under random writes; afterwards everything must add up.

    python -m tests.engines.etcd.chaos --seconds 60 --seed 1

Clients keep their instances alive at one node and move when it dies. At the end every mirror is equal to etcd and to the others, nothing
acknowledged is lost, and nobody who kept beating was ever expired.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from discovery.core import codec, exact_json
from discovery.core.errors import DiscoveryError
from discovery.core.instance import Instance, Key
from discovery.engines.etcd.messages import end_of
from discovery.store.operations import Drain
from discovery.store.registration import Deregister
from tests.engines.etcd.cluster import EtcdCluster, Node, Proxy, cluster_of, to_register
from tests.waiting import until

SERVICES = 8


class Chaos:
    def __init__(self, etcd: EtcdCluster, nodes: int, seed: int) -> None:
        self.etcd = etcd
        self.random = Random(seed)
        self.done: Counter[str] = Counter()
        self.alive: dict[str, Instance] = {}  # acknowledged, and its client beats
        self.gone: set[str] = set()  # acknowledged as deregistered
        self.unsure: set[str] = set()  # a deregistration was not acknowledged
        self.left: set[str] = set()  # its client has died
        self.expired: set[str] = set()
        self._count = nodes
        self._nodes: list[Node] = []
        self._proxies: list[Proxy] = []
        self._at: dict[str, Node] = {}
        self._down: dict[Node, float] = {}
        self._member_down: float | None = None
        self._ended = 0

    # -- nodes

    async def start(self) -> None:
        for _ in range(self._count):
            await self._add_node()

    async def _add_node(self) -> None:
        member = self.random.choice(self.etcd.members)
        proxy = Proxy(member.client)
        await proxy.start()
        # Its one way to etcd goes through the proxy, so that it can be cut off.
        node = Node(f"n{self._ended + len(self._nodes)}", [proxy.url], limit=100)
        node.registry.followers.append(self._follow)
        node.on_refused = lambda key, node=node: self._refused(key, node)  # type: ignore[misc]
        try:
            await node.start()
        except DiscoveryError:
            await proxy.close()
            raise
        self._nodes.append(node)
        self._proxies.append(proxy)

    def _follow(self, commit: object) -> None:
        for event in getattr(commit, "events", ()):
            if getattr(event, "kind", None) == "expired":
                self.expired.add(event.before.id)

    # -- what happens

    async def run(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self._heal_some()
            await self._step()
            await asyncio.sleep(self.random.uniform(0.0, 0.05))

    async def _step(self) -> None:
        draw = self.random.random()
        if draw < 0.55:
            await self._register()
        elif draw < 0.70:
            await self._deregister()
        elif draw < 0.78:
            await self._drain()
        elif draw < 0.86:
            self._die()
        elif draw < 0.89:
            self._cut()
        elif draw < 0.905:
            await self._kill_node()
        elif draw < 0.92:
            self._kill_member()

    async def _register(self) -> None:
        node = self.random.choice(self._nodes)
        number = self.random.randrange(250)
        try:
            name = f"svc{self.random.randrange(SERVICES)}"
            instance = await node.once(to_register(name, f"10.0.{number}.1", metadata={"n": number}))
        except DiscoveryError as error:
            self.done[f"register: {type(error).__name__}"] += 1
            return
        self.done["register"] += 1
        self.alive[instance.id] = instance
        self.left.discard(instance.id)
        self._beat_at(instance, self.random.choice(self._nodes))

    def _beat_at(self, instance: Instance, node: Node) -> None:
        before = self._at.pop(instance.id, None)
        if before is not None:
            before.beats.discard(instance.spec.key)
        self._at[instance.id] = node
        node.beats.add(instance.spec.key)

    def _refused(self, key: Key, node: Node) -> None:
        """As a client does: at once to the next node, until one takes it; if none does, it is at its own again later."""
        self.done["heartbeat refused"] += 1
        for id, at in list(self._at.items()):
            if at is node and self.alive[id].spec.key == key:
                others = [each for each in self._nodes if each is not node]
                for other in self.random.sample(others, len(others)):
                    try:
                        other.engine.renew(key)
                    except DiscoveryError:
                        continue
                    self._beat_at(self.alive[id], other)
                    break

    def _stop_beating(self, id: str) -> Instance:
        instance = self.alive.pop(id)
        self._at.pop(id).beats.discard(instance.spec.key)
        return instance

    async def _deregister(self) -> None:
        if not self.alive:
            return
        id = self.random.choice(list(self.alive))
        self._stop_beating(id)
        try:
            await self.random.choice(self._nodes).once(Deregister(id, "chaos"))
        except DiscoveryError as error:
            self.done[f"deregister: {type(error).__name__}"] += 1
            self.unsure.add(id)
        else:
            self.done["deregister"] += 1
            self.gone.add(id)

    async def _drain(self) -> None:
        if not self.alive:
            return
        id = self.random.choice(list(self.alive))
        try:
            await self.random.choice(self._nodes).once(Drain(id, self.random.random() < 0.5, "chaos"))
        except DiscoveryError as error:
            self.done[f"drain: {type(error).__name__}"] += 1
        else:
            self.done["drain"] += 1

    def _die(self) -> None:
        if self.alive:
            id = self.random.choice(list(self.alive))
            self._stop_beating(id)
            self.left.add(id)
            self.done["die"] += 1

    def _cut(self) -> None:
        number = self.random.randrange(len(self._nodes))
        if self._nodes[number] in self._down or len(self._down) > 1:
            return
        self._down[self._nodes[number]] = time.monotonic() + self.random.uniform(0.5, 5)
        if self.random.random() < 0.5:
            self._proxies[number].cut()
        else:
            self._proxies[number].blackhole()
        self.done["cut"] += 1

    async def _kill_node(self) -> None:
        """Its clients go elsewhere, and a new node comes."""
        number = self.random.randrange(len(self._nodes))
        node, proxy = self._nodes.pop(number), self._proxies.pop(number)
        self._down.pop(node, None)
        self._ended += 1
        await node.kill()
        await proxy.close()
        for id, at in list(self._at.items()):
            if at is node:
                self._beat_at(self.alive[id], self.random.choice(self._nodes))
        self.done["kill node"] += 1
        try:
            await self._add_node()
        except DiscoveryError:
            await self._later()

    async def _later(self) -> None:
        """A member is away; the node's one way to etcd may be to it."""
        for member in self.etcd.members:
            if not member.runs:
                member.start(self.etcd.members)
        self._member_down = None
        await until(self._add_node_if_it_answers)

    async def _add_node_if_it_answers(self) -> bool:
        try:
            await self._add_node()
        except DiscoveryError:
            return False  # the member that was drawn is still starting
        return True

    def _kill_member(self) -> None:
        if self._member_down is None:
            self.random.choice(self.etcd.members).kill()
            self._member_down = time.monotonic() + self.random.uniform(0.5, 3)
            self.done["kill member"] += 1

    def _heal_some(self, all: bool = False) -> None:
        now = time.monotonic()
        for node, proxy in zip(self._nodes, self._proxies, strict=True):
            if all or now > self._down.get(node, float("inf")):
                self._down.pop(node, None)
                proxy.heal()
        if self._member_down is not None and (all or now > self._member_down):
            self._member_down = None
            for member in self.etcd.members:
                if not member.runs:
                    member.start(self.etcd.members)

    # -- what must be true

    async def settle(self) -> None:
        self._heal_some(all=True)
        await until(lambda: all(node.engine.not_ready() is None for node in self._nodes))
        wanted = self.alive.keys()

        def right() -> bool:
            lost = {id for id in wanted if id in self.expired}
            assert not lost, f"expired, though their clients never stopped: {lost}"
            return all(
                wanted <= node.state.keys() and not (node.state.keys() - wanted - self.unsure) for node in self._nodes
            )

        await until(right, 60)
        await until(self._all_equal)
        assert not self.gone & self._nodes[0].state.keys()

    async def _all_equal(self) -> bool:
        found = (await self._nodes[0].engine._etcd.range(b"reg/i/", end_of(b"reg/i/"))).found
        truth = {each.key.decode().rsplit("/")[-1]: codec.instance(exact_json.loads(each.octets)) for each in found}
        indexes = {node.registry.index for node in self._nodes}
        return len(indexes) == 1 and all(node.state == truth for node in self._nodes)

    async def stop(self) -> None:
        for node in self._nodes:
            await node.stop()
        for proxy in self._proxies:
            await proxy.close()


async def run(folder: Path, seconds: float, seed: int, nodes: int = 3, members: int = 3) -> Chaos:
    async with cluster_of(folder, members) as etcd:
        chaos = Chaos(etcd, nodes, seed)
        await chaos.start()
        try:
            await chaos.run(seconds)
            await chaos.settle()
        finally:
            await chaos.stop()
        return chaos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--members", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        chaos = asyncio.run(run(Path(folder), given.seconds, given.seed, given.nodes, given.members))
    print(dict(sorted(chaos.done.items())), f"{len(chaos.alive)} alive, {len(chaos.expired)} expired, all equal")


if __name__ == "__main__":
    main()
