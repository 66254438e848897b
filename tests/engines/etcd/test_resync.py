"""A node that has missed much reads everything again: it changes its table in pieces, and readers see the index once, when it is whole."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from discovery.core import codec, exact_json
from discovery.core.event import Commit
from discovery.core.instance import Instance, Registration
from discovery.engines.etcd import following
from discovery.engines.etcd.gateway import Etcd
from discovery.engines.etcd.messages import Changes, delete_all, put
from discovery.store.log import Compacted
from tests.engines.etcd.cluster import EtcdCluster, Node, Proxy, nodes_of
from tests.patient import clock
from tests.waiting import until

# Instances that the node has missed, a few to a service; keys of one of etcd's transactions.
MISSED, AT_ONCE = 3_000, 100


async def fill(etcd: Etcd) -> None:
    """By hand, so that it takes a second."""
    for start in range(0, MISSED, AT_ONCE):
        puts = []
        for number in range(start, start + AT_ONCE):
            spec = Registration.of(f"svc-{number // 4}", f"10.0.{number // 250}.{number % 250}", 80)
            instance = Instance(f"id-{number}", 1e9, spec)
            key = f"reg/i/{spec.name}/{instance.id}".encode()
            puts.append(put(key, exact_json.dumps(codec.of_instance(instance))))
        await etcd.txn([], puts)


async def test_a_large_resync_is_seen_once_when_it_is_whole_and_holds_nobody_up(
    etcd: EtcdCluster, client: Etcd, proxy: Proxy
) -> None:
    away = Node("away", [proxy.url], ttl=600.0)
    try:
        async with nodes_of(etcd, 1, ttl=600.0) as (node,):
            await away.start()
            first = await node.register("first", "10.9.0.1")
            await until(lambda: first.id in away.state)
            seen = away.registry.index
            proxy.cut()
            await until(lambda: away.engine.not_ready())
            await fill(client)
            await node.deregister(first.id)
            await until(lambda: len(node.registry) == MISSED)
            await client.call("kv/compaction", {"revision": node.engine._mirror.revision})
            told: list[tuple[int, int]] = []
            away.registry.index_followers.append(lambda services: told.append((away.registry.index, len(services))))
            gc.disable()  # a collection looks at all that other tests have left, too
            proxy.heal()
            turns, ahead, worst = 0, set[int](), 0.0
            deadline = time.monotonic() + 60
            while not told:
                started = time.thread_time()
                await asyncio.sleep(0)
                worst = max(worst, time.thread_time() - started)
                turns += 1
                assert time.monotonic() < deadline
                if away.registry.is_ahead and not told:
                    ahead.add(len(away.registry))
                    assert away.registry.index == seen
                    assert away.registry.index_of("svc-0") <= seen
                    assert not away.registry.log.after(seen)
            assert len(ahead) > 5, "it was done in pieces"
            assert (len(away.registry), away.registry.is_ahead) == (MISSED, False)
            [(index, services)] = told
            assert (index, services) == (node.registry.index, MISSED // 4 + 1)
            assert away.state == node.state
            commits = away.registry.log.after(seen)
            assert sum(len(commit.events) for commit in commits) == MISSED + 1
            assert {commit.index for commit in commits} == {index}
            assert worst < 0.05, f"{worst:.3f} s of the event loop's thread in one turn"
            print(f"{len(ahead)} pieces in {turns} turns; the longest took {worst * 1000:.1f} ms of the processor")
    finally:
        gc.enable()
        await away.stop()


async def test_a_resync_larger_than_the_log_is_a_reset_and_one_that_was_cut_is_begun_again(
    etcd: EtcdCluster, client: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with nodes_of(etcd, 1, ttl=600.0) as (node,):
        mirror, registry = node.engine._mirror, node.registry
        monkeypatch.setattr(registry.log, "_max_events", 2 * AT_ONCE)
        await node.register("first", "10.9.0.1")
        seen, take, sync, change = registry.index, mirror.take, mirror.sync, registry.change
        filled = asyncio.Event()
        halves: list[tuple[int, bool, int]] = []

        async def lost(changes: Changes) -> None:
            mirror.etcd = ""
            raise RuntimeError("a defect")

        def fails_once(commit: Commit, at: float) -> None:
            if len(registry) > MISSED / 2 and not halves:
                halves.append((len(registry), registry.is_ahead, registry.index))
                raise RuntimeError("another one")
            change(commit, at)

        async def once_it_is_filled() -> None:
            await filled.wait()
            await sync()

        monkeypatch.setattr(mirror, "take", lost)
        monkeypatch.setattr(mirror, "sync", once_it_is_filled)
        monkeypatch.setattr(registry, "change", fails_once)
        await fill(client)
        monkeypatch.setattr(mirror, "take", take)
        filled.set()
        await until(lambda: len(registry) == MISSED + 1 and not registry.is_ahead)
        [(number, is_ahead, index)] = halves
        assert MISSED / 2 < number < MISSED
        assert (is_ahead, index) == (True, seen), "nobody has seen half of it"
        assert registry.index > seen
        with pytest.raises(Compacted) as gone:
            registry.log.after(seen)
        assert gone.value.oldest == registry.index
        assert await node.engine._upkeep.compare() == 0
        told: list[tuple[int, int]] = []
        registry.index_followers.append(lambda services: told.append((len(registry), len(services))))
        await client.txn([], [delete_all(b"reg/i")])  # `etcdctl del --prefix`: one revision
        await until(lambda: told)
        assert told == [(0, MISSED // 4 + 1)]


async def test_while_a_revision_is_applied_in_pieces_nobody_decides_on_half_of_it(
    etcd: EtcdCluster, client: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision that cannot be read, so that its keys are applied one by one: what it compares is known when they all are."""
    async with nodes_of(etcd, 1, ttl=600.0) as (node,):
        await node.register("first", "10.9.0.1")
        mirror, version = node.engine._mirror, node.engine._mirror.layout.version("svc-0")
        pieces, seen = mirror.change_in_pieces, list[int | None]()

        async def look(*given: Any) -> int:
            seen.append(mirror.revisions.get(version))
            return await pieces(*given)

        monkeypatch.setattr(mirror, "change_in_pieces", look)
        instance = Instance("id-0", 1e9, Registration.of("svc-0", "10.0.0.1", 80))
        value = exact_json.dumps(codec.of_instance(instance))
        done = await client.txn([], [put(b"reg/i/svc-0/id-0", value), put(version, b""), put(b"reg/commit", b"?")])
        await until(lambda: mirror.revisions.get(version) == done.revision)
        assert seen == [None]
        assert "id-0" in node.state


async def test_a_node_that_missed_compacted_history_reads_all_again_and_is_fresh_when_it_has_caught_up(
    etcd: EtcdCluster, client: Etcd, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A batch of its own that is found then comes too early; and of the others' there is only the latest."""
    while_behind, judged_from = list[str | None](), list[float]()
    async with nodes_of(etcd, 1, ttl=600.0) as (node,), nodes_of(proxy, 1, ttl=600.0) as (away,):
        mirror, peers = away.engine._mirror, away.engine._peers
        read_all, pieces, sync = mirror.reader.read_all, mirror.change_in_pieces, mirror.sync
        watched, order = away.engine._following._watched, list[str]()

        class Pauses(tuple[float, ...]):
            def __getitem__(self, number: Any) -> Any:
                order.append("it waits")
                return super().__getitem__(number)

        def follows() -> AsyncGenerator[Changes, None]:
            order.append("it follows")
            return watched()

        async def read_own_batch(*given: Any) -> Any:
            await away.engine._presence.flush()
            return await read_all(*given)

        async def look(*given: Any) -> int:
            while_behind.append(away.engine.not_ready())
            return await pieces(*given)

        async def synced() -> None:
            await sync()
            order.append("all is read")
            judged_from.append(min(status.since for status in (peers.own, *peers.others)))

        stays, goes = [await node.register("web", f"10.0.0.{number}") for number in (1, 2)]
        await until(lambda: len(away.state) == 2)
        monkeypatch.setattr(mirror.reader, "read_all", read_own_batch)
        monkeypatch.setattr(mirror, "change_in_pieces", look)
        monkeypatch.setattr(mirror, "sync", synced)
        monkeypatch.setattr(away.engine._following, "_watched", follows)
        monkeypatch.setattr(following, "_RETRY_SECONDS", Pauses(following._RETRY_SECONDS))
        proxy.cut()
        await until(lambda: away.engine.not_ready())
        await node.deregister(goes.id)
        comes = await node.register("web", "10.0.0.3")
        await client.call("kv/compaction", {"revision": node.engine._mirror.revision})
        healed = clock()
        proxy.heal()
        await until(lambda: away.engine.not_ready() is None)
        assert away.state.keys() == {stays.id, comes.id}
        assert "compacted" in caplog.text
        assert mirror.syncs == len(while_behind) == 1
        assert "has not told this node" in (while_behind[0] or "it was ready")
        assert judged_from[0] > healed
        last = await node.register("web", "10.0.0.4")
        await until(lambda: last.id in away.state)
        assert order[order.index("all is read") + 1] == "it follows", "at once, however long it could not"
        assert away.state == node.state
        assert away.registry.index == node.registry.index
