"""Every kind of write goes through etcd and arrives at the other node; one that a defect fails is answered, and the next ones go on."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from typing import Any

import pytest

from discovery.core import exact_json
from discovery.core.instance import Key, Registration
from discovery.core.kinds import DocumentEvent, DocumentKey, WindowEvent
from discovery.core.maintenance import Scope, Window
from discovery.core.status import Status
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.layout import Layout
from discovery.engines.etcd.messages import delete, put
from discovery.engines.etcd.writes import Writes
from discovery.store.errors import TakenOver
from discovery.store.operations import (
    MAX_DEREGISTERED,
    DeregisterMany,
    Drain,
    EndMaintenance,
    Maintain,
    PutDocument,
    Settle,
)
from discovery.store.registration import Register
from discovery.store.transaction import Transaction
from discovery.store.write import Write
from tests.engines.etcd.cluster import EtcdCluster, Node, nodes_of
from tests.patient import clock
from tests.waiting import until


async def settled(node: Node, write: Write[bool], scope: Scope) -> None:
    done = await node.submit(write)
    while not done:
        done = await node.submit(Settle(scope))


@pytest.mark.parametrize("size", [3, 120])
async def test_a_maintenance_window_of_a_service_holds_on_all_nodes_and_ends_on_all(
    etcd: EtcdCluster, size: int
) -> None:
    async with nodes_of(etcd, 2, ttl=600.0, limit=200) as (near, far):
        for number in range(size):
            await near.register("web", f"10.0.0.{number + 1}")
        scope = Scope("web")
        window = Window.of("a test", None, 60, near.wall())
        await settled(near, Maintain(scope, window), scope)
        await until(lambda: {entry.status for entry in far.registry} == {Status.MAINTENANCE})
        assert far.registry.windows.get(scope) == near.registry.windows.get(scope) == window
        await until(lambda: not near.registry.unsettled and not far.registry.unsettled)
        await settled(far, EndMaintenance(scope, "over"), scope)
        await until(lambda: {entry.status for entry in near.registry} == {Status.HEALTHY})
        await until(lambda: near.registry.index == far.registry.index)
        assert near.state == far.state
        assert not near.registry.windows


async def test_drains_and_the_removal_of_a_whole_service_arrive(etcd: EtcdCluster) -> None:
    async with nodes_of(etcd, 2, ttl=600.0, limit=200) as (near, far):
        instances = [await near.register("web", f"10.0.0.{number + 1}") for number in range(90)]
        key = instances[0].spec.key
        await near.submit(Drain(key, True, "a test"))
        await until(lambda: len(far.served("web")) == 89)
        await far.submit(Drain(key, False, "a test"))
        await until(lambda: len(near.served("web")) == 90)
        keys = tuple(Key("web", instance.spec.key.ip, 3000) for instance in instances)
        parts = [keys[start : start + MAX_DEREGISTERED] for start in range(0, 90, MAX_DEREGISTERED)]
        gone = [await near.submit(DeregisterMany(part, "a test", "web")) for part in parts]
        assert sum(map(len, gone)) == 90
        await until(lambda: not far.state and not near.state)


async def test_one_that_takes_its_id_from_its_old_self_arrives(etcd: EtcdCluster) -> None:
    async with nodes_of(etcd, 2, ttl=600.0) as (near, far):
        for port in (80, 81):
            await near.submit(Register(Registration.of("web", "10.0.0.1", port, id="mine"), replace=True))
        await until(lambda: far.registry.index == near.registry.index)
        for node in (near, far):
            assert [entry.instance.spec.port for entry in node.registry] == [81]
            assert node.registry.at("mine").instance.spec.port == 81
        assert near.state == far.state


async def test_names_and_addresses_of_all_forms_arrive_and_are_removed_for_as_long_on_all(etcd: EtcdCluster) -> None:
    async with nodes_of(etcd, 2, ttl=600.0) as (near, far):
        names = ["Orders DB / eu", "50%", "a%2Fb", "-", "ÄÖ", "../x", "web"]
        specs = [
            Registration.of(name, ip, port)
            for name in names
            for ip in ("Db.example.", "10.0.0.1")
            for port in (None, 80)
        ]
        for each in specs:
            await near.submit(Register(each))
        for each in specs[::4]:
            await settled(near, Maintain(Scope.of(each.key), Window("a test", near.wall() + 60)), Scope.of(each.key))
            await near.submit(DeregisterMany((specs[specs.index(each) + 1].key,), "a test", each.key.service))
        await until(lambda: far.registry.index == near.registry.index)
        assert near.state == far.state
        assert len(far.registry) == 3 * len(names)
        assert far.registry.windows == near.registry.windows
        assert {far.registry.at(each.key).instance.spec.ip for each in specs[::4]} == {"Db.example."}
        assert all(far.registry.buried(each.key, clock()) > 0 for each in specs[1::4])
        async with nodes_of(etcd, 1, ttl=600.0) as (late,):
            assert late.state == near.state
            assert late.registry.windows == near.registry.windows
            assert all(late.registry.buried(each.key, clock()) > 0 for each in specs[1::4])


@dataclass(frozen=True)
class Broken(Write[None]):
    action = "broken"

    def decide(self, txn: Transaction) -> None:
        raise RuntimeError("a defect")


async def test_a_write_that_a_defect_fails_is_answered_and_the_next_ones_go_on(
    etcd: EtcdCluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with nodes_of(etcd, 1, ttl=600.0) as (node,):
        with pytest.raises(RuntimeError):
            await node.submit(Broken())
        await node.register("web", "10.0.0.1")

        async def fails(self: Etcd, *asked: Any) -> None:
            raise RuntimeError("a defect on the way to etcd")

        with monkeypatch.context() as patched, caplog.at_level(logging.CRITICAL):
            patched.setattr(Writes, "_commit", fails)
            with pytest.raises(RuntimeError):
                await node.register("web", "10.0.0.2")
        await node.register("web", "10.0.0.3")
        assert node.served("web") == {"10.0.0.1", "10.0.0.3"}


async def test_a_window_that_somebody_puts_or_deletes_by_hand_is_followed_by_its_instances(etcd: EtcdCluster) -> None:
    async with nodes_of(etcd, 2, ttl=600.0) as (near, far):
        instance = await near.register("web", "10.0.0.1")

        def are(status: Status) -> bool:
            return all(node.registry.at(instance.id).status is status for node in (near, far))

        await until(lambda: far.state == near.state)
        window = exact_json.dumps(WindowEvent.kind.dumps(Window("by hand", time.time() + 600)))
        await near.engine._etcd.txn([], [put(b"reg/w/web", window)])
        await until(lambda: are(Status.MAINTENANCE))
        await near.engine._etcd.txn([], [delete(b"reg/w/web")])
        await until(lambda: are(Status.HEALTHY))


async def test_what_plugins_remember_is_on_all_nodes_and_no_update_is_lost(etcd: EtcdCluster, client: Etcd) -> None:
    async with nodes_of(etcd, 2, ttl=600.0) as (near, far):
        await near.submit(Register(Registration.of("web", "10.0.0.1", 80), attachments={"consul": {"id": "w/1"}}))
        await asyncio.gather(
            *(
                node.submit(PutDocument("consul", f"a/{number % 2} ü", lambda known: (known or 0) + 1))
                for number in range(20)
                for node in (near, far)
            )
        )
        await until(lambda: near.registry.index == far.registry.index)
        for node in (near, far):
            assert {key: each.value for key, each in node.registry.documents("consul").items()} == {
                "a/0 ü": 20,
                "a/1 ü": 20,
            }
            assert node.registry.at(Key("web", "10.0.0.1", 80)).instance.attachment("consul") == {"id": "w/1"}
        by_hand = Layout("reg/").value(DocumentEvent, DocumentKey("consul", "a/0 ü"))
        await client.txn([], [put(b"reg/doc/consul/broken", b'{"content": 1'), delete(by_hand)])
        await until(lambda: all(set(node.registry.documents("consul")) == {"a/1 ü"} for node in (near, far)))
        await far.submit(PutDocument("consul", "a/1 ü", None))
        third = Node("third", etcd.urls, ttl=600.0)
        await third.start()
        assert (third.state, third.registry.documents("consul")) == (near.state, {})
        await third.stop()


async def test_a_copy_is_taken_over_by_a_heartbeat_at_any_node_and_held_on_all(etcd: EtcdCluster) -> None:
    async with nodes_of(etcd, 2, ttl=600.0) as nodes:
        near, far = nodes
        for port in (80, 81):
            copy = Registration.of("web", "10.0.0.1", port, ttl=1.0, hold=60.0, imported_from="consul://old:8500")
            await near.submit(Register(copy))
        await until(lambda: near.registry.index == far.registry.index)

        async def beat() -> None:
            while True:
                far.engine.renew(Key("web", "10.0.0.1", 80))
                await asyncio.sleep(0.1)

        beating = asyncio.create_task(beat())
        taken = Registration.of("web", "10.0.0.1", 80, ttl=1.0)
        await until(lambda: all(node.registry.at(taken.key).instance.spec == taken for node in nodes))
        with pytest.raises(TakenOver):
            await near.submit(Register(replace(taken, imported_from="consul://old:8500")))
        beating.cancel()
        await until(lambda: all(node.registry.find(taken.key) is None for node in nodes))
        await until(lambda: all(node.statuses("web") == {"10.0.0.1": "suspect"} for node in nodes))
        assert near.served("web") == far.served("web") == {"10.0.0.1"}
