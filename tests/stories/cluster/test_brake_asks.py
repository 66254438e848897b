"""Of several nodes the leader asks the ports of suspects for all: what it finds is true on every node at once."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.plugins.brake.two_hosts import HERE, Hosts, two_hosts
from tests.programs import program
from tests.stories.cluster.nodes import FLUSH
from tests.stories.liveness.listening import have_beaten, listening
from tests.stories.process import LIMIT, ROOT, Discovery, running, until

TTL = 4.0
SETTINGS: dict[str, Any] = {
    "HOST": HERE,
    "ALLOW_ANONYMOUS": "true",
    "ENGINE_URL": "etcd://127.0.0.1:2379",
    "ETCD_FLUSH_SECONDS": FLUSH,
    "HEARTBEAT_TIMEOUT_SECONDS": TTL,
    "CLEANUP_INTERVAL_SECONDS": 1,
    "MAX_INSTANCES_PER_SERVICE": 1000,
    "REGISTERS_PER_SECOND": 0,
}
# A lease between nodes lasts two flushes longer; then two seconds on a machine that nobody else uses. The brake holds for a minute.
SOON = TTL + 2 * FLUSH + 20
# On one host: a firewall's refusals would come from three.
ONE, THREE = [("10.1.0.2", 20000)], [("10.1.0.2", 20001 + number) for number in range(3)]
MANY = [("10.1.0.2", 21001 + number) for number in range(60)]


def fetch(hosts: Hosts, url: str, body: Any = None) -> Any:
    data = [] if body is None else ["-H", "Content-Type: application/json", "--data-binary", "@-"]
    command = [*hosts.here, program("curl"), "-sS", *data, url]
    got = subprocess.run(command, input=json.dumps(body), check=True, capture_output=True, text=True, timeout=LIMIT)
    return json.loads(got.stdout)


def test_killed_processes_are_out_of_every_node_with_their_leases(tmp_path: Path) -> None:
    with two_hosts(tmp_path) as hosts, ExitStack() as stack:
        etcd = subprocess.Popen(
            [*hosts.here, program("etcd"), "--data-dir", str(tmp_path / "etcd"), "--unsafe-no-fsync"],
            stderr=subprocess.DEVNULL,
        )
        stack.callback(etcd.wait)
        stack.callback(etcd.kill)
        nodes = [stack.enter_context(running(ROOT, hosts.here, NODE_NAME=name, **SETTINGS)) for name in "ab"]
        others = [
            {"name": f"o{number % 30}", "ip": "10.9.0.1", "port": 1 + number, "ttl": 3600} for number in range(300)
        ]
        assert fetch(hosts, f"{nodes[0].http}/registrations", {"instances": others})["registered"] == 300
        stack.enter_context(listening(nodes[0].http, TTL, {"three": ONE}, hosts.there))
        killed = [
            stack.enter_context(listening(nodes[1].http, TTL, of, hosts.there))
            for of in ({"three": THREE}, {"many": MANY})
        ]
        until(lambda: all(ready(hosts, node, "three", 4) and ready(hosts, node, "many", 60) for node in nodes))
        for process in killed:
            process.send_signal(signal.SIGKILL)
        killed_at = time.monotonic()
        until(lambda: [counts(hosts, node) for node in nodes] == [(1, 0)] * 2)
        took = time.monotonic() - killed_at
        print(f"out on both nodes after {took:.2f} s of {SOON:.1f}")
        assert took < SOON
        leads = [node for node in nodes if asked(hosts, node)]
        assert len(leads) == 1


def counts(hosts: Hosts, node: Discovery) -> tuple[int, int]:
    return served(hosts, node, "three"), served(hosts, node, "many")


def served(hosts: Hosts, node: Discovery, name: str) -> int:
    return int(fetch(hosts, f"{node.http}/resolve/{name}").get("instanceCount", 0))


def ready(hosts: Hosts, node: Discovery, name: str, count: int) -> bool:
    found = fetch(hosts, f"{node.http}/resolve/{name}").get("instances", [])
    return len(found) == count and have_beaten(found, TTL)


def asked(hosts: Hosts, node: Discovery) -> int:
    return int(fetch(hosts, f"{node.http}/stats")["brakeProbe"]["refused"])
