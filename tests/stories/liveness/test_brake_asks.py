"""The brake asks before it believes: who was killed is out as soon as its lease, who lives behind a cut is not dropped."""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dns.message
import dns.query

from discovery.store.probing import BEATEN
from tests.plugins.brake.two_hosts import HERE, Hosts, two_hosts
from tests.stories.liveness.listening import listening
from tests.stories.process import LIMIT, ROOT, Discovery, running, until

TTL = 2.0
# Seconds after their leases until all are out.
SOON = 1.5
SETTINGS: dict[str, Any] = {
    "HEARTBEAT_TIMEOUT_SECONDS": TTL,
    "CLEANUP_INTERVAL_SECONDS": 1,
    "MAX_INSTANCES_PER_SERVICE": 1000,
    "REGISTERS_PER_SECOND": 0,
}
# Rules for what comes from the registry's host, answers to heartbeats and probes alike.
CUTS = {
    "drop": ["DROP"],
    "icmp": ["REJECT", "--reject-with", "icmp-port-unreachable"],
    "rst": ["REJECT", "--reject-with", "tcp-reset"],
}
CUT_SECONDS = 50.0
# Of a service that the brake would hold, on three hosts, and a fifth of all at least.
LIVING = {"crowd": [(f"10.1.0.{host}", 9000 + number) for host in (2, 3, 4) for number in range(8)]}


def served(server: Discovery, name: str) -> int:
    """In the answers of HTTP and DNS, the larger of the two."""
    found = server.request("GET", f"/resolve/{name}")
    query = dns.message.make_query(f"{name}.svc.local", "SRV")
    over_dns = dns.query.tcp(query, "127.0.0.1", port=server.dns_port, timeout=LIMIT).answer
    return max(int(found.body.get("instanceCount", 0)), len(over_dns[0]) if over_dns else 0)


def test_of_those_that_are_killed_together_none_is_served_a_second_and_a_half_after_its_lease() -> None:
    """Three of four, and 200 of more than a thousand, while all of their host lives."""
    three = [("127.0.0.1", 20001 + number) for number in range(3)]
    many = [("127.0.0.1", 21001 + number) for number in range(200)]
    with running(**SETTINGS) as server, ExitStack() as stack:
        for number in range(900):
            server.register(f"others-{number % 30}", "10.9.0.1", 1 + number, ttl=3600)
        stack.enter_context(listening(server.http, TTL, {"three": [("127.0.0.1", 20000)]}))
        killed = stack.enter_context(listening(server.http, TTL, {"three": three, "many": many}))
        started = time.monotonic()
        time.sleep(TTL + BEATEN + TTL)  # nobody is asked who has not beaten for so long
        assert (served(server, "three"), served(server, "many")) == (4, 200)
        killed.kill()
        killed_at = time.monotonic()
        out: dict[str, float] = {}
        while len(out) < 2:
            assert time.monotonic() < killed_at + TTL + LIMIT, (out, server.log[-5:])
            for name, left in (("three", 1), ("many", 0)):
                if name not in out and served(server, name) == left:
                    out[name] = time.monotonic() - killed_at
        print(f"killed after {killed_at - started:.1f} s; out after {out}")
        assert max(out.values()) < TTL + SOON


def test_nobody_who_lives_behind_a_cut_is_dropped_for_fifty_seconds(tmp_path: Path) -> None:
    """Whether the firewall drops what comes, rejects it by ICMP, or refuses for all by RST."""
    with ExitStack() as stack:
        cut = {}
        for name in CUTS:
            (tmp_path / name).mkdir()
            hosts = stack.enter_context(two_hosts(tmp_path / name))
            server = stack.enter_context(
                running(ROOT, hosts.here, HOST=HERE, ALLOW_ANONYMOUS="true", LOG_LEVEL="debug", **SETTINGS)
            )
            stack.enter_context(listening(server.http, TTL, LIVING, hosts.there))
            cut[name] = (hosts, server)
        time.sleep(TTL + BEATEN + TTL)
        for name, (hosts, _) in cut.items():
            hosts.firewall("-I", "INPUT", "-s", HERE, "-j", CUTS[name][0], *_tcp(name))
        ends = time.monotonic() + CUT_SECONDS
        while time.monotonic() < ends:
            found = {name: _count(hosts, server) for name, (hosts, server) in cut.items()}
            assert found == dict.fromkeys(CUTS, len(LIVING["crowd"])), [each.log[-3:] for _, each in cut.values()]
        for name, (hosts, server) in cut.items():
            asked = {line.split(": ")[-1].split()[0] for line in server.log if " asked " in line}
            assert asked == {"refused" if name == "rst" else "unknown"}
            hosts.firewall("-F", "INPUT")
        until(lambda: {status for hosts, server in cut.values() for status in _statuses(hosts, server)} == {"healthy"})


def _tcp(name: str) -> list[str]:
    """REJECT by RST takes a rule about TCP."""
    return [*CUTS[name][1:], *(["-p", "tcp"] if name == "rst" else [])]


def _count(hosts: Hosts, server: Discovery) -> int:
    return len(_resolved(hosts, server))


def _statuses(hosts: Hosts, server: Discovery) -> set[str]:
    return {each["status"] for each in _resolved(hosts, server)}


def _resolved(hosts: Hosts, server: Discovery) -> list[dict[str, Any]]:
    command = [*hosts.here, "curl", "-sS", f"{server.http}/resolve/crowd"]
    got = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ, timeout=LIMIT).stdout
    found: list[dict[str, Any]] = json.loads(got).get("instances", [])
    return found
