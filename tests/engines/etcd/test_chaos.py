"""Ten seconds of random loss and return; `python -m tests.engines.etcd.chaos` has longer ones."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.engines.etcd import chaos


@settings(
    max_examples=1,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32))
async def test_after_random_faults_all_mirrors_equal_etcd_and_nothing_acknowledged_is_lost(
    tmp_path: Path, seed: int
) -> None:
    print(f"seed {seed}")
    done = await chaos.run(tmp_path, 10, seed)
    assert done.done["register"] > 0
