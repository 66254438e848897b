"""Heartbeats in batches (POST /heartbeats, 10,000 in a request): instances a second through one keep-alive connection.

The next batch is sent when the reply to the one before has been read. python -m tests.benchmarks.batch [rounds]
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

from tests.benchmarks import report
from tests.benchmarks.fleet import TTL, Instance, fleet, pipelined, post, read_reply
from tests.benchmarks.isolation import enter
from tests.benchmarks.probe import probing
from tests.benchmarks.rivals import CLIENT_CORE, SERVER_CORE
from tests.stories.process import Discovery, running

SERVICES, INSTANCES = 10_000, 10
BATCH = 10_000
SECONDS = 5
QUERIES = 1000  # a second
TARGET = 300_000


def main() -> None:
    enter()
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    report.machine()
    with running(prefix=["taskset", "-c", SERVER_CORE], LOG_LEVEL="warning", REGISTERS_PER_SECOND=0) as server:
        members = list(fleet(SERVICES, INSTANCES))
        ids = _register(server, members)
        forms = {
            "name, ip and port": _batches([member._asdict() for member in members]),
            "id": _batches([{"id": id} for id in ids]),
        }
        for form, batches in forms.items():
            _measure(form, server, batches, rounds)


def _register(server: Discovery, members: Sequence[Instance]) -> list[str]:
    bodies = [json.dumps({**member._asdict(), "ttl": TTL}).encode() for member in members]
    replies = pipelined(server.port, (post("/register", body) for body in bodies))
    return [json.loads(reply)["instance"]["id"] for reply in replies]


def _batches(instances: list[dict[str, Any]]) -> list[bytes]:
    """Requests that cover all of them in turn, in the compact spelling of a JavaScript client."""
    parts = [instances[start : start + BATCH] for start in range(0, len(instances), BATCH)]
    bodies = [json.dumps({"instances": part}, separators=(",", ":")).encode() for part in parts]
    return [post("/heartbeats", body) for body in bodies]


def _measure(form: str, server: Discovery, batches: list[bytes], rounds: int) -> None:
    names = [f"s{number}.svc.local" for number in range(SERVICES)]
    _send(server.port, batches, SECONDS / 5)
    runs = [_send(server.port, batches, SECONDS) for _ in range(rounds)]
    each = ", ".join(f"{run:,.0f}" for run in runs)
    report.at_least(f"instances by {form}", statistics.median(runs), TARGET, "a second", f"({each})")
    with probing(server.dns_port, names, QUERIES) as probe:
        _send(server.port, batches, SECONDS)
    report.fact("  DNS p99 meanwhile", probe.latencies.ms(99), "ms")
    report.fact("  DNS max meanwhile", probe.latencies.worst, "ms")


def _send(port: int, batches: list[bytes], seconds: float) -> float:
    """Instances a second, all of which the server must have known."""
    updated = number = 0
    with socket.create_connection(("127.0.0.1", port)) as sock, sock.makefile("rb") as replies:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start = time.perf_counter()
        while (took := time.perf_counter() - start) < seconds:
            sock.sendall(batches[number % len(batches)])
            reply = json.loads(read_reply(replies))
            assert reply["unknown"] == [], reply["unknown"][:3]
            updated += reply["updated"]
            number += 1
    assert updated == number * BATCH
    return updated / took


if __name__ == "__main__":
    main()
