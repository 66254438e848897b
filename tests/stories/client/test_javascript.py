"""discovery/docs/examples/registry.mjs, driven under Node through a restart of the registry."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import discovery
from tests.programs import program
from tests.stories.process import LIMIT, environment, running, until

EXAMPLE = Path(discovery.__file__).parent / "docs" / "examples" / "registry.mjs"
DRIVER = Path(__file__).with_name("driver.mjs")


class Node:
    """driver.mjs: a line in, a line out."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [program("node"), str(DRIVER), str(EXAMPLE)],
            env=environment(DISCOVERY_URL=url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def end(self) -> str:
        """What it said on its standard error."""
        _, said = self._process.communicate("end\n", timeout=LIMIT)
        assert self._process.returncode == 0, said
        return said

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


class _Busy(BaseHTTPRequestHandler):
    """503 to everything, and a wish to be asked again at once."""

    asked = 0

    def do_POST(self) -> None:
        type(self).asked += 1
        body = json.dumps({"message": "the disk is full", "retryAfterMs": 5}).encode()
        self.send_response(503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        pass


def test_the_javascript_says_once_what_is_wrong_and_ends_in_order_while_the_registry_is_away() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Busy) as server:
        Thread(target=server.serve_forever).start()
        node = Node(f"http://127.0.0.1:{server.server_port}")
        try:
            assert node.ask("register") == "registered"
            until(lambda: _Busy.asked > 10)
            server.shutdown()
            server.server_close()
            said = node.end()
        finally:
            server.shutdown()
            node.close()
    assert said.count("js is not registered: the disk is full") == 1


def test_the_javascript_registers_follows_and_survives_a_restart_without_memory() -> None:
    with ExitStack() as stack:
        first = stack.enter_context(ExitStack())
        server = first.enter_context(running(HEARTBEAT_TIMEOUT_SECONDS=1))
        port, node = server.port, Node(server.http)
        stack.callback(node.close)
        assert node.ask("register") == "registered"
        instance = server.request("GET", "/resolve/js").body["instances"][0]
        assert (instance["ip"], instance["port"], instance["tags"]) == ("127.0.0.1", 3001, ["blue"])
        server.register("other", port=3002, ttl=60)
        until(lambda: node.ask("list") == "[3002]")
        server.register("other", port=3003, ttl=60)
        until(lambda: node.ask("list") in ("[3002,3003]", "[3003,3002]"))
        assert node.ask("next") != node.ask("next")
        first.close()
        assert len(json.loads(node.ask("list"))) == 2, "the last good list"
        server = stack.enter_context(running(PORT=port, HEARTBEAT_TIMEOUT_SECONDS=1))
        until(lambda: server.request("GET", "/resolve/js").status == 200)
        server.register("other", port=3004, ttl=60)
        until(lambda: node.ask("list") == "[3004]")
        said = node.end()
        assert server.request("GET", "/resolve/js").status == 404
    assert "the registry is away" in said
