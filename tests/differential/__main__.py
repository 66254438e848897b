"""The long run, which prints how much it compared: `python -m tests.differential --operations 10000 --seed 1`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import tempfile
from pathlib import Path

from tests.differential.driver import Driver
from tests.differential.house import standing


async def run(operations: int, seed: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        async with standing(Path(folder)) as house:
            driver = Driver(house, seed)
            await driver.run(operations)
            return driver.report()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.disable()
    print(asyncio.run(run(arguments.operations, arguments.seed)))
