"""Consul's clients, unmodified, against one server: two for Python, one for Node.js, and the `consul` command where Debian has it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stories.node_js import node_running
from tests.stories.process import LIMIT, ROOT, Discovery, running

# Where tests/run installs it: its package has the same name as py-consul's.
_SECOND = ROOT / ".venv" / "python-consul2"


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    with running(CONSUL="true", CONSUL_NODES="127.0.0.1=node-1") as discovery:
        yield discovery


def said_by(server: Discovery, name: str, folder: Path | None = None) -> dict[str, Any]:
    script = str(Path(__file__).with_name("consul_client.py"))
    path = {} if folder is None else {"PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script, str(server.port), name],
        capture_output=True, text=True, timeout=LIMIT, env={**os.environ, **path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("client", ["py-consul", "python-consul2"])
def test_pythons_clients_register_wait_and_find(server: Discovery, client: str) -> None:
    folder = None if client == "py-consul" else _SECOND
    if folder is not None and not folder.is_dir():
        text = f"{folder} is not there; tests/run installs python-consul2 into it"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(text)
    said = said_by(server, client, folder)
    assert said == {
        "name": "node-1", "leader": said["leader"], "registered": [True, True], "all": ["a", "b"], "before": [], "passed": [True, True],
        "passing": ["a", "b"], "tagged": ["b"], "services": {client: ["v1", "v2"]}, "rows": ["10.0.0.1", "10.0.0.2"],
        "states": ["service:a", "service:b"], "agent": ["a", "b"], "waited": [True, ["b"]], "maintenance": True, "out": [], "key": None,
        "unknown": [[], None], "refused": said["refused"], "external": True, "database": ["ext"], "gone": [True, True, True], "left": [],
    }  # fmt: skip
    assert said["leader"].endswith(":8300")
    assert 'CheckID "service:nobody" does not have associated TTL' in said["refused"]


def test_nodes_client_registers_and_watches(server: Discovery) -> None:
    with node_running("consul.js", str(server.port), "js", "watched") as client:
        said: list[dict[str, Any]] = []

        def until(wanted: dict[str, Any]) -> None:
            assert client.stdout is not None
            for line in client.stdout:
                said.append(json.loads(line))
                if said[-1] == wanted:
                    return
            raise AssertionError(f"it ended: {said}")

        until({"did": "kv", "key": None})
        assert {"did": "pass", "services": ["a/b 1"]} in said
        assert {"did": "out", "passing": 0} in said
        server.register("watched", "10.0.0.8", 80, id="watched-1")
        until({"changed": ["watched-1"]})
        assert server.request("DELETE", "/services/watched").status == 200
        until({"changed": []})
        assert client.stdin is not None
        client.stdin.write("end\n")
        client.stdin.flush()
        until({"did": "gone", "services": []})
        assert not [each for each in said if "error" in each]


def test_the_consul_command_works(server: Discovery, tmp_path: Path) -> None:
    program = shutil.which("consul")
    if program is None:
        pytest.skip("consul is not installed; Debian 11 has it, newer releases do not")

    def consul(*arguments: str, status: int = 0) -> str:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=LIMIT, env={**os.environ, "CONSUL_HTTP_ADDR": server.http}
        )  # fmt: skip
        assert done.returncode == status, done
        return done.stdout + done.stderr

    service = {
        "id": "cli-1",
        "name": "cli",
        "tags": ["v1"],
        "address": "10.0.0.7",
        "port": 80,
        "checks": [{"ttl": "30s", "status": "passing"}],
    }
    (tmp_path / "service.json").write_text(json.dumps({"service": service}))
    assert "node-1" in consul("members")
    assert "Registered service: cli" in consul("services", "register", str(tmp_path / "service.json"))
    assert "v1" in consul("catalog", "services", "-tags")
    assert "node-1" in consul("catalog", "nodes", "-service=cli")
    consul("maint", "-enable", "-service=cli-1", "-reason=disk")
    assert "disk" in consul("maint")
    consul("maint", "-disable", "-service=cli-1")
    assert (
        json.loads(consul("watch", "-type=service", "-service=cli", "-passingonly=true"))[0]["Service"]["ID"] == "cli-1"
    )
    assert "Keep them in Consul" in consul("kv", "put", "a", "b", status=1)
    assert "Deregistered" in consul("services", "deregister", "-id=cli-1")
