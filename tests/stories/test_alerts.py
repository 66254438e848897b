"""Prometheus scrapes a server in trouble, and the rules of `discovery/deploy/alerts.yml` say so; then it is mended, and they are silent.

A minute of the rules is a second here: scrapes are 0.2 s apart instead of 15.
"""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.deploy.rules import ALERTS
from tests.ports import free_port
from tests.stories.judges.daemon import Daemon, daemon
from tests.stories.liveness.beating import beating, crowd
from tests.stories.process import ROOT, Discovery, running, until

_CONFIG = """
global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}
rule_files: [alerts.yml]
scrape_configs:
  - job_name: discovery
    static_configs: [{targets: ["127.0.0.1:PORT"]}]
"""


class Prometheus(NamedTuple):
    running: Daemon
    port: int

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=60) as reply:
            return json.loads(reply.read())["data"]

    def firing(self) -> dict[str, Any]:
        """By name, of DiscoveryWarning by code: one of the alerts that fire."""
        firing = [one for one in self.ask("alerts")["alerts"] if one["state"] == "firing"]
        return {one["labels"].get("code", one["labels"]["alertname"]): one for one in firing}

    def fires(self, *names: str) -> dict[str, Any]:
        self.running.until(lambda: self.firing().keys() >= set(names))
        return self.firing()

    def is_silent_about(self, *names: str) -> None:
        self.running.until(lambda: not self.firing().keys() & set(names))


@contextmanager
def prometheus(server: Discovery, folder: Path) -> Iterator[Prometheus]:
    port = free_port()
    (folder / "prometheus.yml").write_text(_CONFIG.replace("PORT", str(server.port)))
    rules = ALERTS.read_text().replace("[1h]", "[60m]")
    (folder / "alerts.yml").write_text(re.sub(r"\b(\d+)m\b", r"\1s", rules))
    arguments = [
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with daemon("prometheus", *arguments, folder=folder) as running_:
        asked = Prometheus(running_, port)

        def scraped() -> bool:
            try:
                return bool(asked.ask("query?query=discovery_build_info")["result"])
            except OSError:
                return False

        running_.until(scraped)
        yield asked


@pytest.fixture
def zones(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "zones", tmp_path / "zones"))


def test_what_is_wrong_is_told_with_what_to_do_next(tmp_path: Path, zones: Path) -> None:
    clients = crowd(1, 30, ttl=60)
    settings: dict[str, Any] = {
        "HEARTBEAT_TIMEOUT_SECONDS": 2,
        "BRAKE_MAX_SECONDS": 600,
        "BRAKE_PROBE": "false",
        "MAX_INSTANCES_PER_SERVICE": 50,
        "ZONES_DIR": str(zones),
    }
    with (
        running(**settings) as server,
        beating(server.port, clients, every=0.5) as beats,
        prometheus(server, tmp_path) as judge,
    ):
        until(lambda: beats.answered(0) == set(range(30)))
        judge.running.until(lambda: judge.ask("query?query=sum(discovery_instances)")["result"][0]["value"][1] == "30")
        judge.running.until(lambda: not judge.firing())

        beats.fall_silent(server, range(15), 2)
        good = (zones / "svc.local.zone").read_text()
        (zones / "svc.local.zone").write_text("this is no zone file\n")
        told = _until_refused(server, judge)

        assert told["DiscoveryDnsRefused"]["labels"]["reason"] == "not_our_zone"
        for alert in told.values():
            assert f"127.0.0.1:{server.port}" in alert["annotations"]["summary"]
            assert "<no value>" not in alert["annotations"]["summary"] + alert["annotations"]["description"]

        beats.cut = frozenset()
        (zones / "svc.local.zone").write_text(good)
        judge.is_silent_about("brake_holds", "zones_failed")

        server.stop()
        judge.fires("DiscoveryDown")


def _until_refused(server: Discovery, judge: Prometheus) -> dict[str, Any]:
    """Strangers go on asking for what is not ours, until it is told. By name, as each fired: five
    minutes are five seconds here, and a crowd that fell silent is over before the last of the others fires.
    """
    wanted = {"brake_holds", "DiscoveryMassExpiry", "zones_failed", "DiscoveryDnsRefused"}

    fired: dict[str, Any] = {}

    def told() -> bool:
        for _ in range(5):
            server.ask("www.example.com.")
        fired.update(judge.firing())
        return fired.keys() >= wanted

    judge.running.until(told)
    return fired
