"""Active checks in the whole process: a legacy server that breaks and is mended, and one that never beats."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.stories.dig import dig
from tests.stories.process import Discovery, running, until

# Answers /health with the status that stands in a file, and prints its port.
LEGACY = """
import http.server, pathlib, sys

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(int(pathlib.Path(sys.argv[1]).read_text()) if self.path == "/health" else 404)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


class Legacy:
    def __init__(self, process: subprocess.Popen[str], status: Path) -> None:
        assert process.stdout is not None
        self.process = process
        self.port = int(process.stdout.readline())
        self._status = status

    def answer(self, status: int) -> None:
        """From now on."""
        fresh = self._status.with_suffix(".new")
        fresh.write_text(str(status))
        fresh.replace(self._status)

    def end(self) -> str:
        """What it wrote to its log."""
        self.process.terminate()
        return self.process.communicate()[1]


@contextmanager
def legacy(folder: Path) -> Iterator[Legacy]:
    status = folder / "status"
    status.write_text("200")
    with subprocess.Popen(
        [sys.executable, "-c", LEGACY, str(status)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Legacy(process, status)
        finally:
            process.kill()


def resolved(server: Discovery, name: str) -> int:
    reply = server.request("GET", f"/resolve/{name}")
    return int(reply.body["instanceCount"]) if reply.status == 200 else 0


def shown(server: Discovery, id: str) -> Any:
    return server.request("GET", f"/instances/{id}").body


def test_one_whose_check_fails_leaves_answers_though_it_beats_and_comes_back(tmp_path: Path) -> None:
    check = {"http": "/health", "interval": 1, "failures": 2, "timeout": 60}
    with legacy(tmp_path) as old, running(HEARTBEAT_TIMEOUT_SECONDS=600) as server:
        id = server.register("old", port=old.port, check=check)["instance"]["id"]
        server.register("old", "127.0.0.2", old.port)
        assert dig(server, "old.svc.local").rdata == {"127.0.0.1", "127.0.0.2"}

        old.answer(500)
        until(lambda: dig(server, "old.svc.local").rdata == {"127.0.0.2"})
        assert server.heartbeat("old", port=old.port).status == 200
        assert resolved(server, "old") == 1
        assert (shown(server, id)["status"], shown(server, id)["checkFailure"]) == ("failing", "answered 500")
        assert server.request("GET", "/stats").body["check"]["failing"] == 1
        until(lambda: any("failing old 127.0.0.1" in line and "answered 500" in line for line in server.log))

        old.answer(200)
        until(lambda: dig(server, "old.svc.local").rdata == {"127.0.0.1", "127.0.0.2"})
        assert resolved(server, "old") == 2
        assert shown(server, id)["status"] == "healthy"
        assert server.stop() == 0
        assert "Traceback" not in "\n".join(server.log)
        assert "Traceback" not in (log := old.end()), log


def test_one_that_never_beats_lives_by_its_check_and_not_longer(tmp_path: Path) -> None:
    """Where one of the two gets no core for a lease it lapses, and is back with the next probe: it is not removed for a minute."""
    with legacy(tmp_path) as old, running(HEARTBEAT_TIMEOUT_SECONDS=2, CLEANUP_INTERVAL_SECONDS=60) as server:
        check = {"http": "/health", "failures": 100, "timeout": 60}
        id = server.register("old", port=old.port, check=check)["instance"]["id"]

        def lived() -> timedelta:
            instance = shown(server, id)
            return datetime.fromisoformat(instance["lastHeartbeat"]) - datetime.fromisoformat(instance["registeredAt"])

        until(lambda: lived() > timedelta(seconds=5) and resolved(server, "old") == 1)
        old.end()
        until(lambda: shown(server, id)["status"] == "unhealthy")
        assert resolved(server, "old") == 0


def test_where_checks_are_turned_off_nobody_is_probed(tmp_path: Path) -> None:
    with legacy(tmp_path) as old, running(HEARTBEAT_TIMEOUT_SECONDS=1, CHECK_ENABLED="false") as server:
        id = server.register("old", port=old.port, check={"http": "/health"})["instance"]["id"]
        assert "check" not in server.request("GET", "/stats").body
        until(lambda: shown(server, id)["status"] == "unhealthy")
        assert "/health" not in old.end()


def test_behind_a_trusted_proxy_it_is_the_callers_address_that_counts_and_no_setting_opens_loopback(
    tmp_path: Path,
) -> None:
    settings: dict[str, Any] = {
        "TRUSTED_PROXIES": "127.0.0.1",
        "CHECK_NETWORKS": "127.0.0.0/8,10.0.0.0/8",
        "HEARTBEAT_TIMEOUT_SECONDS": 600,
    }
    with legacy(tmp_path) as old, running(**settings) as server:
        check = {"http": "/health", "interval": 1, "failures": 1}
        body = {"name": "old", "ip": "127.0.0.1", "port": old.port, "check": check}
        headers = {"Content-Type": "application/json", "X-Forwarded-For": "10.0.0.9"}
        request = urllib.request.Request(f"{server.http}/register", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as reply:
            id = json.load(reply)["instance"]["id"]
        until(lambda: shown(server, id)["status"] == "failing")
        assert "CHECK_NETWORKS" in shown(server, id)["checkFailure"]
        assert resolved(server, "old") == 0
        assert "/health" not in old.end()
