"""A real etcd and `discovery serve` processes on it; and one reading of each that several stories compare."""

from __future__ import annotations

import asyncio
import re
import subprocess
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.engines.etcd.cluster import EtcdCluster, Proxy
from tests.programs import program
from tests.stories.nursery import Fork
from tests.stories.process import LIMIT, ROOT, Discovery, environment, running, until

# Seconds.
TTL, FLUSH = 3, 0.5
SETTINGS = {
    "HEARTBEAT_TIMEOUT_SECONDS": TTL,
    "ETCD_FLUSH_SECONDS": FLUSH,
    "CLEANUP_INTERVAL_SECONDS": 1,
    "MAX_INSTANCES_PER_SERVICE": 50,
}


@contextmanager
def etcd_of(folder: Path, size: int = 1, *more: str) -> Iterator[EtcdCluster]:
    """`more`: arguments of etcd's own. It answers."""
    cluster = EtcdCluster(folder, size)
    try:
        asyncio.run(cluster.start(*more))
        yield cluster
    finally:
        cluster.kill()


@contextmanager
def link_to(etcd: EtcdCluster, member: int = 0) -> Iterator[Proxy]:
    """A proxy in front of a member, which runs in a thread of its own; `cut` and `heal` are called in it."""
    proxy = Proxy(etcd.members[member].client)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(proxy.start(), loop).result()
        cut, heal = proxy.cut, proxy.heal
        proxy.cut = lambda: loop.call_soon_threadsafe(cut)  # type: ignore[method-assign,assignment]  # from the test's thread
        proxy.heal = lambda: loop.call_soon_threadsafe(heal)  # type: ignore[method-assign,assignment]
        try:
            yield proxy
        finally:
            proxy.cut = cut  # type: ignore[method-assign]
            asyncio.run_coroutine_threadsafe(proxy.close(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def url_of(endpoints: Sequence[str]) -> str:
    """For ENGINE_URL, of `http://HOST:PORT`."""
    return "etcd://" + ",".join(endpoint.removeprefix("http://") for endpoint in endpoints)


@contextmanager
def node(etcd: EtcdCluster, **settings: Any) -> Iterator[Discovery]:
    with running(**SETTINGS | {"ENGINE_URL": url_of(etcd.urls)} | settings) as server:
        yield server


@contextmanager
def nodes(etcd: EtcdCluster, count: int, **settings: Any) -> Iterator[list[Discovery]]:
    """Named a, b, c, …; one of them leads, and each hears the others."""
    with ExitStack() as stack:
        found = [stack.enter_context(node(etcd, NODE_NAME=name, **settings)) for name in "abcdefgh"[:count]]
        until(lambda: all(len(engine(one)["nodes"]) == count - 1 and engine(one)["leader"] for one in found))
        yield found


def engine(server: Discovery) -> Any:
    """What /stats says of it."""
    return server.request("GET", "/stats").body["engine"]


def ready(server: Discovery) -> bool:
    return server.request("GET", "/ready").status == 200


def serial(server: Discovery) -> int:
    return int(server.ask("svc.local", "SOA").answer[0][0].serial)


def addresses(server: Discovery, service: str) -> set[str]:
    """Over DNS."""
    return {rdata.to_text() for rrset in server.ask(f"{service}.svc.local").answer for rdata in rrset}


def index(server: Discovery) -> int:
    """The registry's."""
    return int(server.request("GET", "/services").headers["X-Registry-Index"])


def metrics(server: Discovery) -> str:
    """The page of /metrics."""
    with urllib.request.urlopen(f"{server.http}/metrics", timeout=LIMIT) as reply:
        return str(reply.read().decode())


def metric(server: Discovery, series: str) -> float:
    """As the page spells it, with its labels."""
    [value] = re.findall(rf"^{re.escape(series)} (\S+)$", metrics(server), re.M)
    return float(value)


def starts_and_fails(**settings: Any) -> tuple[int, str]:
    """The exit status of a server that cannot start, and what it said. An etcd that gets no core for a second is asked again."""
    while True:
        process = Fork(ROOT, environment(**SETTINGS | settings))
        said = "".join(process.communicate(LIMIT))
        if "no answer within" not in said:
            return process.wait(), said


def etcdctl(etcd: EtcdCluster, *arguments: str) -> str:
    done = subprocess.run(
        [program("etcdctl"), f"--endpoints={etcd.urls[0]}", *arguments], capture_output=True, text=True, timeout=LIMIT,
        check=True,
    )  # fmt: skip
    return done.stdout
