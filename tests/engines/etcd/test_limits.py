"""One truth: all nodes have the same, and a limit holds over all of them."""

from __future__ import annotations

import asyncio
import time

from discovery.core.event import Commit
from discovery.store.errors import ServiceFull
from tests.engines.etcd.cluster import EtcdCluster, nodes_of
from tests.waiting import until


async def test_what_one_node_registers_all_have_with_the_same_index(etcd: EtcdCluster) -> None:
    async with nodes_of(etcd, 3, ttl=600.0) as nodes:
        instance = await nodes[0].register("web", "10.0.0.1", tags=["blue"], metadata={"version": 2**70})
        await until(lambda: all(node.state == {instance.id: instance} for node in nodes))
        assert len({node.registry.index for node in nodes}) == 1
        assert len({node.registry.index_of("web") for node in nodes}) == 1
        await nodes[1].deregister(instance.id)
        await until(lambda: all(not node.state for node in nodes))
        assert len({node.registry.index for node in nodes}) == 1


async def test_40_racers_on_four_nodes_for_ten_places_get_exactly_ten(etcd: EtcdCluster) -> None:
    async with nodes_of(etcd, 4, ttl=600.0) as nodes:
        for number in range(20):
            name = f"svc{number}"
            results = await asyncio.gather(
                *(nodes[racer % 4].register(name, f"10.0.{number}.{racer + 1}") for racer in range(40)),
                return_exceptions=True,
            )
            refused = [result for result in results if isinstance(result, BaseException)]
            assert all(isinstance(error, ServiceFull) for error in refused)
            assert len(refused) == 30
            await until(lambda name=name: all(len(node.served(name)) == 10 for node in nodes))  # type: ignore[misc]


async def test_what_one_node_registers_another_has_at_once_and_not_with_the_next_batch(etcd: EtcdCluster) -> None:
    batch = 10.0
    async with nodes_of(etcd, 2, ttl=600.0, flush=batch) as (near, far):
        arrived: dict[int, float] = {}

        def note(commit: Commit) -> None:
            arrived[commit.index] = time.perf_counter()

        far.registry.followers.append(note)
        took = []
        for number in range(20):
            started = time.perf_counter()
            await near.register(f"svc{number}", "10.0.0.1")
            index = near.registry.index
            await until(lambda index=index: index in arrived)  # type: ignore[misc]
            took.append(arrived[index] - started)
        took.sort()
        print(f"register here, in the table there: p50 {took[10] * 1000:.1f} ms, max {took[-1] * 1000:.1f} ms")
        assert took[10] < batch / 4
