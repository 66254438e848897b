"""A node that has just begun does not know through whom instances were heard before: nobody who beats at a node that is cut off is lost,
though all other nodes are exchanged meanwhile, and the new one leads.
"""

from __future__ import annotations

import pytest

from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.messages import put
from tests.engines.etcd.cluster import FLUSH, TTL, EtcdCluster, Node, Proxy, nodes_of, said
from tests.patient import clock
from tests.waiting import until


async def test_nobody_who_beats_at_a_cut_node_is_lost_when_all_the_others_are_new(
    etcd: EtcdCluster, proxy: Proxy
) -> None:
    cut, old = Node("cut", [proxy.url]), Node("old", etcd.urls)
    new = Node("new", etcd.urls)
    begun: list[Node] = []
    try:
        for node in (cut, old):
            await node.start()
            begun.append(node)
        keys = [(await cut.register("web", f"10.0.0.{number + 1}")).spec.key for number in range(5)]
        cut.beats.update(keys)
        await until(lambda: all(entry.through.node == cut.id for entry in old.registry))
        proxy.cut()
        begun.remove(old)
        await old.kill()
        await new.start()
        begun.append(new)
        dead = await new.register("web", "10.0.1.1")  # heard by the new one, and never again
        await until(lambda: new.engine.leads)
        ends = clock() + TTL + 2 * FLUSH + 3
        everybody = {key.ip for key in keys}

        def is_over() -> bool:
            """Who was heard at the new one, and is silent, is gone all the same."""
            assert new.served("web") - {"10.0.1.1"} == everybody
            held = new.engine.stats()["engine"]["heldThroughUnknownNodes"]
            return clock() > ends and dead.id not in new.state and held == {"instances": 5, "services": ["web"]}

        await until(is_over)
        [silent] = [node for node in new.engine.stats()["engine"]["nodes"] if node["node"] == cut.id]
        assert silent["silent"]
        assert silent["silentForSeconds"] > TTL
        proxy.heal()
        await until(lambda: set(new.statuses("web").values()) == {"healthy"})
        assert new.served("web") == everybody
        assert not [kind for _, kind, id in new.events if kind == "expired" and id != dead.id]
    finally:
        for node in begun:
            await node.stop()


async def test_a_node_that_begins_takes_nobody_for_silent_before_it_follows(
    etcd: EtcdCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with nodes_of(etcd, 1, ttl=600.0) as (other,):
        await other.register("web", "10.0.0.1")
        new = Node("new", etcd.urls, ttl=600.0)
        started, now = clock(), [clock()]
        new.engine._presence.clock = lambda: now[0]
        fill = new.engine._mirror.fill

        async def slow(last: int) -> None:
            await fill(last)
            now[0] = started + 100

        monkeypatch.setattr(new.engine._mirror, "fill", slow)
        await new.start()
        try:
            new.engine._presence._look()
            assert not new.engine._peers.any_silent
        finally:
            await new.stop()


async def test_what_a_node_tells_of_itself_is_seen_by_the_others_and_may_be_anything(
    etcd: EtcdCluster, client: Etcd
) -> None:
    async with nodes_of(etcd, 2, ttl=600.0) as (one, other):
        await client.txn([], [put(b"reg/n/strange", b"[]"), put(b"reg/x/of-a-newer-node", b"?")])
        await until(lambda: one.engine.stats()["engine"]["skippedKeys"] == 1)
        await until(lambda: all(node["version"] for node in one.engine.stats()["engine"]["nodes"]))
        other.registry.zones = {"example.com": "7 00ff", "svc.local": ""}
        one.registry.zones = {"example.com": "8 00fe", "svc.local": ""}
        await until(lambda: "example.com is a file with serial 7" in said(one.engine))
        assert "at " + other.id in said(one.engine)
        assert one.engine.not_ready() is None
        one.registry.zones = dict(other.registry.zones)
        assert "zones" not in said(one.engine)
        other.registry.zones = {"svc.local": ""}
        await until(lambda: f"this node serves example.com, {other.id} does not" in said(one.engine))
        await until(lambda: f"{one.id} serves example.com, this node does not" in said(other.engine))
