"""A member of etcd is killed or stands still."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from discovery.core.errors import DiscoveryError
from tests.engines.etcd.cluster import EtcdCluster, Node, leader_of, nodes_of, until


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_no_acknowledged_registration_is_lost_with_the_leader_of_etcd(
    three: EtcdCluster, how: signal.Signals
) -> None:
    async with nodes_of(three, 2, limit=1000, ttl=30.0) as nodes:
        acknowledged: set[str] = set()
        gaps: list[float] = []
        over = asyncio.Event()

        async def write(node: Node, number: int) -> None:
            last = time.monotonic()
            while not over.is_set():
                ip = f"10.{number}.{len(acknowledged) // 250}.{len(acknowledged) % 250 + 1}"
                try:
                    instance = await node.register(f"svc{number}", ip, 1 + len(acknowledged))
                except DiscoveryError:
                    await asyncio.sleep(0.02)
                    continue
                acknowledged.add(instance.id)
                gaps.append(time.monotonic() - last)
                last = time.monotonic()
                await asyncio.sleep(0.02)

        writers = [asyncio.create_task(write(node, number)) for number, node in enumerate(nodes)]
        await until(lambda: len(acknowledged) > 20)
        leader = await leader_of(three)
        leader.send(how)
        before = len(acknowledged)
        await until(lambda: len(acknowledged) > before + 20)
        over.set()
        await asyncio.gather(*writers)
        await until(lambda: all(acknowledged <= node.state.keys() for node in nodes))
        print(f"{how.name}: {len(acknowledged)} acknowledged, longest gap {max(gaps):.2f} s")
        assert max(gaps) <= 3.0
