"""A table of 100,000 instances: its memory, and what one request or a mass expiry does to DNS, asked every millisecond meanwhile.

How long the event loop was held is seen from outside, as the longest that a DNS query waited; what it waits on an idle server
is allowed for. python -m tests.benchmarks.scale [rounds]
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks import report
from tests.benchmarks.fleet import Instance, fleet, pipelined, post, register, register_until
from tests.benchmarks.isolation import enter
from tests.benchmarks.probe import Latencies, probing
from tests.benchmarks.rivals import CLIENT_CORE, SERVER_CORE
from tests.stories.process import Discovery, running, until

SERVICES, INSTANCES = 10_000, 10
LAPSING = 50_000
QUERIES = 1000  # a second
MEMORY_KIB, P99_MS, HELD_MS = 1.2, 20, 10
# Seconds until the leases of the mass expiry run out together: longer than registering takes.
LEASE = 60
CLEANUP_INTERVAL = 2
# Seconds without the server at work, before what is measured.
PAUSE = 1.0


class Request(NamedTuple):
    """`times` in a row for one measurement, so that there are queries enough for a percentile."""

    method: str
    path: str
    times: int = 1

    def octets(self) -> bytes:
        if self.method == "POST":
            return post(self.path, b"")
        return f"{self.method} {self.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()


REQUESTS = [Request("GET", "/services"), Request("GET", "/stats", 50), Request("GET", "/health", 500)]


def main() -> None:
    enter()
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    report.machine()
    prefix = ["taskset", "-c", SERVER_CORE]
    with running(prefix=prefix, LOG_LEVEL="warning", CLEANUP_INTERVAL_SECONDS=CLEANUP_INTERVAL) as server:
        _memory(server)
        idle = _during("idle", server, lambda: time.sleep(3), float("inf"))
        held = HELD_MS + idle.worst
        print("There is no GET /metrics yet, so it is not measured." if not _has_metrics(server) else "", flush=True)
        requests = [*REQUESTS, *([Request("GET", "/metrics", 5)] if _has_metrics(server) else [])]
        for request in requests:
            for number in range(rounds):
                title = f"{request.method} {request.path} × {request.times}, round {number + 1}"
                _during(title, server, lambda request=request: _send(server, request), held)  # type: ignore[misc]
        _during("POST /admin/clear", server, lambda: _send(server, Request("POST", "/admin/clear")), held)
        _mass_expiry(server, held)


def _memory(server: Discovery) -> None:
    register(server.port, fleet(1, 1))  # what the first request brings into memory is not the table's
    server.ask("s0.svc.local")
    before = _resident(server)
    start = time.monotonic()
    count = register(server.port, fleet(SERVICES, INSTANCES))
    took = time.monotonic() - start
    report.fact(f"{count:,} registrations, pipelined", count / took, "a second")
    report.at_most("memory for each instance", (_resident(server) - before) / count, MEMORY_KIB, "KiB")


def _mass_expiry(server: Discovery, held: float) -> None:
    """On top of as many that stay. The cleanup that removes them comes one to two intervals after the leases' end."""
    register(server.port, fleet(SERVICES // 2, INSTANCES))
    end = time.monotonic() + LEASE
    lapsing = _lapsing()
    register_until(server.port, lapsing, end)
    assert _healthy(server) == SERVICES // 2 * INSTANCES + LAPSING
    time.sleep(max(0.0, end - time.monotonic() - PAUSE))
    lapse = PAUSE + CLEANUP_INTERVAL
    _during(f"{LAPSING:,} leases run out at once", server, lambda: time.sleep(lapse - 0.5), held)
    _during("the cleanup removes them", server, lambda: until(lambda: _cleanups(server) == LAPSING), held)


def _lapsing() -> Iterator[Instance]:
    members = fleet(SERVICES, INSTANCES)
    return (one._replace(name=f"lapsing-{one.name}") for one in islice(members, LAPSING))


def _during(title: str, server: Discovery, action: Callable[[], object], held: float) -> Latencies:
    """Does it with DNS queries beside it; prints what they waited."""
    time.sleep(PAUSE)
    names = [f"s{number}.svc.local" for number in range(SERVICES // 2)]
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
    pipelined(server.port, [request.octets()] * request.times, size=1)


def _healthy(server: Discovery) -> int:
    return int(server.request("GET", "/services").body["totalHealthyInstances"])


def _cleanups(server: Discovery) -> int:
    return int(json.loads(server.request("GET", "/stats").body["totalCleanups"]))


def _has_metrics(server: Discovery) -> bool:
    return server.request("GET", "/metrics").status == 200


def _resident(server: Discovery) -> int:
    """KiB."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmRSS")))


if __name__ == "__main__":
    main()
