"""A node is cut off, or killed: nobody healthy is lost."""

from __future__ import annotations

import asyncio

from discovery.core.caller import NOBODY
from discovery.core.health import Finding, Health
from discovery.core.instance import Key, Registration
from discovery.store.engine import report_check
from discovery.store.registration import Upsert
from discovery.store.service import Entry
from tests.engines.etcd.cluster import TTL, EtcdCluster, Node, Proxy, nodes_of
from tests.patient import clock
from tests.waiting import until


async def test_a_cut_node_serves_all_and_loses_nobody_whose_heartbeats_it_has_heard(
    etcd: EtcdCluster, proxy: Proxy
) -> None:
    async with nodes_of(etcd, 2, limit=100) as nodes, nodes_of(proxy, 1, limit=100) as (lonely,):
        ips = [f"10.2.0.{number + 1}" for number in range(60)]
        await asyncio.gather(*(nodes[0].register("web", ip) for ip in ips))
        keys = [Key("web", ip, 3000) for ip in ips]
        lonely.beats |= set(keys[:20])
        nodes[0].beats |= set(keys[20:40])
        nodes[1].beats |= set(keys[40:])
        await until(lambda: len(lonely.served("web")) == 60)
        await asyncio.sleep(TTL)
        syncs = lonely.engine._mirror.syncs
        proxy.blackhole()
        dying = keys[40:50]
        nodes[1].beats -= set(dying)
        left = {key.ip for key in keys} - {key.ip for key in dying}
        ends = clock() + 10
        while clock() < ends:
            assert len(lonely.served("web")) == 60, "the cut node serves all"
            assert left <= nodes[0].served("web")
            await asyncio.sleep(0.1)
        await until(lambda: nodes[0].served("web") == nodes[1].served("web") == left)
        assert "suspect" in set(nodes[0].statuses("web").values())
        proxy.heal()
        ends = clock() + 3 * TTL
        while clock() < ends:
            assert all(left <= node.served("web") for node in (*nodes, lonely)), "nobody healthy was lost"
            await asyncio.sleep(0.1)
        await until(lambda: all(node.served("web") == left for node in (*nodes, lonely)))
        await until(lambda: set(nodes[0].statuses("web").values()) == {"healthy"})
        assert lonely.engine._mirror.syncs == syncs, "no full resync"


async def test_who_was_registered_at_a_node_that_is_cut_before_its_first_batch_is_not_lost(
    etcd: EtcdCluster, proxy: Proxy
) -> None:
    async with nodes_of(etcd, 2) as nodes, nodes_of(proxy, 1) as (lonely,):
        await until(lambda: all(len(node.engine.stats()["engine"]["nodes"]) == 2 for node in nodes))
        one = await lonely.register("web", "10.2.0.1")
        proxy.blackhole()
        lonely.beats.add(one.spec.key)
        await until(lambda: all(node.served("web") for node in nodes))
        ends = clock() + TTL + 4
        while clock() < ends:
            assert all(node.served("web") == {"10.2.0.1"} for node in (*nodes, lonely))
            await asyncio.sleep(0.05)
        proxy.heal()
        await until(lambda: all(set(node.statuses("web").values()) == {"healthy"} for node in nodes))


async def test_who_says_all_of_itself_with_each_beat_is_heard_by_all(etcd: EtcdCluster) -> None:
    async with nodes_of(etcd, 2) as nodes:
        spec = Registration.of("web", "10.2.0.1", 3000)
        ends = clock() + TTL + 3
        await nodes[0].submit(Upsert(spec))
        await until(lambda: all(node.served("web") for node in nodes))
        while clock() < ends:
            await nodes[0].submit(Upsert(spec))
            assert all(node.served("web") for node in nodes)
            await asyncio.sleep(TTL / 6)
        assert [kind for node in nodes for _, kind, _ in node.events] == ["registered"] * 2


async def test_reports_at_one_node_count_at_all_and_where_they_are_missing_all_take_it_out(etcd: EtcdCluster) -> None:
    """By two checks and without a lease, so that nothing but reports keeps it in the answers; reported at each node in turn."""
    async with nodes_of(etcd, 2) as nodes:
        checks = [{"id": "db", "ttl": TTL}, {"id": "queue", "ttl": TTL}]
        one = await nodes[0].register("web", "10.2.0.1", lease="none", checks=checks)
        await until(lambda: all(node.statuses("web") == {"10.2.0.1": "failing"} for node in nodes))

        async def report(node: Node, check: str) -> None:
            found, engine = Finding(Health.PASSING), node.engine
            done = report_check(engine, node.registry, one.id, check, found, NOBODY, clock())
            if not isinstance(done, Entry):
                await done

        async def is_served() -> bool:
            await report(nodes[0], "db")
            await report(nodes[1], "queue")
            return all(node.served("web") for node in nodes)

        await until(is_served)
        index = nodes[0].registry.index
        for turn in range(18):
            await report(nodes[turn % 2], "db")
            await report(nodes[1 - turn % 2], "queue")
            assert all(node.statuses("web") == {"10.2.0.1": "healthy"} for node in nodes), turn
            await asyncio.sleep(TTL / 6)
        assert nodes[0].registry.index == index, "what says nothing new is no write"
        last = clock()
        while clock() < last + TTL:  # one of them alone is not enough
            await report(nodes[0], "db")
            await asyncio.sleep(TTL / 6)
        await until(lambda: all(node.statuses("web") == {"10.2.0.1": "failing"} for node in nodes))
        await until(lambda: all(node.registry.at(one.id).instance.failing for node in nodes))
        await until(is_served)


async def test_clients_of_a_killed_node_move_and_nobody_is_lost(etcd: EtcdCluster) -> None:
    async with nodes_of(etcd, 2, limit=100) as nodes:
        doomed = Node("doomed", etcd.urls, limit=100)
        await doomed.start()
        ips = [f"10.4.0.{number + 1}" for number in range(30)]
        await asyncio.gather(*(doomed.register("web", ip) for ip in ips))
        keys = {Key("web", ip, 3000) for ip in ips}
        doomed.beats |= keys
        await until(lambda: all(len(node.served("web")) == 30 for node in nodes))
        await asyncio.sleep(TTL)
        await doomed.kill()
        moved, ends = False, clock() + 4 * TTL
        moves_at = clock() + 2
        while clock() < ends:
            if not moved and clock() >= moves_at:
                nodes[0].beats |= keys
                moved = True
            assert all(len(node.served("web")) == 30 for node in nodes)
            await asyncio.sleep(0.05)
        assert not any(kind == "expired" for node in nodes for _, kind, _ in node.events)


async def test_a_leader_whose_lease_is_over_says_goodbye_all_the_same(etcd: EtcdCluster) -> None:
    leaving = Node("leaving", etcd.urls)
    await leaving.start()
    await until(lambda: leaving.engine.leads)
    async with nodes_of(etcd, 1) as (staying,):
        await until(lambda: staying.engine.stats()["engine"]["nodes"])
        await leaving.engine._etcd.revoke(leaving.engine._leadership._lease)
        await leaving.stop()
        await until(lambda: not staying.engine.stats()["engine"]["nodes"])
        await until(lambda: staying.engine.leads)
