"""Values in etcd that a node cannot read: by hand, or of a newer version. They stop no node, and take nobody out of its answers."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from discovery.core import codec, exact_json
from discovery.core.event import Commit
from discovery.core.instance import Instance
from discovery.core.maintenance import Scope, Window
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.messages import delete, put
from discovery.engines.etcd.unreadable import KeyUnreadable
from discovery.store.operations import Drain, Maintain, RevokeToken
from tests.engines.etcd.cluster import EtcdCluster, Node, nodes_of, said, to_register
from tests.mutated import mutations
from tests.waiting import until

SHA256 = b"1" * 32


async def write(client: Etcd, values: dict[str, Any]) -> int:
    """By hand, each in a transaction of its own; None: deleted. The last revision."""
    revision = 0
    for key, value in values.items():
        path = f"reg/{key}".encode()
        octets = value if isinstance(value, bytes) else exact_json.dumps(value)
        done = await client.txn([], [delete(path) if value is None else put(path, octets)])
        revision = done.revision
    return revision


async def seen(revision: int, *nodes: Node) -> None:
    for node in nodes:
        await node.engine._mirror.reached(revision, 30)


def shown(instance: Instance, **fields: Any) -> dict[str, Any]:
    return codec.of_instance(instance) | fields


async def test_whatever_stands_in_any_field_of_any_key_stops_no_node_neither_one_that_runs_nor_one_that_starts(
    etcd: EtcdCluster, client: Etcd, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "discovery")  # thousands of lines otherwise
    async with nodes_of(etcd, 1, ttl=600.0) as (node,):
        web = await node.register("web", "10.0.0.1", metadata={"a": [1]}, tags=["x"], ports={"http": 80})
        await node.register("stays", "10.0.0.9")
        await node.submit(Maintain(Scope("web"), Window("upgrade", node.wall() + 600, "ops")))
        await node.submit(RevokeToken(SHA256, "deploy", None, "asked"))
        await node.submit(Drain(web.spec.key, True, "asked"))
        fails: list[Any] = []
        node.engine._seams.fails.append(fails.append)
        good: dict[str, Any] = {}
        for each in (await client.range(b"reg/", b"reg0")).found:
            key = each.key.decode().removeprefix("reg/")
            if key[:2] in ("i/", "w/", "r/", "co", "n/", "z/"):
                good[key] = exact_json.loads(each.octets)
        good["d/gone/10.0.0.1-80"] = {"id": "x", "name": "gone", "registered_at": 1, "since": 2, "until": 3}
        good["t/random"] = [["gone", "10.0.0.1", 80, 3]]
        assert {key.partition("/")[0] for key in good} == {"i", "w", "r", "commit", "conf", "n", "z", "d", "t"}
        number, version = 0, (await client.range(b"reg/v/web")).found[0].key
        for key, value in good.items():
            path = f"reg/{key}".encode()
            found = [b"", b"{", b"\xff", b"99999", *map(exact_json.dumps, mutations(value))]
            if key == "conf":  # what it says is done, of another format, cluster or ttl too: the page has it
                found = [each for each in found if b'"format":1,' in each and b'"ttl":600.0' in each]
            for start in range(0, len(found), 20):
                for octets in found[start : start + 20]:
                    more = [put(version, b"")] if key == "commit" else []
                    done = await client.txn([], [put(path, octets), *more])
                number += 20
                await seen(done.revision, node)
            assert not fails
            assert {"stays", "web"} >= node.registry.services.keys() >= {"stays"}
            if key != "conf":
                late = Node("late", etcd.urls, ttl=600.0)
                await late.start()
                assert late.served("stays") == {"10.0.0.9"}
                await late.stop()
            await seen(await write(client, {key: value}), node)
            assert node.engine.not_ready() is None
        revision = await write(client, {"d/gone/10.0.0.1-80": None})
        await seen(revision, node)
        assert number > 1000
        assert len(node.engine._mirror.unreadable) == 0, "all are repaired"
        assert await node.engine._upkeep.compare() == 0
        assert not fails


async def test_what_was_read_last_holds_until_the_key_is_repaired_or_deleted(etcd: EtcdCluster, client: Etcd) -> None:
    async with nodes_of(etcd, 2, ttl=600.0) as (node, other):
        one, two = [await node.register("web", f"10.0.0.{number}") for number in (1, 2)]
        await node.register("quiet", "10.0.0.3")
        await node.submit(Maintain(Scope("quiet"), Window("upgrade", node.wall() + 600, "ops")))
        node.beats.add(one.spec.key)
        broken = f"i/web/{one.id}"
        values: dict[str, Any] = {
            broken: shown(one, port=99999),
            f"i/web/{two.id}": b"?",
            "w/quiet": {},
            f"r/{SHA256.hex()}": 7,
        }
        await seen(await write(client, values), node, other)
        async with nodes_of(etcd, 1, ttl=600.0) as (late,):
            for each in (node, other):
                for again in (each.engine._mirror.sync, each.engine._upkeep.compare):
                    assert each.served("web") == {"10.0.0.1", "10.0.0.2"}, "the watch, a resync, the comparison"
                    assert Scope("quiet") in each.registry.windows
                    assert SHA256 in each.registry.revoked
                    await again()
                warning = said(each.engine)
                assert f"reg/{broken} in etcd cannot be read (port: is out of range" in warning
                assert warning.count("repair or delete it") == 4
                assert each.engine.stats()["engine"]["unreadableKeys"] == 4
                assert each.engine.not_ready() is None
            assert late.served("web") == set()
            assert SHA256 in late.registry.revoked, "what cannot be read is no longer a right"
            assert node.engine.renew(one.spec.key)
            repaired = {
                broken: shown(one, metadata={"v": 2}),
                f"i/web/{two.id}": None,
                "w/quiet": None,
                f"r/{SHA256.hex()}": None,
            }
            await seen(await write(client, repaired), node, other, late)
            for each in (node, other, late):
                assert each.served("web") == {"10.0.0.1"}
                assert each.state[one.id].spec.metadata == b'{"v":2}'
                assert not each.registry.windows
                assert not each.registry.revoked
                assert not said(each.engine)


async def test_nobody_registers_at_the_address_or_the_id_of_such_a_key_and_who_is_there_goes_on(
    etcd: EtcdCluster,
    client: Etcd,
) -> None:
    async with nodes_of(etcd, 1, ttl=600.0) as (node,):
        known = await node.register("web", "10.0.0.1")
        values = {
            "i/web/never": shown(known, id="never", ip="10.0.0.2", status="hovering"),
            f"i/web/{known.id}": shown(known, port=99999),
        }
        await seen(await write(client, values), node)
        for ip, more in (("10.0.0.2", {}), ("10.0.0.3", {"id": "never"}), ("10.0.0.1", {"metadata": {"a": 1}})):
            with pytest.raises(KeyUnreadable, match=r"the key reg/i/web/.* in etcd cannot be read"):
                await node.once(to_register("web", ip, **more))
        assert (await node.register("web", "10.0.0.1")).id == known.id, "nothing new is a sign of life"
        await node.register("web", "10.0.0.4")
        await node.deregister(known.id)
        await write(client, {"i/web/never": None})
        await until(lambda: not len(node.engine._mirror.unreadable))
        await node.register("web", "10.0.0.1", metadata={"a": 1})
        await node.register("web", "10.0.0.2")


async def test_who_registers_where_the_address_cannot_be_told_is_the_same_at_all_nodes(
    etcd: EtcdCluster, client: Etcd
) -> None:
    """A node that has begun since does not know who was there; the others hold what they read last."""
    async with nodes_of(etcd, 1, ttl=600.0) as (node,):
        known = await node.register("web", "10.0.0.1")
        await seen(await write(client, {f"i/web/{known.id}": b"?"}), node)
        async with nodes_of(etcd, 1, ttl=600.0) as (late,):
            new = await late.register("web", "10.0.0.1")
            await until(lambda: node.state == late.state == {new.id: new})
            await until(lambda: "fit" not in said(node.engine))
            assert node.engine.renew(new.spec.key).instance == new
            assert await node.engine._upkeep.compare() == 0


async def test_the_keys_of_a_decision_that_cannot_be_read_are_applied_as_if_by_hand(
    etcd: EtcdCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer node has a kind of event that this version does not know."""
    of_commit = codec.of_commit

    def newer(commit: Commit) -> Any:
        found = of_commit(commit)
        found["events"][0]["kind"] = "teleported"
        return found

    async with nodes_of(etcd, 2, ttl=600.0) as (node, other):
        first = await node.register("web", "10.0.0.1")
        monkeypatch.setattr(codec, "of_commit", newer)
        second = await node.register("web", "10.0.0.2", metadata={"a": 1})
        await node.deregister(first.id)
        await until(lambda: other.state == node.state == {second.id: second})
        assert other.registry.index == node.registry.index
        assert "reg/commit" in said(other.engine)
        monkeypatch.undo()
        third = await other.register("web", "10.0.0.3")
        await until(lambda: node.state == {second.id: second, third.id: third})
        assert not said(node.engine)


async def test_of_two_that_somebody_has_put_at_one_address_or_under_one_id_the_elder_stays(
    etcd: EtcdCluster, client: Etcd
) -> None:
    async with nodes_of(etcd, 1, ttl=600.0) as (node,):
        known = await node.register("web", "10.0.0.1")
        values = {"i/web/double": shown(known, id="double"), f"i/api/{known.id}": shown(known, name="api")}
        await seen(await write(client, values), node)
        async with nodes_of(etcd, 1, ttl=600.0) as (late,):
            for each in (node, late):
                for again in (each.engine._upkeep.compare, each.engine._mirror.sync):
                    assert each.state == {known.id: known}
                    assert await again() in (0, None)
                    assert each.engine.stats()["engine"]["unreadableKeys"] == 2
            assert f"reg/i/web/double in etcd cannot be read ({known.id} has its address)" in said(late.engine)
            moved = {f"i/web/{known.id}": None, f"i/api/{known.id}": shown(known, name="api", port=81)}
            await seen(await write(client, moved), node, late)
            for each in (node, late):
                await each.engine._upkeep.compare()
                assert each.served("web") == each.served("api") == {"10.0.0.1"}
                await each.engine._mirror.sync()
                assert not said(each.engine)
