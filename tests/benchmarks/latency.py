"""DNS latency while heartbeats, registrations and deregistrations arrive over HTTP; the server on one core, the clients on another.

python -m tests.benchmarks.latency [rounds]
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from typing import NamedTuple

from tests.benchmarks import report
from tests.benchmarks.fleet import fleet, register
from tests.benchmarks.isolation import enter
from tests.benchmarks.load import Done, loading
from tests.benchmarks.probe import Latencies, probing
from tests.benchmarks.rivals import CLIENT_CORE, SERVER_CORE
from tests.stories.process import Discovery, running

SERVICES, INSTANCES = 1000, 5
SECONDS = 10
QUERIES, HEARTBEATS, CHURN = 2000, 5000, 200  # a second
TARGET_MS = 5
# Of the pace that was asked for: below it, the latency was measured under less load than the target names.
REACHED = 0.99


class Round(NamedTuple):
    dns: Latencies
    http: Done


def main() -> None:
    enter()
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    report.machine()
    with running(prefix=["taskset", "-c", SERVER_CORE], LOG_LEVEL="warning", REGISTERS_PER_SECOND=0) as server:
        register(server.port, fleet(SERVICES, INSTANCES))
        _round(server, 0, 0)  # to warm up
        _print("Idle", [_round(server, 0, 0)])
        _print(f"Under load, median of {rounds}", [_round(server, HEARTBEATS, CHURN) for _ in range(rounds)])


def _round(server: Discovery, heartbeats: float, churn: float) -> Round:
    names = [f"s{number}.svc.local" for number in range(SERVICES)]
    members = list(fleet(SERVICES, INSTANCES))
    with probing(server.dns_port, names, QUERIES) as probe, loading(server.port, members, heartbeats, churn) as load:
        time.sleep(SECONDS)
    return Round(probe.latencies, load.done)


def _print(title: str, rounds: list[Round]) -> None:
    def median(figures: list[float]) -> float:
        return statistics.median(figures)

    print(title)
    if any(each.http.heartbeats for each in rounds):
        report.at_least(
            "  heartbeats answered", median([e.http.heartbeats for e in rounds]), HEARTBEATS * REACHED, "a second"
        )
        report.at_least("  registrations", median([e.http.registrations for e in rounds]), CHURN * REACHED, "a second")
        left = median([e.http.deregistrations for e in rounds])
        report.at_least("  deregistrations", left, CHURN * REACHED * (1 - 0.1 / SECONDS), "a second")
        report.at_most("  HTTP requests that failed", sum(e.http.failed for e in rounds), 0)
    report.at_least("  DNS queries", median([e.dns.rate for e in rounds]), QUERIES * REACHED, "a second")
    report.at_most("  DNS queries lost", sum(e.dns.lost for e in rounds), 0)
    report.fact("  DNS p50", median([e.dns.ms(50) for e in rounds]), "ms")
    p99 = [e.dns.ms(99) for e in rounds]
    report.at_most("  DNS p99", median(p99), TARGET_MS, "ms", f"({', '.join(f'{each:.2f}' for each in p99)})")
    report.fact("  DNS p99.9", median([e.dns.ms(99.9) for e in rounds]), "ms")
    report.fact("  DNS max", max(e.dns.worst for e in rounds), "ms")
    late = max(max(e.dns.late, e.http.late) for e in rounds)
    report.fact("  the clients behind their own pace, at most", late, "ms")
    print()


if __name__ == "__main__":
    main()
