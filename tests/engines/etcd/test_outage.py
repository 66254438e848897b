"""All of etcd is away for a while."""

from __future__ import annotations

import asyncio

import pytest

from discovery.core.instance import Key
from discovery.engines.etcd.gateway import CALL_SECONDS
from discovery.engines.etcd.messages import EtcdAway
from discovery.engines.etcd.presence import Presence
from discovery.store.errors import EngineAway
from tests.engines.etcd.cluster import TTL, EtcdCluster, Node, Proxy, nodes_of, to_register
from tests.patient import clock
from tests.ports import free_port
from tests.waiting import until


async def test_while_all_of_etcd_is_away_reads_go_on_and_afterwards_exactly_the_dead_go(three: EtcdCluster) -> None:
    async with nodes_of(three, 3, limit=100) as nodes:
        ips = [f"10.3.0.{number + 1}" for number in range(60)]
        await asyncio.gather(*(nodes[i % 3].register("web", ip) for i, ip in enumerate(ips)))
        keys = [Key("web", ip, 3000) for ip in ips]
        for i, key in enumerate(keys):
            nodes[i % 3].beats.add(key)
        await until(lambda: all(len(node.served("web")) == 60 for node in nodes))
        await asyncio.sleep(TTL)
        three.kill()
        dead = keys[:20]
        for i, key in enumerate(dead):
            nodes[i % 3].beats.discard(key)
        left = {key.ip for key in keys[20:]}
        ends = clock() + 10
        while clock() < ends:
            assert all(left <= node.served("web") for node in nodes)
            await asyncio.sleep(0.1)
        assert all(node.engine.not_ready() for node in nodes)
        with pytest.raises(EngineAway):
            await nodes[0].once(to_register("other", "10.9.9.9"))
        await three.start()
        await until(lambda: all(node.engine.not_ready() is None for node in nodes))
        healed = clock()

        def exact() -> bool:
            assert all(left <= node.served("web") for node in nodes), "nobody healthy was lost"
            return all(node.served("web") == left and len(node.registry) == 40 for node in nodes)

        await until(exact)
        print(f"exactly the 20 dead gone {clock() - healed:.1f} s after etcd was back")
        ends = clock() + TTL
        while clock() < ends:
            assert exact()
            await asyncio.sleep(0.1)


async def test_a_node_that_starts_while_etcd_has_no_time_asks_again(proxy: Proxy) -> None:
    """As on a machine that starts: its connections are taken, and nothing comes back."""
    proxy.blackhole()
    node = Node("early", proxy.urls)
    starting = asyncio.create_task(node.start())
    await asyncio.wait([starting], timeout=1.5 * CALL_SECONDS)
    proxy.heal()
    await starting
    await node.stop()


async def test_a_node_that_has_read_all_and_gets_its_leases_late_has_each_instance_once(
    etcd: EtcdCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, renew = EtcdAway("no etcd member answers"), Presence.renew_leases
    late.is_late = True
    async with nodes_of(etcd, 1, ttl=600.0) as (first,):
        instance = await first.register("web", "10.0.0.1")
        answers = iter([late])

        async def renewed(presence: Presence) -> None:
            for error in answers:
                raise error
            await renew(presence)

        node = Node("late", etcd.urls, ttl=600.0)
        with monkeypatch.context() as patch:
            patch.setattr(Presence, "renew_leases", renewed)
            await node.start()
        try:
            assert [id for _, _, id in node.events] == [instance.id]
            assert node.registry.living == 1
        finally:
            await node.stop()


async def test_a_node_that_starts_while_etcd_is_away_says_so_and_leaves_nothing_open() -> None:
    node = Node("early", [f"http://127.0.0.1:{free_port()}"])
    with pytest.raises(EngineAway, match="no etcd member answers"):
        await node.start()
    session = node.engine._etcd._session
    assert session is not None
    assert session.closed
