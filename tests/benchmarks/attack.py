"""The server under attack: slow HTTP clients by the thousand, and a UDP flood at three times what it can answer; 200 clients beat beside.
And whether HTTP has its share while DNS is asked twice what it can answer, by those whom it does not limit.

The server is alone on its core; attackers and bystanders share the other, the attackers with what the others leave of it.
python -m tests.benchmarks.attack
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import dns.message

from tests.benchmarks import report
from tests.benchmarks.isolation import enter, program
from tests.benchmarks.probe import Latencies, probing
from tests.benchmarks.rivals import CLIENT_CORE, SERVER_CORE
from tests.stories.attack.bystanders import LEASE, MIB, NAME, Bystanders, watching
from tests.stories.attack.prober import percentile
from tests.stories.attack.test_dns_flood import asking
from tests.stories.process import Discovery, running
from tests.stories.standards.streams import connected

CONNECTIONS, A_SECOND, SLOW_SECONDS = 1000, 500, 15
SLOW = {
    "slow head": ["-H", "-u", "{}/services", "-i", "2", "-x", "24"],
    "slow body": ["-B", "-u", "{}/register", "-f", "application/json", "-s", "8192", "-i", "2", "-x", "10"],
    # Each asks three times for 0.5 MB, so that the kernel's buffers are full and the server's own come into it.
    "slow read": ["-X", "-u", "{}/services", "-w", "512", "-y", "1024", "-n", "1", "-z", "32", "-k", "3"],
}
FILLING = 400
QUERIES_A_SECOND, TARGET_MS, ANSWERED = 100, 20, 99.9
# Of a flood: how many times what the server answers, for how long, beside how many idle TCP connections.
TIMES, FLOOD_SECONDS, IDLE = 3, 10, 500
# Of a flood of those that are not limited; and of GET /health meanwhile, ten times a second.
TIMES_ANSWERED, HEALTH_MS = 2, 50
NAMES = (NAME, "crowd-1.svc.local", "nobody.svc.local", "www.example.com")


def main() -> None:
    enter()
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    report.machine()
    for attack, options in SLOW.items():
        with _served() as server:
            _slow(server, attack, options)
    with _served(exempt="192.0.2.0/24") as server, tempfile.TemporaryDirectory() as folder:
        _flooded(server, Path(folder))
    with _served() as server, tempfile.TemporaryDirectory() as folder:
        _healthy(server, Path(folder))


def _served(exempt: str = "127.0.0.0/8") -> contextlib.AbstractContextManager[Discovery]:
    """`exempt`: the networks without a limit on replies."""
    return running(
        prefix=["taskset", "-c", SERVER_CORE],
        HEARTBEAT_TIMEOUT_SECONDS=LEASE,
        MAX_INSTANCES_PER_SERVICE=1000,
        LOG_LEVEL="warning",
        DNS_RATE_EXEMPT=exempt,
    )


def _slow(server: Discovery, attack: str, options: list[str]) -> None:
    for number in range(FILLING):
        server.register("filling", "10.99.0.1", 1000 + number, ttl=3600, metadata={"text": "x" * 1000})
    command = [program("slowhttptest"), "-c", str(CONNECTIONS), "-r", str(A_SECOND), "-l", str(SLOW_SECONDS)]
    command += [option.format(server.http) for option in options]
    with watching(server) as bystanders:
        with probing(server.dns_port, [NAME], QUERIES_A_SECOND) as probe:
            done = subprocess.run(["nice", "-n", "19", *command], capture_output=True, text=True, check=True)
        print(f"{attack}, {CONNECTIONS} connections: {_availability(done.stdout)}")
        _heartbeats(bystanders)
        _dns(probe.latencies)
        report.at_most("  memory, at most more", bystanders.grown / MIB, CONNECTIONS / 4, "MiB", "256 KiB a connection")
        print()


def _availability(said: str) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", said)
    return ", ".join(re.findall(r"connected: +\d+|closed: +\d+|service available: +\w+", plain)[-3:])


def _heartbeats(bystanders: Bystanders) -> None:
    took = [(beat.received - beat.sent) * 1000 for beat in bystanders.beats]
    report.at_least("  heartbeats answered", bystanders.answered * 100, ANSWERED, "%", f"of {len(took)}")
    report.fact("  heartbeats p99", percentile(took, 99), "ms")


def _dns(latencies: Latencies) -> None:
    report.at_most("  DNS p99", latencies.ms(99), TARGET_MS, "ms")
    report.at_most("  DNS queries lost", latencies.lost, 0)


def _flood(server: Discovery, folder: Path) -> Callable[[float, float], list[str]]:
    """The command, by queries a second and seconds."""
    flood, queries = folder / "flood", folder / "queries"
    subprocess.run(["cc", "-O2", "-o", flood, Path(__file__).parent / "flood.c"], check=True)
    with queries.open("wb") as file:
        for name, rtype in product(NAMES, ("A", "SRV")):
            wire = dns.message.make_query(name, rtype).to_wire()
            file.write(len(wire).to_bytes(2, "big") + wire)

    def command(rate: float, seconds: float) -> list[str]:
        return ["nice", "-n", "19", str(flood), str(server.dns_port), str(rate), str(seconds), str(queries)]

    return command


def _healthy(server: Discovery, folder: Path) -> None:
    command, client = _flood(server, folder), http.client.HTTPConnection("127.0.0.1", server.port)
    sent = int(subprocess.run(command(1e9, 3), capture_output=True, text=True, check=True).stdout)
    capacity, took = (sent - _counts(server)[0]) / 3, list[float]()
    before = _counts(server)[0]
    attacker = subprocess.Popen(command(capacity * TIMES_ANSWERED, FLOOD_SECONDS), stdout=subprocess.PIPE, text=True)
    while attacker.poll() is None:
        asked = time.perf_counter()
        client.request("GET", "/health")
        client.getresponse().read()
        took.append((time.perf_counter() - asked) * 1000)
        time.sleep(0.1)
    shed = (_counts(server)[0] - before) / int(attacker.communicate()[0])
    print(
        f"UDP flood of those that are not limited, {TIMES_ANSWERED} × {capacity:,.0f} queries a second, {shed:.0%} shed"
    )
    report.at_most("  GET /health, at most", max(took), HEALTH_MS, "ms", f"median {percentile(took, 50):.1f}")


def _flooded(server: Discovery, folder: Path) -> None:
    command = _flood(server, folder)
    with watching(server) as bystanders, contextlib.ExitStack() as idle:
        sent = int(subprocess.run(command(1e9, 3), capture_output=True, text=True, check=True).stdout)
        capacity = (sent - _counts(server)[0]) / 3
        for _ in range(IDLE):
            idle.enter_context(connected(server.dns_port))
        before, begun = _counts(server), time.monotonic()
        attacker = subprocess.Popen(command(capacity * TIMES, FLOOD_SECONDS), stdout=subprocess.PIPE, text=True)
        stub = asking(server, FLOOD_SECONDS - 0.5)
        sent = int(attacker.communicate()[0])
        seconds = time.monotonic() - begun
        shed, limited = (now - then for now, then in zip(_counts(server), before, strict=True))
        print(f"UDP flood from 64 foreign /24s for {seconds:.0f} s, {IDLE} idle TCP connections")
        report.fact("  queries answered or limited, without pause", capacity, "a second")
        report.at_least("  the flood", sent / FLOOD_SECONDS, capacity * TIMES * 0.9, "a second")
        report.fact("  shed by the kernel", shed / sent * 100, "%")
        report.fact("  limited", limited / sent * 100, "%")
        _heartbeats(bystanders)
        report.at_least(
            "  a stub's questions answered over UDP in 3 tries",
            stub.by_udp / stub.asked * 100,
            70,
            "%",
            f"of {stub.asked}",
        )
        report.at_least("  … and the rest over TCP", (stub.by_udp + stub.by_tcp) / stub.asked * 100, 100, "%")
        report.at_most("  memory, at most more", bystanders.grown / MIB, 32, "MiB")


def _counts(server: Discovery) -> tuple[int, int]:
    """Queries shed, and replies limited."""
    dns_stats = server.request("GET", "/stats").body["dns"]
    return dns_stats["shed"], sum(dns_stats["rateLimited"].values())


if __name__ == "__main__":
    main()
