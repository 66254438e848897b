from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.engines.etcd.cluster import EtcdCluster


@pytest.fixture
async def etcd(tmp_path: Path) -> AsyncIterator[EtcdCluster]:
    """One member."""
    cluster = EtcdCluster(tmp_path, 1)
    try:
        await cluster.start()
        yield cluster
    finally:
        cluster.kill()


@pytest.fixture
async def three(tmp_path: Path) -> AsyncIterator[EtcdCluster]:
    """Three members."""
    cluster = EtcdCluster(tmp_path, 3)
    try:
        await cluster.start()
        yield cluster
    finally:
        cluster.kill()
