"""Ten seconds of random loss and return; `python -m tests.engines.etcd.chaos` has longer ones."""

from __future__ import annotations

from pathlib import Path

from tests.engines.etcd import chaos


async def test_after_random_faults_all_mirrors_equal_etcd_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    done = await chaos.run(tmp_path, 10, seed=0)
    assert done.done["register"] > 0
