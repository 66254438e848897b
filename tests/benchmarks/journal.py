"""What the journal costs: rows a second through its writer, fsync included, and registrations a second over HTTP with it and without.

The files are in a folder of their own below FOLDER (default: the current folder), which should be on a disk, not in memory.

python -m tests.benchmarks.journal [FOLDER]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

import uvloop

from discovery.core.instance import Instance, Registration
from discovery.plugins.journal.database import Database, Op, Writer, create, writer_of
from discovery.plugins.journal.files import FILE
from discovery.plugins.journal.rows import of_instance
from discovery.plugins.journal.schema import PUT_INSTANCE
from tests.benchmarks import report
from tests.benchmarks.isolation import enter
from tests.benchmarks.rivals import SERVER_CORE
from tests.benchmarks.wrk import wrk
from tests.stories.process import running

SECONDS = 3
# Connections that register one after the other; a batch is one commit of so many rows.
CONNECTIONS = (1, 8, 32, 128)
BATCH, BATCH_CONNECTIONS = 1000, 4
TARGET = 5000

_REGISTER = """
local n = 0
request = function()
  n = n + 1
  local s, i = n % 10000, math.floor(n / 10000)
  local ip = string.format("10.%d.%d.%d", math.floor(s / 256), s % 256, i % 8 + 1)
  local body = string.format('{"name":"s%d","ip":"%s","port":3000,"ttl":3600,"metadata":{"version":"1.0.0"}}', s, ip)
  return wrk.format("POST", "/register", {["Content-Type"] = "application/json"}, body)
end
"""


def main() -> None:
    enter()
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    report.machine()
    for connections in CONNECTIONS:
        uvloop.run(_rows(folder, connections, 1))
    uvloop.run(_rows(folder, BATCH_CONNECTIONS, BATCH))
    without = _registrations(None)
    with tempfile.TemporaryDirectory(dir=folder) as data:
        durable = _registrations(data)
    print(f"{durable / without:6.2f}  with the journal, times without; target {TARGET:,}/s")


async def _rows(folder: Path, connections: int, batch: int) -> None:
    numbers = count()
    groups = 0

    class Counting(Database):
        def commit(self, ops: object) -> None:
            nonlocal groups
            groups += 1
            super().commit(ops)  # type: ignore[arg-type]

    with tempfile.TemporaryDirectory(dir=folder) as data:
        create(Path(data) / FILE)
        writer = writer_of(Counting(Path(data) / FILE))
        started = time.perf_counter()
        end = started + SECONDS
        await asyncio.gather(*(_client(writer, numbers, batch, end) for _ in range(connections)))
        seconds = time.perf_counter() - started
        rows = writer.done * batch
        await writer.close()
    print(
        f"writer  {connections:4} connections, commits of {batch:5,} rows {rows / seconds:10,.0f} rows/s"
        f"   ({rows / groups:,.0f} rows and {1000 * seconds / groups:.2f} ms a group)",
        flush=True,
    )


async def _client(writer: Writer, numbers: count[int], batch: int, end: float) -> None:
    while time.perf_counter() < end:
        await writer.settled(writer.put([_put(next(numbers)) for _ in range(batch)]))


def _put(number: int) -> Op:
    address = f"10.0.{number >> 8 & 255}.{number & 255}"
    spec = Registration(name=f"s{number % 10000}", ip=address, port=3000, metadata=b'{"version":"1.0.0"}')
    # Ids are spread over the whole index, as random ones are.
    return (PUT_INSTANCE, of_instance(Instance(f"{number * 2654435761 % 2**32:08x}-{number:027x}", 1.7e9, spec)))


def _registrations(data: str | None) -> float:
    prefix = ["taskset", "-c", SERVER_CORE]
    settings: dict[str, str | int] = {"LOG_LEVEL": "warning", "REGISTERS_PER_SECOND": 0, "DATA_DIR": data or ""}
    with running(Path(), prefix, **settings) as server:
        rate = wrk(server.port, _REGISTER, 32, SECONDS).a_second
    where = "with the journal" if data else "in memory alone "
    print(f"HTTP      32 connections, {where}          {rate:10,.0f} registrations/s", flush=True)
    return rate


if __name__ == "__main__":
    main()
