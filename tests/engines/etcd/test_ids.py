"""What a decision compares in a real etcd: an id that a client chose belongs to one instance, whichever services and nodes are asked."""

from __future__ import annotations

import asyncio

import pytest

from discovery.core.instance import Instance, Registration
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.messages import delete, none_since, put
from discovery.store.errors import IdTaken
from discovery.store.operations import MAX_DEREGISTERED, DeregisterMany
from discovery.store.registration import Register
from tests.engines.etcd.cluster import EtcdCluster, Node, nodes_of
from tests.waiting import until


async def test_one_of_two_services_gets_an_id_that_both_ask_for_at_once_at_two_nodes(etcd: EtcdCluster) -> None:
    async with nodes_of(etcd, 2, ttl=600.0) as nodes:
        for number in range(10):
            writes = [
                Register(Registration.of(f"{name}-{number}", "10.0.0.1", 80, id=f"mine-{number}"))
                for name in ("web", "api")
            ]
            asked = [_taken_or_not(node, write) for node, write in zip(nodes, writes, strict=True)]
            assert {type(answer) for answer in await asyncio.gather(*asked)} == {Instance, IdTaken}
        last = await nodes[0].register("web", "10.0.0.2")
        await until(lambda: last.id in nodes[1].state)
        assert nodes[0].state == nodes[1].state
        assert len(nodes[0].state) == 11


async def _taken_or_not(node: Node, write: Register) -> Instance | IdTaken:
    try:
        return await node.submit(write)
    except IdTaken as error:
        return error


async def test_the_id_of_one_that_is_gone_is_free_for_another_service(etcd: EtcdCluster) -> None:
    async with nodes_of(etcd, 2, ttl=600.0) as (near, far):
        for number, node in enumerate((near, far, near)):
            await node.register(f"web-{number}", "10.0.0.1", id="mine")
            await until(lambda: "mine" in near.state and "mine" in far.state)
            with pytest.raises(IdTaken):
                await far.register("api", "10.0.0.1", id="mine")
            await far.deregister("mine")
            await until(lambda: not near.state)


async def test_as_many_as_one_write_may_deregister_fit_into_a_transaction_of_etcd(etcd: EtcdCluster) -> None:
    """Each of a service of its own, with an id that its client chose."""
    async with nodes_of(etcd, 1, ttl=600.0) as (node,):
        specs = [
            Registration.of(f"web-{number}", "10.0.0.1", 80, id=f"mine-{number}") for number in range(MAX_DEREGISTERED)
        ]
        await asyncio.gather(*(node.submit(Register(spec)) for spec in specs))
        gone = await node.submit(DeregisterMany(tuple(spec.key for spec in specs), "a test"))
        assert len(gone) == MAX_DEREGISTERED


async def test_a_name_that_was_reserved_since_is_seen_and_one_that_is_free_again_is_not(
    etcd: EtcdCluster, client: Etcd
) -> None:
    first = await client.txn([], [put(b"reg/z/a", b"{}")])
    unchanged = none_since(b"reg/z/", first.revision)
    assert (await client.txn([unchanged], [])).succeeded
    await client.txn([], [delete(b"reg/z/a")])
    assert (await client.txn([unchanged], [])).succeeded
    await client.txn([], [put(b"reg/z/b", b"{}"), put(b"reg/zz", b"")])
    assert not (await client.txn([unchanged], [])).succeeded
