"""Prometheus with `dns_sd_configs`: its targets follow registrations and deaths, by SRV and by A, and it reaches them by name.

It asks the servers of /etc/resolv.conf, without EDNS: what does not fit 512 octets it asks again over TCP. It looks anew each
`refresh_interval`, hands changes on at most every five seconds, and keeps what it has while no server answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.stories.judges.daemon import Daemon, daemon
from tests.stories.judges.namespace import Namespace, namespace

_CONFIG = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: by-srv
    dns_sd_configs:
      - {names: [_web._tcp.svc.local], type: SRV, refresh_interval: 1s}
  - job_name: by-a
    dns_sd_configs:
      - {names: [web.svc.local], type: A, port: 8000, refresh_interval: 1s}
"""
API = "http://127.0.0.1:9090/api/v1/targets?state=active"
IP = "127.0.0.1"
# More than 512 octets of SRV records.
MANY = range(8000, 8012)


class Target(NamedTuple):
    """`address`: what it scrapes, HOST:PORT."""

    job: str
    address: str


class Prometheus:
    def __init__(self, inside: Namespace, running: Daemon) -> None:
        self.inside = inside
        self.running = running

    def targets(self) -> dict[Target, str]:
        """To the health of each: `up`, `down` or `unknown`."""
        found = self.inside.fetch(API)["data"]["activeTargets"]
        return {Target(one["scrapePool"], one["discoveredLabels"]["__address__"]): one["health"] for one in found}

    def follows(self, *ports: int) -> None:
        """Its targets come to be these ports, no other, by SRV; and the address, by A, if there are any."""
        expected = {Target("by-srv", f"ip-127-0-0-1-p{port}.web.svc.local:{port}") for port in ports}
        if ports:
            expected.add(Target("by-a", f"{IP}:8000"))
        self.running.until(lambda: self.targets().keys() == expected)


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Prometheus]:
    with namespace(tmp_path, HEARTBEAT_TIMEOUT_SECONDS=600, MAX_INSTANCES_PER_SERVICE=20) as inside:
        for port in MANY:
            inside.register("web", IP, port)
        with _prometheus(inside, tmp_path) as running:
            yield Prometheus(inside, running)


@contextmanager
def _prometheus(inside: Namespace, folder: Path) -> Iterator[Daemon]:
    config = folder / "prometheus.yml"
    config.write_text(_CONFIG)
    arguments = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:9090",
        "--scrape.discovery-reload-interval=10ms",  # one of two such waits; the other is fixed
    ]
    with daemon("prometheus", *arguments, folder=folder, prefix=inside.prefix) as running:
        running.until(lambda: inside.run("curl", "-sf", "http://127.0.0.1:9090/-/ready", check=False).returncode == 0)
        yield running


def test_prometheus_scrapes_exactly_what_is_registered(prometheus: Prometheus) -> None:
    inside = prometheus.inside
    prometheus.follows(*MANY)

    for port in MANY:
        inside.deregister("web", IP, port)
    inside.register("web", IP, 8000)
    inside.register("web", IP, 9090)  # Prometheus itself: a target that answers
    prometheus.follows(8000, 9090)
    itself = Target("by-srv", "ip-127-0-0-1-p9090.web.svc.local:9090")
    prometheus.running.until(lambda: prometheus.targets()[itself] == "up")

    inside.deregister("web", IP, 8000)
    inside.register("web", IP, 9090, ttl=2)
    prometheus.follows()
