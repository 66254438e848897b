"""The brake asks before it believes: who lives behind a cut is not dropped, whatever the firewall there says."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.examples import examples
from tests.plugins.brake.two_hosts import HERE, Hosts, two_hosts
from tests.programs import program
from tests.stories.liveness.listening import have_beaten, listening
from tests.stories.process import LIMIT, ROOT, Discovery, running, until

TTL = 4.0
SETTINGS: dict[str, Any] = {
    "HOST": HERE,
    "ALLOW_ANONYMOUS": "true",
    "LOG_LEVEL": "debug",
    "HEARTBEAT_TIMEOUT_SECONDS": TTL,
    "CLEANUP_INTERVAL_SECONDS": 1,
    "MAX_INSTANCES_PER_SERVICE": 50,
}
# Rules for what comes from the registry's host, answers to heartbeats and probes alike. Without --all one that says of all that they are
# gone; what the probe makes of the others, plugins/brake has.
CUTS = dict(
    [
        ("rst", ["REJECT", "--reject-with", "tcp-reset"]),
        ("drop", ["DROP"]),
        ("icmp", ["REJECT", "--reject-with", "icmp-port-unreachable"]),
    ][: examples(3)]
)
# Three leases, or fifteen.
CUT_SECONDS = examples(60)
# Of a service that the brake would hold, on three hosts, and a fifth of all at least.
LIVING = {"crowd": [(f"10.1.0.{host}", 9000 + number) for host in (2, 3, 4) for number in range(8)]}


def test_nobody_who_lives_behind_a_cut_is_dropped_however_long_it_lasts(tmp_path: Path) -> None:
    """Whether the firewall drops what comes, rejects it by ICMP, or refuses for all by RST."""
    with ExitStack() as stack:
        cut = {}
        for name in CUTS:
            (tmp_path / name).mkdir()
            hosts = stack.enter_context(two_hosts(tmp_path / name))
            server = stack.enter_context(running(ROOT, hosts.here, **SETTINGS))
            stack.enter_context(listening(server.http, TTL, LIVING, hosts.there))
            cut[name] = (hosts, server)
        crowd = len(LIVING["crowd"])
        until(lambda: all(len(found := _resolved(*each)) == crowd and have_beaten(found, TTL) for each in cut.values()))
        for name, (hosts, _) in cut.items():
            hosts.firewall("-I", "INPUT", "-s", HERE, "-j", CUTS[name][0], *_tcp(name))
        ends = time.monotonic() + CUT_SECONDS
        while time.monotonic() < ends:
            found = {name: len(_resolved(*each)) for name, each in cut.items()}
            assert found == dict.fromkeys(CUTS, crowd), [server.log[-3:] for _, server in cut.values()]
            time.sleep(0.25)  # asked by programs of their own, which would keep a core busy
        for name, (hosts, server) in cut.items():
            asked = {line.split(": ")[-1].split()[0] for line in server.log if " asked " in line}
            assert asked == {"refused" if name == "rst" else "unknown"}
            hosts.firewall("-F", "INPUT")
        until(lambda: {each["status"] for one in cut.values() for each in _resolved(*one)} == {"healthy"})


def _tcp(name: str) -> list[str]:
    """REJECT by RST takes a rule about TCP."""
    return [*CUTS[name][1:], *(["-p", "tcp"] if name == "rst" else [])]


def _resolved(hosts: Hosts, server: Discovery) -> list[dict[str, Any]]:
    command = [*hosts.here, program("curl"), "-sS", f"{server.http}/resolve/crowd"]
    got = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=LIMIT).stdout
    found: list[dict[str, Any]] = json.loads(got).get("instances", [])
    return found
