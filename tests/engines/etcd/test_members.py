"""A member of etcd is killed or stands still."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from discovery.engines.etcd import writes
from discovery.store.registration import Deregister
from tests.engines.etcd.cluster import EtcdCluster, Node, Proxy, leader_of, nodes_of, to_register
from tests.waiting import LIMIT, until


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_no_acknowledged_registration_is_lost_with_the_leader_of_etcd(
    three: EtcdCluster, how: signal.Signals
) -> None:
    async with nodes_of(three, 2, limit=1000, ttl=600.0) as nodes:
        acknowledged: set[str] = set()
        gaps: list[float] = []
        over = asyncio.Event()

        async def write(node: Node, number: int) -> None:
            last = time.monotonic()
            while not over.is_set():
                ip = f"10.{number}.{len(acknowledged) // 250}.{len(acknowledged) % 250 + 1}"
                instance = await node.register(f"svc{number}", ip, 1 + len(acknowledged))
                acknowledged.add(instance.id)
                gaps.append(time.monotonic() - last)
                last = time.monotonic()
                await asyncio.sleep(0.02)

        writers = [asyncio.create_task(write(node, number)) for number, node in enumerate(nodes)]
        await until(lambda: len(acknowledged) > 20)
        leader = await leader_of(three)
        leader.send(how)
        before = len(acknowledged)
        await until(lambda: len(acknowledged) > before + 20)
        over.set()
        await asyncio.gather(*writers)
        await until(lambda: all(acknowledged <= node.state.keys() for node in nodes))
        print(f"{how.name}: {len(acknowledged)} acknowledged, longest gap {max(gaps):.2f} s")


async def test_what_a_member_did_before_its_answer_was_lost_is_not_denied_by_the_next(
    etcd: EtcdCluster, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction is carried out, its answer comes too late, and it is sent again to another member: nothing is left to do."""
    monkeypatch.setattr(writes, "_ECHO_SECONDS", LIMIT)
    # A long flush: however old what the node knows becomes meanwhile, it takes writes.
    node = Node("a", [proxy.url, etcd.urls[0]], ttl=600.0, limit=1, flush=20.0)
    try:
        await node.start()
        one = await node.register("web", "10.0.0.1")
        node.engine._etcd._at = 0
        proxy.delay = 0.6  # there and back: longer than a call may take
        assert (await node.once(Deregister(one.id, "a test"))).id == one.id
        proxy.delay = 0.0
        assert not node.state
        node.engine._etcd._at = 0
        proxy.delay = 0.6
        two = await node.once(to_register("web", "10.0.0.2"))
        proxy.delay = 0.0
        assert node.state.keys() == {two.id}
    finally:
        await node.stop()
