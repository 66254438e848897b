"""The short run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.differential import names
from tests.differential.driver import OPERATIONS, Driver
from tests.differential.house import standing


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_surface_says_what_the_model_says_after_every_operation(tmp_path: Path, seed: int) -> None:
    async with standing(tmp_path) as house:
        driver = Driver(house, seed)
        await driver.run(45)
    surfaces = [
        names.HOST,
        names.NAMED_PORT,
        names.SERVICE_TYPE,
        names.SUBTYPE,
        names.BRANCH,
        "browse",
        "reverse",
        "fixed",
    ]
    compared = {f"{surface} {how}" for surface in surfaces for how in ("cold", "warm")}
    compared |= {"GET /resolve", "GET /services", "GET /maintenance", "transfer", "over udp", "serial"}
    assert compared <= driver.judge.compared.keys(), "nothing was left out"
    assert len(driver.operations) == len(OPERATIONS)
