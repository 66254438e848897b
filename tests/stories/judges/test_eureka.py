"""Eureka's clients, unmodified, and Prometheus with `eureka_sd_configs` and `http_sd_configs`, against one server: they register, find each
other and whom others registered, are forgotten and come back, and go.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from discovery.plugins import sd
from tests.ports import free_port
from tests.stories.judges.daemon import daemon
from tests.stories.node_js import node_running
from tests.stories.process import LIMIT, Discovery, running, until

# After the configuration of the page of `http_sd_configs`.
_EUREKA_SD = """
  - job_name: eureka
    eureka_sd_configs: [{server: "http://127.0.0.1:3100/eureka", refresh_interval: 1s}]
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
            assert client.wait(3 * LIMIT) == 0
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
        assert client.wait(3 * LIMIT) == 0, said
    assert not is_found(server, "jsapp")


def test_prometheus_finds_its_targets_by_eureka_and_by_http(server: Discovery, tmp_path: Path) -> None:
    at = ("scraped", "127.0.0.1", server.port)
    server.register(*at, tags=["metrics", "blue"], zone="eu-a", metadata={"metrics.path": "/metrics?x=1", "team": "a"})
    server.register("drained", "127.0.0.1", server.port, tags=["metrics"])
    assert server.request("PUT", f"/services/drained/instances/drain?ip=127.0.0.1&port={server.port}").status == 200
    page = (Path(sd.__file__).parent / "README.md").read_text()
    [config] = re.findall(r"```yaml\n# prometheus\.yml\n(.*?)```", page, re.S)
    config = (config.rstrip() + _EUREKA_SD).replace("127.0.0.1:3100", f"127.0.0.1:{server.port}")
    (tmp_path / "prometheus.yml").write_text(config.replace("refresh_interval: 15s", "refresh_interval: 1s"))
    port = free_port()
    arguments = [f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    with daemon("prometheus", *arguments, f"--web.listen-address=127.0.0.1:{port}", folder=tmp_path) as prometheus:

        def targets() -> dict[str, Any]:
            """By the pool, once there is one of each."""
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/targets", timeout=60) as reply:
                    active = json.loads(reply.read())["data"]["activeTargets"]
            except OSError:
                return {}
            found = {one["scrapePool"]: one for one in active if "scraped" in str(one["discoveredLabels"]).lower()}
            return found if len(found) == 2 else {}

        found = prometheus.until(targets)
    labels = found["eureka"]["discoveredLabels"]
    assert labels["__address__"] == f"127.0.0.1:{server.port}"
    assert (labels["__meta_eureka_app_name"], labels["__meta_eureka_app_instance_status"]) == ("SCRAPED", "UP")
    assert labels["__meta_eureka_app_instance_metadata_team"] == "a"
    by_http = found["services"]
    assert by_http["labels"] == {"instance": f"127.0.0.1:{server.port}", "job": "scraped", "zone": "eu-a"}
    assert by_http["scrapeUrl"].startswith(f"http://127.0.0.1:{server.port}/metrics%3Fx=1")
    discovered = {name.removeprefix(sd.PREFIX): text for name, text in by_http["discoveredLabels"].items()}
    assert (discovered["tags"], discovered["status"], discovered["metadata_team"]) == (",metrics,blue,", "healthy", "a")
    assert "drained" not in str(found)
