"""A table of 100,000 instances: its memory, and what one request or a mass expiry does to DNS, asked every millisecond meanwhile.

How long the event loop was held is seen from outside, as the longest that a DNS query waited; what it waits on an idle server
is allowed for. python -m tests.benchmarks.scale [rounds]
"""

from __future__ import annotations

import http.client
import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks import report
from tests.benchmarks.fleet import Instance, fleet, register, register_until
from tests.benchmarks.isolation import enter
from tests.benchmarks.probe import Latencies, probing
from tests.benchmarks.rivals import CLIENT_CORE, SERVER_CORE
from tests.stories.process import Discovery, running

SERVICES, INSTANCES = 10_000, 10
LAPSING = 50_000
QUERIES = 1000  # a second
# Services that are asked for while memory is measured: what DNS keeps of many is not the table's.
FEW = 50
MEMORY_KIB, P99_MS, HELD_MS = 1.2, 20, 10
# Seconds until the leases of the mass expiry run out together: longer than registering takes.
LEASE = 30
CLEANUP_INTERVAL = 3
# Seconds without the server at work, before what is measured.
PAUSE = 1.0


class Request(NamedTuple):
    """`times` in a row for one measurement, so that there are queries enough for a percentile."""

    method: str
    path: str
    times: int = 1


REQUESTS = [Request("GET", "/services"), Request("GET", "/stats", 50), Request("GET", "/health", 500)]
METRICS = Request("GET", "/metrics", 5)


def main() -> None:
    enter()
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    report.machine()
    prefix = ["taskset", "-c", SERVER_CORE]
    # The brake would hold the half that falls silent: here they are to run out.
    with running(
        prefix=prefix,
        LOG_LEVEL="warning",
        CLEANUP_INTERVAL_SECONDS=CLEANUP_INTERVAL,
        REGISTERS_PER_SECOND=0,
        BRAKE_PERCENT=0,
    ) as server:
        held = HELD_MS + _during("idle", server, lambda: time.sleep(3), HELD_MS).worst
        _memory(server, held)
        has_metrics = server.request("GET", "/metrics").status == 200
        print("" if has_metrics else "There is no GET /metrics yet, so it is not measured.", flush=True)
        for request in [*REQUESTS, *([METRICS] if has_metrics else [])]:
            for number in range(rounds):
                title = f"{request.method} {request.path} × {request.times}, round {number + 1}"
                _during(title, server, lambda request=request: _send(server, request), held)  # type: ignore[misc]
        _during("POST /admin/clear", server, lambda: _send(server, Request("POST", "/admin/clear")), held)
        _mass_expiry(server, held)


def _memory(server: Discovery, held: float) -> None:
    register(server.port, fleet(1, 1))  # what the first request brings into memory is not the table's
    server.ask("s0.svc.local")
    before = resident(server)
    register(server.port, fleet(SERVICES, INSTANCES // 2))
    rest = "the other half is registered"
    _during(rest, server, lambda: register(server.port, fleet(SERVICES, INSTANCES)), held, asked=FEW)
    memory = (resident(server) - before) / (SERVICES * INSTANCES)
    report.at_most("memory for each instance", memory, MEMORY_KIB, "KiB")


def _mass_expiry(server: Discovery, held: float) -> None:
    """On top of as many that stay. The cleanup that removes them comes one to two intervals after the leases' end."""
    register(server.port, fleet(SERVICES // 2, INSTANCES))
    end = time.monotonic() + LEASE
    register_until(server.port, _lapsing(), end)
    ready = end - 3 * PAUSE  # the probe takes its time to start
    assert time.monotonic() < ready, "LEASE is too short for this machine"
    time.sleep(ready - time.monotonic())
    _during(f"{LAPSING:,} leases run out at once", server, lambda: time.sleep(end + PAUSE - time.monotonic()), held)
    _during("the cleanup removes them", server, lambda: _until_removed(server), held)


def _lapsing() -> Iterator[Instance]:
    members = fleet(SERVICES, INSTANCES)
    return (one._replace(name=f"lapsing-{one.name}") for one in islice(members, LAPSING))


def _during(
    title: str, server: Discovery, action: Callable[[], object], held: float, asked: int = SERVICES // 2
) -> Latencies:
    """Does it with DNS queries for `asked` services beside it; prints what they waited."""
    time.sleep(PAUSE)
    names = [f"s{number}.svc.local" for number in range(asked)]
    with probing(server.dns_port, names, QUERIES) as probe:
        start = time.monotonic()
        action()
        took = time.monotonic() - start
    seen = probe.latencies
    lost = f", {seen.lost} LOST" if seen.lost else ""
    note = f"p50 {seen.ms(50):.2f} of {len(seen.values):,} in {took:.2f} s{lost}; the probe late by {seen.late:.1f} at most"
    report.at_most(f"{title}: DNS p99", seen.ms(99), P99_MS, "ms", note)
    report.at_most(f"{title}: DNS max", seen.worst, held, "ms")
    return seen


def _send(server: Discovery, request: Request) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    for _ in range(request.times):
        connection.request(request.method, request.path)
        response = connection.getresponse()
        assert response.status == 200, response.status
        response.read()
    connection.close()


def _until_removed(server: Discovery) -> None:
    while server.request("GET", "/stats").body["totalCleanups"] < LAPSING:
        time.sleep(0.2)


def resident(server: Discovery) -> int:
    """KiB."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmRSS")))


if __name__ == "__main__":
    main()
