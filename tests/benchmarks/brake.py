"""10,000 processes of 51,000 are killed together, and their host lives: how soon the last is out of every answer, and DNS meanwhile.

They beat for a lease and 10 s, then no more; nobody listens on their ports. 41,000 others stay. python -m tests.benchmarks.brake
"""

from __future__ import annotations

import json
import os
import time
import urllib.request
from typing import Any

from discovery.store.probing import BEATEN
from tests.benchmarks import report
from tests.benchmarks.fleet import Instance, fleet, pipelined, post, register
from tests.benchmarks.isolation import enter
from tests.benchmarks.probe import probing
from tests.benchmarks.rivals import CLIENT_CORE, SERVER_CORE
from tests.stories.process import Discovery, running
from tests.stories.standards.memory import processor

SERVICES, EACH, OTHERS = 1000, 10, 4100
TTL = 5
QUERIES = 2000
OUT_SECONDS, DNS_MS = 60, 5
# Seconds after which it is over in any case.
LIMIT = 120


def main() -> None:
    enter()
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    report.machine()
    settings: dict[str, Any] = {"LOG_LEVEL": "warning", "REGISTERS_PER_SECOND": 0, "MAX_INSTANCES_PER_SERVICE": EACH}
    with running(prefix=["taskset", "-c", SERVER_CORE], **settings) as server:
        register(server.port, (each._replace(name=f"other-{each.name}") for each in fleet(OTHERS, EACH)))
        killed = [Instance(f"s{s}", "127.0.0.1", 40001 + number) for s in range(SERVICES) for number in range(EACH)]
        register(server.port, iter(killed), TTL)
        beats = post("/heartbeats", json.dumps({"instances": [each._asdict() for each in killed]}).encode())
        until = time.monotonic() + TTL + BEATEN + 1
        while time.monotonic() < until:
            pipelined(server.port, [beats])
            time.sleep(1)
        names = [f"{kind}s{number}.svc.local" for number in range(SERVICES) for kind in ("", "other-")]
        killed_at, used = time.monotonic(), processor(server.process.pid)
        with probing(server.dns_port, names, QUERIES) as before:
            time.sleep(TTL / 2)
        used_before = (processor(server.process.pid) - used) / (time.monotonic() - killed_at)
        began, used = time.monotonic(), processor(server.process.pid)
        with probing(server.dns_port, names, QUERIES) as probe:
            while (left := _left(server)) and time.monotonic() < killed_at + LIMIT:
                time.sleep(1)
        used = (processor(server.process.pid) - used) / (time.monotonic() - began)
        report.at_most("served after so long", left, 0, "instances")
        report.at_most(
            "until the last is out, its lease included", time.monotonic() - killed_at, TTL + OUT_SECONDS, "s"
        )
        report.at_most("DNS p99 meanwhile", probe.latencies.ms(99), DNS_MS, "ms")
        report.fact("DNS p99 before", before.latencies.ms(99), "ms")
        report.fact("the server's processor meanwhile", used * 100, "%", f"before: {used_before * 100:.0f} %")
        report.fact("DNS p99.9", probe.latencies.ms(99.9), "ms")
        report.fact("DNS max", probe.latencies.worst, "ms")
        report.at_most("DNS queries lost", probe.latencies.lost, 0)
        print(_stats(server)["brakeProbe"])


def _left(server: Discovery) -> int:
    by_status = _stats(server)["instancesByStatus"]
    return int(by_status["healthy"] + by_status["suspect"]) - OTHERS * EACH


def _stats(server: Discovery) -> dict[str, dict[str, int]]:
    with urllib.request.urlopen(f"{server.http}/stats") as reply:
        found: dict[str, dict[str, int]] = json.loads(reply.read())
    return found


if __name__ == "__main__":
    main()
