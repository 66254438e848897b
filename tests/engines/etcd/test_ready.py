"""Why a node must not be asked to change something: its view is stale, etcd takes no writes, others take them. Nothing else is a reason."""

from __future__ import annotations

from discovery.store.engine import Engine
from tests.engines.etcd.cluster import EtcdCluster, Proxy, nodes_of, said
from tests.waiting import until


def warned(engine: Engine, code: str) -> str:
    return "; ".join(text for each in engine.concerns() if each.code == code for text in each.check().values())


async def test_it_is_ready_whatever_the_others_do_and_not_while_its_view_is_stale_or_etcd_is_full(
    etcd: EtcdCluster,
    proxy: Proxy,
) -> None:
    async with nodes_of(proxy, 1, ttl=600.0) as (node,):
        await until(lambda: node.engine.not_ready() is None)
        async with nodes_of(etcd, 1, ttl=600.0) as (other,):
            other.registry.zones = {"elsewhere.test": "1 00"}
            await until(lambda: "elsewhere.test" in said(node.engine))
            await other.kill()
            await until(lambda: node.engine._peers.any_silent)
            # A silent node, and zones that differ, are no reason; and a silent one is not compared.
            await until(lambda: node.engine.not_ready() is None and not said(node.engine))
            await until(lambda: f"the node {other.id} is silent for" in warned(node.engine, "node_silent"))
            node.engine._etcd.full = "mvcc: database space exceeded"
            await until(lambda: "alarm disarm" in (node.engine.not_ready() or ""))
            assert "alarm disarm" in warned(node.engine, "node_cut_off")
            node.engine._etcd.full = None
            proxy.cut()
            await until(lambda: "has not told this node" in (node.engine.not_ready() or ""))
            proxy.heal()
            await until(lambda: node.engine.not_ready() is None)
            await other.start()
