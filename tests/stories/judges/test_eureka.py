"""Eureka's clients, unmodified, and Prometheus with `eureka_sd_configs`, against one server: they register, find each other and whom others
registered, are forgotten and come back, and go.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stories.judges.daemon import daemon, free_port
from tests.stories.node_js import node_running
from tests.stories.process import LIMIT, Discovery, running, until

_PROMETHEUS = """
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: eureka
    eureka_sd_configs: [{server: "http://127.0.0.1:PORT/eureka", refresh_interval: 1s}]
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    with running(EUREKA="true") as discovery:
        yield discovery


def is_found(server: Discovery, name: str) -> bool:
    return server.request("GET", f"/resolve/{name}").status == 200


def finds(client: subprocess.Popen[str], *ids: str) -> list[dict[str, Any]]:
    """Waits until it has found these; all that it said until then."""
    assert client.stdout is not None
    said: list[dict[str, Any]] = []
    for line in client.stdout:
        said.append(json.loads(line))
        if said[-1] == {"found": list(ids)}:
            return said
    raise AssertionError(f"it ended: {said}")


def tell(client: subprocess.Popen[str], command: str) -> None:
    assert client.stdin is not None
    client.stdin.write(f"{command}\n")
    client.stdin.flush()


def test_pythons_client_registers_is_overridden_forgotten_and_goes(server: Discovery) -> None:
    server.register("wanted-by-python", "10.0.0.7", 80, id="python-1")
    script = str(Path(__file__).with_name("eureka_client.py"))
    command = [sys.executable, script, f"{server.http}/eureka", "pyapp", "WANTED-BY-PYTHON"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        try:
            finds(client, "python-1")
            until(lambda: is_found(server, "pyapp"))
            [instance] = server.request("GET", "/resolve/pyapp").body["instances"]
            assert (instance["ip"], instance["port"], instance["metadata"]["k"]) == ("127.0.0.1", 7121, "v")
            tell(client, "out")
            until(lambda: not is_found(server, "pyapp"))
            tell(client, "back")
            until(lambda: is_found(server, "pyapp"))
            assert server.request("DELETE", "/services/pyapp").status == 200
            until(lambda: is_found(server, "pyapp"))  # its renewal was answered 404
            tell(client, "end")
            assert client.wait(LIMIT) == 0
        finally:
            client.kill()
    assert not is_found(server, "pyapp")


def test_nodes_client_registers_finds_is_forgotten_and_goes(server: Discovery) -> None:
    server.register("wanted", "10.0.0.8", 80, id="wanted-1")
    with node_running("eureka.js", str(server.port), "jsapp", "wanted") as client:
        said = finds(client, "wanted-1")
        assert {"event": "registered"} in said
        assert is_found(server, "jsapp")
        assert server.request("DELETE", "/services/jsapp").status == 200
        until(lambda: is_found(server, "jsapp"))
        tell(client, "end")
        assert client.wait(LIMIT) == 0, said
    assert not is_found(server, "jsapp")


def test_prometheus_finds_its_targets(server: Discovery, tmp_path: Path) -> None:
    server.register("scraped", "127.0.0.1", server.port, metadata={"team": "a"})
    port = free_port()
    (tmp_path / "prometheus.yml").write_text(_PROMETHEUS.replace("PORT", str(server.port)))
    arguments = [f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    with daemon("prometheus", *arguments, f"--web.listen-address=127.0.0.1:{port}", folder=tmp_path) as prometheus:

        def target() -> Any:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/targets", timeout=5) as reply:
                    active = json.loads(reply.read())["data"]["activeTargets"]
            except OSError:
                return None
            labels = [one["discoveredLabels"] for one in active if one["health"] == "up"]
            return next((each for each in labels if each["__meta_eureka_app_name"] == "SCRAPED"), None)

        labels = prometheus.until(target)
    assert labels["__address__"] == f"127.0.0.1:{server.port}"
    assert labels["__meta_eureka_app_instance_status"] == "UP"
    assert labels["__meta_eureka_app_instance_metadata_team"] == "a"
