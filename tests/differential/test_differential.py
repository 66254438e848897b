"""The short run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.differential import names
from tests.differential.driver import Driver
from tests.differential.house import standing


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_surface_says_what_the_model_says_after_every_operation(tmp_path: Path, seed: int) -> None:
    async with standing(tmp_path) as house:
        driver = Driver(house, seed)
        await driver.run(45)
    assert {"GET /resolve", "GET /services", "transfer", "over udp"} <= driver.judge.compared.keys()
    surfaces = [
        names.HOST,
        names.NAMED_PORT,
        names.SERVICE_TYPE,
        names.SUBTYPE,
        names.BROWSED,
        names.BRANCH,
        "browse",
        "reverse",
        "fixed",
    ]
    assert {f"{surface} {how}" for surface in surfaces for how in ("cold", "warm")} <= driver.judge.compared.keys()
    assert len(driver.operations) >= 7
