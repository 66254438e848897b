"""etcd is restored from a backup while a node cannot see it, and has grown past what that node knew by the time it can."""

from __future__ import annotations

import logging

import pytest

from tests.engines.etcd.cluster import EtcdCluster, Proxy, nodes_of
from tests.waiting import until


async def test_a_node_that_was_cut_off_all_the_while_notices_that_etcd_is_another_one(
    etcd: EtcdCluster, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    backup = etcd.members[0].folder.with_suffix(".snapshot")
    async with nodes_of(etcd, 1, ttl=600.0, flush=0.1) as (node,), nodes_of(proxy, 1, ttl=600.0) as (away,):
        kept = await node.register("web", "10.0.0.1")
        await until(lambda: kept.id in away.state)
        etcd.back_up(backup)
        await until(lambda: node.engine.not_ready() is None)  # it stood still meanwhile
        lost = await node.register("web", "10.0.0.2")
        await until(lambda: lost.id in away.state)
        proxy.cut()
        await until(lambda: away.engine.not_ready())
        known, before = away.engine._mirror.revision, away.registry.index
        etcd.restore(backup)
        await etcd.start()
        await until(lambda: node.state.keys() == {kept.id} and node.engine.not_ready() is None)
        while node.engine._mirror.revision <= known + 5:
            await node.register("more", f"10.0.1.{len(node.state)}")
        with caplog.at_level(logging.ERROR, "discovery.etcd"):
            proxy.heal()
            await until(lambda: away.state == node.state)
        assert "etcd has gone back: it is cluster" in caplog.text
        last = await away.register("last", "10.0.0.3")
        await until(lambda: last.id in node.state)
        assert away.registry.index == node.registry.index > before
        indexes = [index for index, _, _ in away.events]
        assert indexes == sorted(indexes)
