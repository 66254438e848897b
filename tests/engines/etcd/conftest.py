"""A real etcd of one member, or of three; a client of the one, and a proxy in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from discovery.engines.etcd import gateway, peers
from discovery.engines.etcd.gateway import Etcd
from tests.engines.etcd.cluster import EtcdCluster, Proxy, cluster_of


@pytest.fixture(autouse=True)
def _patient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is cut off or killed, an etcd that gets no core for seconds is waited for: no node is away, nothing it knows is old."""
    if "etcd" in request.fixturenames and not {"proxy", "three"} & set(request.fixturenames):
        monkeypatch.setattr(gateway, "CALL_SECONDS", 20.0)
        monkeypatch.setattr(peers, "FLUSHES", 40)


@pytest.fixture
async def etcd(tmp_path: Path) -> AsyncIterator[EtcdCluster]:
    async with cluster_of(tmp_path, 1) as cluster:
        yield cluster


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[EtcdCluster]:
    async with cluster_of(tmp_path, 3) as cluster:
        yield cluster


@pytest.fixture
async def client(etcd: EtcdCluster) -> AsyncIterator[Etcd]:
    client = Etcd(etcd.urls)
    await client.open()
    yield client
    await client.close()


@pytest.fixture
async def proxy(etcd: EtcdCluster) -> AsyncIterator[Proxy]:
    proxy = Proxy(etcd.members[0].client)
    await proxy.start()
    yield proxy
    await proxy.close()
