"""`discovery cluster set` while nodes run: the settings, and the index that goes with them."""

from __future__ import annotations

from unittest.mock import AsyncMock

from discovery.core.event import Commit
from discovery.engines.etcd import administration
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Layout
from tests.engines.etcd.cluster import EtcdCluster, nodes_of
from tests.waiting import until


async def change(client: Etcd, **values: object) -> int:
    """The revision of the change."""
    _, shared = await administration.change(client, Layout("reg/"), values)
    return shared.version


async def test_a_change_moves_the_index_so_that_a_node_that_starts_after_it_has_that_of_the_others(
    etcd: EtcdCluster, client: Etcd
) -> None:
    async with nodes_of(etcd, 2, ttl=600.0) as nodes:
        await nodes[0].register("web", "10.0.0.1")
        before = nodes[0].registry.index
        revision = await change(client, MAX_SERVICES=7)
        await until(lambda: all(node.registry.settings.max_services == 7 for node in nodes))
        await until(
            lambda: all(node.registry.index == revision + node.engine._agreement.conf.offset > before for node in nodes)
        )
        async with nodes_of(etcd, 1, ttl=600.0) as (late,):
            assert late.registry.index == nodes[0].registry.index == nodes[1].registry.index
        assert await change(client, MAX_SERVICES=7) == revision, "nothing changes where nothing differs"
        assert nodes[0].registry.index == revision + nodes[0].engine._agreement.conf.offset


async def test_a_node_that_reads_everything_again_after_a_change_has_the_index_of_the_others(
    etcd: EtcdCluster, client: Etcd
) -> None:
    async with nodes_of(etcd, 2, ttl=600.0) as (near, far):
        await near.register("web", "10.0.0.1")
        await until(lambda: far.registry.index == near.registry.index)
        following = far.engine._mirror.take
        far.engine._mirror.take = AsyncMock()  # type: ignore[method-assign]
        await change(client, MAX_SERVICES=7)
        await until(lambda: near.registry.settings.max_services == 7)
        await far.engine._mirror.sync()
        far.engine._mirror.take = following  # type: ignore[method-assign]
        assert far.registry.settings.max_services == 7
        assert far.registry.index == near.registry.index


async def test_a_change_is_one_event_on_each_node_and_leases_are_as_long_as_it_says(
    etcd: EtcdCluster, client: Etcd
) -> None:
    async with nodes_of(etcd, 2, ttl=600.0) as nodes:
        ids = [(await nodes[0].register("web", f"10.0.0.{number}")).id for number in range(1, 4)]
        await until(lambda: all(node.state.keys() == set(ids) for node in nodes))
        told: list[list[Commit]] = [[], []]
        for node, commits in zip(nodes, told, strict=True):
            node.registry.followers.append(commits.append)
        await change(client, HEARTBEAT_TIMEOUT_SECONDS=33.0)
        await until(lambda: all(node.registry.lease_ttl == 33.0 for node in nodes))
        grace = nodes[0].registry.settings.grace
        for node, [commit] in zip(nodes, told, strict=True):
            [event] = commit.events
            assert event.name == "settings-changed"
            assert event.reason == "HEARTBEAT_TIMEOUT_SECONDS was 600 and is 33"
            assert {node.registry.at(id).lease.ttl for id in ids} == {33.0 + grace}
