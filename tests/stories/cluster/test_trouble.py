"""An etcd that is full, and a member that answers slowly for many seconds: reads go on, writes are told why, and all heals."""

from __future__ import annotations

import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.engines.etcd.cluster import EtcdCluster
from tests.stories.cluster.crowd import beating
from tests.stories.cluster.nodes import (
    addresses,
    engine,
    etcd_of,
    etcdctl,
    link_to,
    metric,
    node,
    nodes,
    ready,
    url_of,
)  # fmt: skip
from tests.stories.process import until

# Seconds that a slow member takes for each piece: far more than a loaded machine adds to what the registry waits.
SLOW = 30.0
# Longer than clients may get no core.
LEASE = 8
IPS = [f"10.0.0.{number + 1}" for number in range(5)]


def fill(etcd: EtcdCluster) -> None:
    """Until it takes no more."""
    for number in range(200):
        try:
            etcdctl(etcd, "put", f"elsewhere/{number}", "x" * 100_000)
        except subprocess.CalledProcessError:
            return
    raise AssertionError("etcd is never full")


def test_a_full_etcd_refuses_writes_and_says_so_reads_go_on_and_it_heals(tmp_path: Path) -> None:
    with (
        etcd_of(tmp_path, 1, f"--quota-backend-bytes={2 << 20}") as etcd,
        nodes(etcd, 2, HEARTBEAT_TIMEOUT_SECONDS=LEASE) as (one, two),
        beating("web", IPS, (one, two)) as crowd,
    ):
        until(lambda: all(addresses(each, "web") == set(IPS) for each in (one, two)))
        fill(etcd)
        # Nobody has tried to write anything: heartbeats alone tell.
        for each in (one, two):
            until(lambda each=each: "space exceeded" in str(each.request("GET", "/ready").body))  # type: ignore[misc]
        refused = one.request("POST", "/register", {"name": "web", "ip": "10.0.1.1", "port": 80})
        assert refused.status == 503
        assert "space exceeded" in str(refused.body)
        assert "alarm disarm" in str(two.request("GET", "/ready").body), "what to do next"
        assert metric(one, "discovery_engine_writable") == 0
        assert one.request("GET", "/health").status == 200
        ends = time.monotonic() + LEASE + 2
        while time.monotonic() < ends:  # nobody loses a lease by it
            assert all(addresses(each, "web") == set(IPS) for each in (one, two))
            time.sleep(0.1)
        etcdctl(etcd, "del", "--prefix", "elsewhere/")
        revision = engine(one)["revision"]
        etcdctl(etcd, "compact", str(revision))
        etcdctl(etcd, "defrag")
        etcdctl(etcd, "alarm", "disarm")
        until(lambda: ready(one) and ready(two))  # by itself: a balancer sends no writes to who is not ready
        assert one.register("web", "10.0.1.1", 80)
        until(lambda: addresses(two, "web") >= {*IPS, "10.0.1.1"})
        assert not crowd.forgotten
        assert "Traceback" not in "\n".join([*one.log, *two.log])


def test_a_member_that_answers_slowly_is_left_for_another_one_and_nobody_is_lost(tmp_path: Path) -> None:
    with etcd_of(tmp_path, 3) as etcd, link_to(etcd, 0) as first, link_to(etcd, 1) as second:
        both = url_of([first.url, second.url])
        with (
            node(etcd, ENGINE_URL=both, NODE_NAME="a", HEARTBEAT_TIMEOUT_SECONDS=LEASE) as one,
            node(etcd, NODE_NAME="b", HEARTBEAT_TIMEOUT_SECONDS=LEASE) as two,
            beating("web", IPS, (one,)) as crowd,
        ):
            until(lambda: addresses(two, "web") == set(IPS))
            # On a machine that others use the first may have been slow already.
            slow, other = (first, second) if engine(one)["endpoint"] == first.url else (second, first)
            slow.delay = SLOW
            started = time.monotonic()
            until(
                lambda: one.request("POST", "/register", {"name": "late", "ip": "10.0.2.1", "port": 80}).status == 201
            )
            until(lambda: ready(one))
            ends = started + LEASE + 2
            while time.monotonic() < ends:
                asked = time.monotonic()
                assert all(addresses(each, "web") == set(IPS) for each in (one, two))
                assert time.monotonic() - asked < SLOW / 2
                time.sleep(0.1)
            assert one.register("late", "10.0.2.2", 80)
            assert engine(one)["endpoint"] == other.url
            assert not crowd.forgotten


def test_with_no_other_member_a_slow_one_makes_writes_fail_in_good_time_and_reads_go_on(tmp_path: Path) -> None:
    with etcd_of(tmp_path, 1) as etcd, link_to(etcd) as slow, node(etcd, ENGINE_URL=url_of([slow.url])) as one:
        one.register("web", "10.0.0.1", 80, ttl=60)
        slow.delay = SLOW
        refused = one.request("POST", "/register", {"name": "web", "ip": "10.0.0.2", "port": 80})
        assert refused.status == 503
        assert int(refused.headers["Retry-After"]) >= 1
        until(lambda: not ready(one))
        assert addresses(one, "web") >= {"10.0.0.1"}
        slow.delay = 0.0
        slow.cut()  # with what is still on its way
        slow.heal()
        until(lambda: ready(one))
        until(lambda: one.request("POST", "/register", {"name": "web", "ip": "10.0.0.2", "port": 80}).status == 201)


def test_a_node_that_was_stopped_denies_nobody_who_has_registered_meanwhile(tmp_path: Path) -> None:
    with etcd_of(tmp_path) as etcd, nodes(etcd, 2) as (one, stopped), ThreadPoolExecutor(32) as threads:
        stopped.process.send_signal(signal.SIGSTOP)
        time.sleep(5)  # the fault itself: it stands still, and what etcd tells it waits in the connection
        new = [(f"web-{number}", "10.0.0.1", 80) for number in range(300)]
        list(threads.map(lambda each: one.register(*each, ttl=60), new))
        heartbeats = [threads.submit(stopped.heartbeat, *each) for each in new]
        time.sleep(0.5)  # the first of them wait in the sockets
        stopped.process.send_signal(signal.SIGCONT)
        assert {each.result().status for each in heartbeats} <= {200, 503}
        until(lambda: ready(stopped))
        assert {stopped.heartbeat(*each).status for each in new} == {200}
