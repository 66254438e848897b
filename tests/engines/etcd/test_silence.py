"""Who falls silent is gone in time, at every node."""

from __future__ import annotations

import asyncio
import time

from discovery.core.instance import Key
from tests.engines.etcd.cluster import FLUSH, TTL, EtcdCluster, nodes_of
from tests.waiting import until


async def test_the_silent_of_300_are_gone_in_time_each_once_and_nobody_else(etcd: EtcdCluster) -> None:
    async with nodes_of(etcd, 3, limit=300) as nodes:
        ips = [f"10.1.{number // 200}.{number % 200 + 1}" for number in range(300)]
        await asyncio.gather(*(nodes[i % 3].register(f"svc{i % 30}", ip) for i, ip in enumerate(ips)))
        keys = [Key(f"svc{i % 30}", ip, 3000) for i, ip in enumerate(ips)]
        for i, key in enumerate(keys):
            nodes[i % 3].beats.add(key)
        await until(lambda: all(len(node.registry) == 300 for node in nodes))
        await asyncio.sleep(TTL)
        dead, silent_at = keys[:50], time.monotonic()
        for i, key in enumerate(dead):
            nodes[i % 3].beats.discard(key)
        left = {key.ip for key in keys[50:]}

        def served(node: object) -> set[str]:
            return set().union(*(node.served(f"svc{n}") for n in range(30)))  # type: ignore[attr-defined]

        await until(lambda: all(served(node) == left for node in nodes))
        took = time.monotonic() - silent_at
        assert took <= TTL + 2 * FLUSH + 20, "half a second where nobody else uses the machine"
        await until(lambda: all(len(node.registry) == 250 for node in nodes))
        for node in nodes:
            gone = [id for _, kind, id in node.events if kind == "expired"]
            assert len(gone) == len(set(gone)) == 50
        print(f"50 of 300 gone after {took:.2f} s")
