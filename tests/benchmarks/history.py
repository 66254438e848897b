"""What the history costs: registrations a second over HTTP with it and without, octets of an event, and a checkpoint of 100,000 instances.

The files are in a folder of their own below FOLDER (default: the current folder), which should be on a disk, not in memory.

python -m tests.benchmarks.history [FOLDER]
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from discovery.core.caller import Caller
from discovery.core.event import RESTORE, Commit
from discovery.core.instance import Registration
from discovery.core.kinds import RegistrySettings
from discovery.plugins.history import file as files
from discovery.plugins.history.asked import Asked
from discovery.plugins.history.folder import Folder
from discovery.plugins.history.reading import Reading
from discovery.plugins.history.recorder import Recorder
from discovery.store.registration import Register
from discovery.store.registry import Registry
from tests.benchmarks import report
from tests.benchmarks.isolation import enter
from tests.benchmarks.journal import _REGISTER
from tests.benchmarks.rivals import SERVER_CORE
from tests.benchmarks.wrk import wrk
from tests.stories.process import running
from tests.stories.standards.memory import processor

SECONDS, ROUNDS = 3, 4
INSTANCES = 100_000


def main() -> None:
    enter()
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    report.machine()
    with tempfile.TemporaryDirectory(dir=folder) as data:
        asyncio.run(_checkpoint(Path(data)))
    _over_http(folder)


def _over_http(folder: Path) -> None:
    rates: dict[int, list[float]] = {0: [], 7: []}
    costs: dict[int, list[float]] = {0: [], 7: []}
    for _ in range(ROUNDS):
        for days in rates:
            with tempfile.TemporaryDirectory(dir=folder) as data:
                rate, cost = _registrations(data, days)
            rates[days].append(rate)
            costs[days].append(cost)
    for days, title in ((0, "without the history"), (7, "with it")):
        report.fact(
            f"registrations a second, {title}", statistics.median(rates[days]), note=f"{len(rates[days])} rounds"
        )
        report.fact(f"processor time of one, {title}", statistics.median(costs[days]) * 1e6, "µs")
    report.fact("rate with it, times without", statistics.median(rates[7]) / statistics.median(rates[0]))


def _registrations(data: str, days: int) -> tuple[float, float]:
    """A second, and processor seconds of the server for one."""
    settings: dict[str, str | int] = {
        "LOG_LEVEL": "warning",
        "REGISTERS_PER_SECOND": 0,
        "DATA_DIR": data,
        "HISTORY_DAYS": days,
    }
    with running(Path(), ["taskset", "-c", SERVER_CORE], **settings) as server:
        before = processor(server.process.pid)
        found = wrk(server.port, _REGISTER, 32, SECONDS)
        return found.a_second, (processor(server.process.pid) - before) / (found.a_second * SECONDS)


async def _checkpoint(path: Path) -> None:
    registry = Registry(
        RegistrySettings(10, 10, 1_000_000, 10_000_000),
        cleanup_interval=5,
        new_id=lambda: os.urandom(16).hex(),
        started_at=0.0,
        index=1,
    )
    folder = Folder(path / "history", 7, 4 * 2**30)
    recorder = Recorder(folder, registry, time.time)
    recorder.follow_commit(Commit(1, time.time(), Caller(""), RESTORE, ()))
    registry.followers.append(recorder.follow_commit)
    for number in range(INSTANCES):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        spec = Registration(name=f"s{number % 10000}", ip=address, port=3000, metadata=b'{"version":"1.0.0"}')
        registry.carry_out(Register(spec), 0.0, time.time(), Caller("10.0.0.9", "ci"))
        if number % 1000 == 0:
            await recorder.flushed()
    await recorder.flushed()
    report.fact("octets of a registration in the file", files.size(folder.files[0].path) / INSTANCES)
    started = time.perf_counter()
    found = Reading(folder.files).page(Asked(frozenset({"s77"})))
    report.fact(
        f"one service of 10,000 among {INSTANCES:,} events",
        1000 * (time.perf_counter() - started),
        "ms",
        f"{len(found.items)} events",
    )
    started = time.thread_time()  # others' processes are none of its business
    recorder.follow_commit(Commit(registry.index + 1, time.time() + 86400, Caller(""), "tomorrow", ()))
    report.at_most(
        f"the loop is held by a checkpoint of {INSTANCES:,}", 1000 * (time.thread_time() - started), 10, "ms"
    )
    started, most = time.perf_counter(), 0.0
    done = asyncio.ensure_future(recorder.writer.settled(recorder.writer.added))
    while not done.done():
        turn = time.perf_counter()
        await asyncio.sleep(0.001)
        most = max(most, time.perf_counter() - turn - 0.001)
    report.fact("its file is written in", 1000 * (time.perf_counter() - started), "ms")
    report.at_most("meanwhile the loop is late by", 1000 * most, 10, "ms")
    report.fact("octets of an instance in it", files.size(folder.files[1].path) / INSTANCES)
    await recorder.close()


if __name__ == "__main__":
    main()
