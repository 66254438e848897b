"""A real etcd of one member, or of three; a client of the one, and a proxy in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from discovery.engines import etcd as etcd_engine
from discovery.engines.etcd import peers, presence, writes
from discovery.engines.etcd.gateway import Etcd
from tests.engines.etcd import cluster
from tests.engines.etcd.cluster import EtcdCluster, Proxy, cluster_of
from tests.waiting import LIMIT


@pytest.fixture(autouse=True)
def _patient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """An etcd that gets no core for seconds is waited for by a node that starts. The key of a node that is cut off outlasts the test; where
    nothing is cut off or killed, no node is away, and nothing that it knows is old.
    """
    monkeypatch.setattr(etcd_engine, "_START_SECONDS", LIMIT)
    if "proxy" in request.fixturenames:
        monkeypatch.setattr(presence, "NODE_LEASE_SECONDS", 120)
    if "etcd" in request.fixturenames and not {"proxy", "three"} & set(request.fixturenames):
        monkeypatch.setattr(cluster, "PATIENCE", 20.0)
        monkeypatch.setattr(writes, "_ECHO_SECONDS", 20.0)
        monkeypatch.setattr(peers, "FLUSHES", 40)


@pytest.fixture
async def etcd(tmp_path: Path) -> AsyncIterator[EtcdCluster]:
    async with cluster_of(tmp_path, 1) as found:
        yield found


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[EtcdCluster]:
    async with cluster_of(tmp_path, 3) as found:
        yield found


@pytest.fixture
async def client(etcd: EtcdCluster) -> AsyncIterator[Etcd]:
    client = Etcd(etcd.urls, patience=LIMIT)
    await client.open()
    yield client
    await client.close()


@pytest.fixture
async def proxy(etcd: EtcdCluster) -> AsyncIterator[Proxy]:
    proxy = Proxy(etcd.members[0].client)
    await proxy.start()
    yield proxy
    await proxy.close()
