"""When the watch cannot go on where it ended: compacted, restored from an older copy, changed by hand."""

from __future__ import annotations

import asyncio
import logging
import shutil
from typing import Any

import pytest

from discovery.core import codec, exact_json
from discovery.core.health import Finding, Health
from discovery.core.instance import Key
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.messages import delete, put
from discovery.engines.etcd.read_all import Found, Reader
from discovery.store.errors import NameReserved
from discovery.store.operations import RestoreToken, RevokeToken
from tests.engines.etcd.cluster import FLUSH, EtcdCluster, Node, Proxy, nodes_of
from tests.waiting import until


async def test_the_index_does_not_go_back_when_etcd_is_restored_from_an_older_copy(
    etcd: EtcdCluster, caplog: pytest.LogCaptureFixture
) -> None:
    member = etcd.members[0]
    async with nodes_of(etcd, 2, ttl=600.0) as nodes:
        kept = await nodes[0].register("web", "10.0.0.1")
        await until(lambda: kept.id in nodes[1].state)
        member.kill()
        copy = member.folder.with_suffix(".copy")
        shutil.copytree(member.folder, copy)
        await etcd.start()
        await until(lambda: all(node.engine.not_ready() is None for node in nodes))
        lost = [await nodes[number % 2].register("web", f"10.0.1.{number + 1}") for number in range(5)]
        await until(lambda: all(len(node.state) == 6 for node in nodes))
        before = max(node.registry.index for node in nodes)
        indexes = {number: [node.registry.index] for number, node in enumerate(nodes)}
        for number, node in enumerate(nodes):
            node.registry.followers.append(lambda commit, number=number: indexes[number].append(commit.index))  # type: ignore[misc]
        member.kill()
        shutil.rmtree(member.folder)
        copy.rename(member.folder)
        with caplog.at_level(logging.INFO, "discovery.etcd"):
            await etcd.start()
            await until(lambda: all(node.state.keys() == {kept.id} for node in nodes))
        assert any("has gone back" in record.message for record in caplog.records)
        gone = {id for _, kind, id in nodes[0].events if kind == "deregistered"}
        assert gone == {instance.id for instance in lost}
        await until(lambda: all(node.engine.not_ready() is None for node in nodes))
        new = await nodes[1].register("web", "10.0.2.1")
        await until(lambda: all(new.id in node.state for node in nodes))
        assert nodes[0].registry.index == nodes[1].registry.index > before
        for seen in indexes.values():
            assert seen == sorted(seen)


async def test_nodes_that_start_or_read_again_at_different_moments_have_the_index_of_the_others(
    etcd: EtcdCluster,
) -> None:
    """etcd's revision grows with each batch of heartbeats."""
    member = etcd.members[0]
    async with nodes_of(etcd, 2, ttl=600.0) as nodes:
        await nodes[0].register("web", "10.0.0.1")
        revision = nodes[0].engine._mirror.revision
        await until(lambda: nodes[0].engine._mirror.revision > revision + 3)
        async with nodes_of(etcd, 1, ttl=600.0) as (late,):
            await until(lambda: late.registry.index == nodes[0].registry.index == nodes[1].registry.index)
        member.kill()
        copy = member.folder.with_suffix(".copy")
        shutil.copytree(member.folder, copy)
        await etcd.start()
        await until(lambda: all(node.engine.not_ready() is None for node in nodes))
        await nodes[0].register("web", "10.0.0.2")
        await until(lambda: all(len(node.state) == 2 for node in nodes))
        member.kill()
        shutil.rmtree(member.folder)
        copy.rename(member.folder)
        first, second = (node.engine._mirror for node in nodes)
        at_once = second.sync

        async def later() -> None:
            await until(lambda: first.syncs)
            await asyncio.sleep(2 * FLUSH)
            await at_once()

        second.sync = later  # type: ignore[method-assign]
        await etcd.start()
        await until(lambda: all(len(node.state) == 1 for node in nodes))
        await until(lambda: nodes[0].registry.index == nodes[1].registry.index)


async def test_what_is_changed_by_hand_is_followed_and_what_cannot_be_read_is_named_and_passed_over(
    etcd: EtcdCluster, client: Etcd
) -> None:
    async with nodes_of(etcd, 2, ttl=600.0) as nodes:
        one, two = [await nodes[0].register("web", f"10.0.0.{number}") for number in (1, 2)]
        await until(lambda: len(nodes[1].state) == 2)
        await client.txn([], [delete(f"reg/i/web/{one.id}".encode())])
        await until(lambda: all(node.state.keys() == {two.id} for node in nodes))
        again = exact_json.dumps(codec.of_instance(one))
        await client.txn([], [put(f"reg/i/web/{one.id}".encode(), again)])
        await until(lambda: all(node.state.keys() == {one.id, two.id} for node in nodes))
        for key, value in (
            ("i/web/broken", b"{"),
            ("i/web/other", again),  # not what its key says
            ("i/else/" + one.id, again),
            ("w/web", b"[1]"),
            ("t/x", b'[["web","10.0.0.9",3000]]'),
            ("commit", b'[{"index": 1}]'),
            ("h/somebody", b"odd"),
            ("conf", b"?"),
            ("unheard/of", b"\xff"),
        ):
            await client.txn([], [put(f"reg/{key}".encode(), value)])
        last = await nodes[1].register("web", "10.0.0.3")
        await until(lambda: all(node.state.keys() == {one.id, two.id, last.id} for node in nodes))
        assert all(node.engine._mirror.unreadable.times == 8 for node in nodes)
        assert {"reg/i/web/broken", "reg/conf"} <= nodes[0].engine._mirror.unreadable.warnings().keys()
        broken = [b"reg/w/web/nothing", b"reg/d/web/-", b"reg/d/web", b"reg/r/no-digest", b"reg/i/web", b"reg/t/x"]
        await client.txn([], [put(key, b"?") for key in broken])
        await until(lambda: nodes[0].engine.stats()["engine"]["skippedKeys"] >= 8 + 4)
        await client.txn([], [delete(key) for key in broken])
        await asyncio.wait_for(nodes[0].register("web", "10.0.0.4"), 60)


@pytest.mark.parametrize(
    ("by_hand", "says"),
    [
        ({"ttl": "soon"}, "its ttl is 'soon'"),
        ({"ttl": -1}, "its ttl is -1"),
        ({"flush": None}, "its flush is None"),
        ({"max_instances": 1.5}, "its max_instances is 1.5"),
        ({"offset": "0"}, "its offset is '0'"),
        ({"offset": 7}, "the index would go back"),
        ({"moved": "elsewhere"}, "it is no object of settings"),
        ({"cluster": 7}, "its cluster is 7"),
    ],
)
async def test_a_configuration_spoilt_by_hand_is_named_and_changes_nothing(
    etcd: EtcdCluster, client: Etcd, by_hand: dict[str, object], says: str
) -> None:
    async with nodes_of(etcd, 1, ttl=600.0) as (node,):
        before = node.engine._agreement.conf
        await client.txn([], [put(b"reg/conf", exact_json.dumps(exact_json.loads(before.dumps()) | by_hand))])
        await node.register("web", "10.0.0.1")
        assert node.engine._agreement.conf == before
        assert node.engine._mirror.unreadable.times == 1
        assert says in node.engine._mirror.unreadable.warnings()["reg/conf"]


async def test_a_configuration_that_is_removed_by_hand_is_put_back_so_that_no_other_registry_begins(
    etcd: EtcdCluster, client: Etcd
) -> None:
    async with nodes_of(etcd, 2, ttl=600.0) as nodes:
        before = nodes[0].engine._agreement.conf
        await client.txn([], [delete(b"reg/conf")])

        async def is_back() -> bool:
            return [each.value for each in (await client.range(b"reg/conf")).found] == [before.dumps()]

        await until(is_back)
        # It was named, until it was there again.
        await until(lambda: nodes[0].engine._mirror.unreadable.times == 1)
        await nodes[1].register("web", "10.0.0.1")
        async with nodes_of(etcd, 1, ttl=600.0) as (late,):
            assert late.engine._agreement.conf.cluster == before.cluster
            await until(lambda: late.registry.index == nodes[0].registry.index)


async def test_two_instances_at_one_address_made_by_hand_do_not_break_the_table(
    etcd: EtcdCluster, client: Etcd
) -> None:
    async with nodes_of(etcd, 1, ttl=600.0) as (node,):
        one = await node.register("web", "10.0.0.1")
        twin = exact_json.dumps(codec.of_instance(one._replace(id="twin")))
        await client.txn([], [put(b"reg/i/web/twin", twin)])
        moved = exact_json.dumps(codec.of_instance(one) | {"ip": "10.0.0.7"})
        await client.txn([], [put(f"reg/i/web/{one.id}".encode(), moved)])
        await until(lambda: node.served("web") == {"10.0.0.7"})
        await node.deregister(one.id)
        assert not node.state


async def test_a_token_revoked_at_one_node_is_so_at_all_and_a_comparison_finds_nothing(
    etcd: EtcdCluster, client: Etcd
) -> None:
    async with nodes_of(etcd, 2, ttl=600.0) as (near, far):
        digests = [bytes([number]) * 32 for number in range(3)]
        for sha256 in digests:
            await near.submit(RevokeToken(sha256, "deploy", 1e9 + 0.25, "asked"))
        assert list(near.registry.revoked) == digests
        await until(lambda: far.registry.revoked == near.registry.revoked)
        await until(lambda: far.registry.index == near.registry.index)
        assert await far.engine._upkeep.compare() == 0
        await far.submit(RestoreToken(digests[0], "asked"))
        await client.txn([], [delete(f"reg/r/{digests[1].hex()}".encode())])  # by hand
        await until(lambda: list(near.registry.revoked) == list(far.registry.revoked) == digests[2:])
        async with nodes_of(etcd, 1, ttl=600.0) as (late,):
            assert late.registry.revoked == near.registry.revoked


async def test_a_token_that_is_revoked_during_a_comparison_stays_revoked(
    etcd: EtcdCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with nodes_of(etcd, 1, ttl=600.0) as (node,):
        read, sha256 = Reader.read_all, b"1" * 32

        async def read_and_revoke(*given: Any, **more: Any) -> Found:
            found = await read(*given, **more)
            await node.submit(RevokeToken(sha256, "deploy", None, "asked"))
            return found

        monkeypatch.setattr(Reader, "read_all", read_and_revoke)
        assert await node.engine._upkeep.compare() == 0
        assert sha256 in node.registry.revoked


async def test_who_ended_while_a_node_could_not_follow_reserves_nothing_and_leads_nothing(
    etcd: EtcdCluster, client: Etcd, proxy: Proxy
) -> None:
    away = Node("away", [proxy.url], ttl=600.0)
    other = Node("other", etcd.urls, ttl=600.0)
    other.registry.reserved = {"www": "is fixed in zones/x.zone"}
    try:
        await other.start()
        await until(lambda: other.engine.leads)
        await away.start()
        await until(lambda: "www" in away.registry.reserved_elsewhere and len(away.engine._infos.versions()) == 2)
        proxy.cut()
        await until(lambda: away.engine.not_ready())
        revision = other.engine._mirror.revision
        await other.stop()
        answer = await client.range(b"x")
        assert answer.revision > revision
        await client.call("kv/compaction", {"revision": answer.revision})
        proxy.heal()
        await until(lambda: away.engine._mirror.syncs == 1)
        assert not away.registry.reserved_elsewhere
        assert away.engine._infos.versions().keys() == {away.id}
        await until(lambda: away.engine.leads)
    finally:
        await away.stop()


async def test_a_comparison_does_not_take_who_is_silent_for_back(
    etcd: EtcdCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Silent soon: etcd's time goes on where this process is not run, and takes the key of the other after half a minute.
    async with nodes_of(etcd, 1, ttl=600.0, flush=0.1) as (node,):
        other = Node("other", etcd.urls, ttl=600.0)
        other.registry.reserved = {"www": "is fixed in zones/x.zone"}
        await other.start()
        await until(lambda: "www" in node.registry.reserved_elsewhere)
        await other.kill()
        await until(lambda: node.engine._peers.any_silent)
        before = node.engine._peers.shown(0)[0]["lastHeardSeconds"]
        assert await node.engine._upkeep.compare() == 0
        assert node.engine._peers.shown(0)[0]["lastHeardSeconds"] == before


async def test_wall_clocks_five_minutes_apart_expire_nobody_early_and_keep_nobody_late(etcd: EtcdCluster) -> None:
    async with nodes_of(etcd, 1, skew=300.0) as (ahead,), nodes_of(etcd, 1) as (node,):
        one = await ahead.register("web", "10.0.0.1")
        two = await node.register("web", "10.0.0.2")
        ahead.beats.add(one.spec.key)
        await until(lambda: len(node.state) == 2)
        ahead.skew = -300.0  # and it steps
        await until(lambda: node.served("web") == ahead.served("web") == {"10.0.0.1"})
        assert two.id not in node.served("web")
        await asyncio.sleep(2)
        assert node.served("web") == ahead.served("web") == {"10.0.0.1"}


async def test_a_comparison_finds_nothing_on_a_busy_registry_and_mends_what_a_defect_left(etcd: EtcdCluster) -> None:
    async with nodes_of(etcd, 2, ttl=600.0) as nodes:
        await asyncio.gather(*(nodes[0].register(f"svc{number}", "10.0.0.1") for number in range(50)))
        writing = asyncio.create_task(_write(nodes[0]))
        for _ in range(5):
            assert await nodes[1].engine._upkeep.compare() == 0
        writing.cancel()
        await until(lambda: nodes[1].state == nodes[0].state)
        entry = nodes[1].registry.at(Key("svc7", "10.0.0.1", 3000))
        right = entry.instance
        entry.instance = right._replace(own=Finding(Health.WARNING, "as no commit has said"))
        assert await nodes[1].engine._upkeep.compare() == 1
        await until(lambda: nodes[1].state == nodes[0].state)
        assert nodes[1].engine.stats()["engine"]["mended"] == 1


async def _write(node: Node) -> None:
    for number in range(10_000):
        instance = await node.register(f"more{number % 20}", "10.0.0.2")
        if number % 3:
            await node.deregister(instance.id)


async def test_a_name_that_one_node_reserves_is_reserved_on_all_while_it_lives(etcd: EtcdCluster) -> None:
    async with nodes_of(etcd, 1, ttl=600.0) as (node,):
        other = Node("other", etcd.urls, ttl=600.0)
        other.registry.reserved = {"www": "is fixed in zones/x.zone"}
        await other.start()
        await until(lambda: "www" in node.registry.reserved_elsewhere)
        with pytest.raises(NameReserved):
            await node.register("www", "10.0.0.1")
        await other.stop()
        await until(lambda: not node.registry.reserved_elsewhere)
        await node.register("www", "10.0.0.1")


async def test_the_version_of_a_service_goes_an_hour_after_its_last_instance(etcd: EtcdCluster) -> None:
    async with nodes_of(etcd, 1, ttl=600.0) as (node,):
        gone = await node.register("gone", "10.0.0.1")
        await node.register("stays", "10.0.0.1")
        await node.deregister(gone.id)
        mirror, layout = node.engine._mirror, node.engine._mirror.layout

        def versions() -> dict[str, int]:
            return layout.versions(mirror.revisions)

        for _ in range(6):
            await node.engine._upkeep.sweep()
        assert versions().keys() == {"gone", "stays"}
        await node.engine._upkeep.sweep()
        await until(lambda: versions().keys() == {"stays"})
        again = await node.register("gone", "10.0.0.1")
        assert again.id in node.state
