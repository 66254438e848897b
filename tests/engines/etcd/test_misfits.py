"""Commits that do not fit what a node has: nothing of them is applied, and the service is read again."""

from __future__ import annotations

import time

import pytest

from discovery.core.caller import NOBODY
from discovery.core.event import Commit, InstanceEvent, Kind
from discovery.core.ids import new_id
from discovery.core.instance import Instance, Registration
from discovery.engines.etcd import layout as keys
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Decision, Layout
from discovery.engines.etcd.messages import put
from tests.engines.etcd.cluster import EtcdCluster, Node, nodes_of, said
from tests.patient import clock
from tests.waiting import until


def registers(instance: Instance) -> Commit:
    event = InstanceEvent(Kind.REGISTERED, instance.spec.key.service, None, instance, "new instance", True)
    return Commit(0, time.time(), NOBODY, "register", (event,))


async def by_an_older_node(client: Etcd, instance: Instance) -> None:
    """It compares the version of the service alone, and knows of no keys of ids."""
    layout = Layout("reg/")
    decision = Decision(registers(instance), (instance.spec.key.service,), node="old", ticket=1)
    operations = list(layout.operations(decision, 0).values())
    await client.txn([], [*operations, put(layout.commit, keys.dumps([decision], layout.unknown))])


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


async def test_one_id_for_two_services_by_an_older_node_stops_nobody(
    etcd: EtcdCluster, client: Etcd, caplog: pytest.LogCaptureFixture
) -> None:
    async with nodes_of(etcd, 2, ttl=600.0) as (near, far):
        mine = await near.register("web", "10.0.0.1", id="mine")
        await by_an_older_node(client, Instance("mine", time.time(), Registration.of("api", "10.0.0.2", 80)))
        other = await far.register("api", "10.0.0.3")
        last = await near.register("web", "10.0.0.3")
        for node in (near, far):
            await until(lambda node=node: node.state.keys() == {"mine", other.id, last.id})  # type: ignore[misc]
            assert node.state["mine"] == mine
            await until(lambda node=node: "stands in another service" in said(node.engine))  # type: ignore[misc]
            assert node.engine.not_ready() is None
        assert not [text for text in told(caplog) if "begins again" in text]


def forgets_to_remove(node: Node, name: str) -> Instance:
    """A defect: this node has an instance that is not in etcd."""
    ghost = Instance(new_id(), time.time(), Registration.of(name, "10.0.0.9", 80))
    commit = registers(ghost)._replace(index=node.registry.index + 1)
    node.registry.change(commit, clock())
    node.registry.publish(commit.index)
    return ghost


async def test_a_node_that_missed_something_reads_the_service_again(
    etcd: EtcdCluster, caplog: pytest.LogCaptureFixture
) -> None:
    async with nodes_of(etcd, 2, ttl=600.0) as (near, far):
        await near.register("web", "10.0.0.1")
        await until(lambda: far.state == near.state)
        ghost = forgets_to_remove(far, "web")
        new = await near.register("web", "10.0.0.9", 80)
        await until(lambda: far.state == near.state)
        assert new.id in far.state
        assert ghost.id not in far.state
        await until(lambda: not said(far.engine))
        [text] = told(caplog)
        assert f"{ghost.id} is registered already at 10.0.0.9 port 80 of web" in text
        await far.deregister(new.id)
        await until(lambda: far.state == near.state)


async def test_the_leader_puts_the_keys_of_ids_that_an_older_node_left_out_and_removes_those_it_left(
    etcd: EtcdCluster, client: Etcd
) -> None:
    async with nodes_of(etcd, 1, ttl=600.0) as (node,):
        await node.register("web", "10.0.0.1")
        await by_an_older_node(client, Instance("mine", time.time(), Registration.of("api", "10.0.0.2", 80)))
        await until(lambda: "mine" in node.state)
        mirror, layout = node.engine._mirror, Layout("reg/")

        def ids() -> set[bytes]:
            return {key for key in mirror.revisions if key.startswith(layout.id(""))}

        assert not ids()
        await node.engine._upkeep.keep_ids()
        await until(lambda: ids() == {layout.id("mine")})
        await node.engine._etcd.txn([], [put(layout.id("nobody"), b"web")])
        await until(lambda: len(ids()) == 2)
        await node.engine._upkeep.keep_ids()
        await until(lambda: ids() == {layout.id("mine")})
        await node.deregister("mine")
        await until(lambda: not ids())
