"""100,000 instances are restored within four seconds of one core: the best of three processes, unless the first will do.

The process's own time counts: others that use the machine meanwhile make it longer only by what they take of its caches. On a quiet
machine it takes less than two.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.plugins.journal.making import child, line_of

INSTANCES = 100_000
SECONDS = 4.0
TRIES = 3

FILL = """
import sys, contextlib, pathlib
from discovery.core.instance import Instance, Registration
from discovery.plugins.journal import files
from tests.plugins.journal.making import a_database, puts

def instance(service, number):
    metadata = {"version": "1.2.3", "zone": "eu"}
    spec = Registration.of(f"service-{service}", f"10.{service >> 8}.{service & 255}.{number + 1}", 3000, metadata=metadata)
    return Instance(f"{service:08x}-87bb-40b9-ad9b-{number:012x}", 1.7e9 + number, spec)

with contextlib.closing(a_database(pathlib.Path(sys.argv[1]) / files.FILE)) as opened:
    opened.commit(puts(instance(service, number) for service in range(int(sys.argv[2]) // 10) for number in range(10)))
print("filled")
"""
RESTORE = """
import sys, asyncio, pathlib, time
from discovery.cli import gc_tuning
from discovery.engines.local import LocalEngine
from discovery.plugins import Seams
from discovery.plugins.journal import Journal
from tests.store.making import a_registry

async def main():
    registry = a_registry()
    journal = Journal(pathlib.Path(sys.argv[1]), registry)
    seams = Seams(followers=registry.followers)
    journal.install(seams)
    gc_tuning.tune()
    started = time.process_time()
    await LocalEngine(registry, time.monotonic, time.time, seams).open()
    seconds = time.process_time() - started
    await journal.close()
    print(len(registry), seconds)

asyncio.run(main())
"""


def restored(folder: Path) -> float:
    """Seconds."""
    with child(RESTORE, folder) as process:
        count, seconds = line_of(process).split()
    assert int(count) == INSTANCES
    return float(seconds)


def test_a_hundred_thousand_instances_are_restored_within_four_seconds(tmp_path: Path) -> None:
    with child(FILL, tmp_path, INSTANCES) as process:
        assert line_of(process) == "filled"
    tries = [restored(tmp_path)]
    while tries[-1] > SECONDS and len(tries) < TRIES:
        tries.append(restored(tmp_path))
    print(f"{INSTANCES:,} instances restored in {min(tries):.2f} s, load {os.getloadavg()[0]:.1f}")
    assert min(tries) <= SECONDS
