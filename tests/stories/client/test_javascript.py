"""discovery/docs/examples/registry.mjs under Node and in a browser, through crashes of the registry; and its types."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

import pytest

import discovery
from tests.ports import free_port
from tests.programs import program
from tests.stories.dashboard.chromium import chromium
from tests.stories.node_js import node_modules
from tests.stories.process import LIMIT, Discovery, environment, running, until

EXAMPLE = Path(discovery.__file__).parent / "docs" / "examples" / "registry.mjs"
DRIVER = Path(__file__).with_name("driver.mjs")
# Seconds: a third of it is waited for a beat, the rest is what a loaded machine may keep the client from beating.
LEASE = 9


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
            assert node.ask("register") == "asked"
            until(lambda: _Busy.asked > 10)
            server.shutdown()
            server.server_close()
            said = node.end()
        finally:
            server.shutdown()
            node.close()
    assert said.count("js is not registered: the disk is full") == 1


WIDE = "/resolve/js%20%2F%20wide"


def test_the_javascript_registers_follows_and_survives_a_crash_of_a_registry_without_memory() -> None:
    with ExitStack() as stack:
        first = stack.enter_context(ExitStack())
        port = free_port()
        server = first.enter_context(running(PORT=port, HEARTBEAT_TIMEOUT_SECONDS=LEASE))
        node = Node(server.http)
        stack.callback(node.close)
        assert node.ask("register") == "asked"
        assert node.ask("ready") == "ready"
        instance = server.request("GET", "/resolve/js").body["instances"][0]
        assert (instance["ip"], instance["port"], instance["tags"]) == ("127.0.0.1", 3001, ["blue/green"])
        until(lambda: server.request("GET", WIDE).status == 200)
        [wide] = server.request("GET", WIDE).body["instances"]
        assert (wide["ip"], wide["port"]) == ("Db.example.com", None)
        assert node.ask("report failing full") == "said"
        [shown] = server.request("GET", "/services/js").body["instances"]
        assert (shown["status"], shown["output"], shown["keep"]) == ("failing", "full", 60)
        assert server.request("GET", "/resolve/js").status == 404
        assert node.ask("report passing") == "said"
        assert server.request("GET", "/resolve/js").status == 200
        assert node.ask("check pool failing empty") == "said"
        check = server.request("GET", "/services/js").body["instances"][0]["checkStates"]["pool"]
        assert (check["health"], check["output"]) == ("failing", "empty")
        assert node.ask("check pool passing") == "said"
        assert "nobody" in node.ask("check nobody passing")
        server.register("other", port=3002, ttl=60)
        until(lambda: node.ask("list") == "[3002]")
        server.register("other", port=3003, ttl=60)
        until(lambda: node.ask("list") in ("[3002,3003]", "[3003,3002]"))
        assert node.ask("next") != node.ask("next")
        warns = {"name": "other", "ip": "127.0.0.1", "port": 3003, "ttl": 60, "health": "warning"}
        server.request("PUT", "/instances", warns)
        until(lambda: [node.ask("next") for _ in range(10)].count("3002") >= 9)
        server.request("PUT", "/instances", warns | {"health": "passing"})
        until(lambda: node.ask("next") != node.ask("next"))
        assert node.ask("fails 3002 1") == "[3002,3003]", "one failure may be anybody's"
        assert node.ask("fails 3002 1") == "[3003]"
        assert node.ask("fails 3003 2") == "[3002,3003]", "one that may fail is better than none"
        node.ask("pick")
        until(lambda: server.request("GET", WIDE).body["instances"][0]["lastHeartbeat"] > wide["lastHeartbeat"])
        assert server.request("GET", WIDE).body["instances"][0]["id"] == wide["id"], "it beats"
        first.close()  # killed
        assert len(json.loads(node.ask("list"))) == 2, "the last good list"
        server = stack.enter_context(running(PORT=port, HEARTBEAT_TIMEOUT_SECONDS=LEASE))
        until(lambda: server.request("GET", "/resolve/js").status == 200)
        until(lambda: answered_that_nobody_is_there(server) >= 2)
        assert len(json.loads(node.ask("list"))) == 2, "that is not believed so soon"
        server.register("other", port=3004, ttl=60)
        until(lambda: node.ask("list") == "[3004]")
        assert node.ask("missed") == "0", "at each moment there was somebody to ask"
        server.register("other", port=3005, ttl=60)
        until(lambda: len(json.loads(node.ask("list"))) == 2)
        assert node.ask("retry 3005") in ("[3005,true]", "[3005,false]")
        said = node.end()
        assert [server.request("GET", path).status for path in ("/resolve/js", WIDE)] == [404, 404]
    assert re.search("the registry is away|is not read, and asked for again", said), "whichever came upon it first"
    assert stopped_in(said) < 10_000, "what it waits for ends after half a minute"


def answered_that_nobody_is_there(server: Discovery) -> int:
    with urlopen(f"{server.http}/metrics", timeout=LIMIT) as response:
        text = response.read().decode()
    counted = r'^discovery_http_requests_total\{method="GET",route="/resolve/\{name\}",status="404"\} (\d+)'
    return sum(map(int, re.findall(counted, text, re.M)))


def stopped_in(said: str) -> int:
    """Milliseconds."""
    return int(re.findall(r"stopped in (\d+) ms", said)[-1])


def test_the_javascript_takes_those_of_its_own_zone_and_others_when_these_fail() -> None:
    with running(CLIENT_ZONES="127.0.0.0/8=eu-a", HEARTBEAT_TIMEOUT_SECONDS=60) as server:
        for port, zone in enumerate(("eu-b", "eu-a", "eu-b", "eu-a"), 3001):
            server.register("other", port=port, zone=zone)
        node = Node(server.http)
        try:
            until(lambda: node.ask("list") == "[3004,3002,3003,3001]")
            assert {node.ask("next") for _ in range(10)} == {"3002", "3004"}
            assert node.ask("fails 3002 2") == "[3004]"
            assert node.ask("fails 3004 2") == "[3001,3003]"
        finally:
            node.close()


def test_what_is_refused_for_good_is_told_to_who_waits() -> None:
    with running(API_TOKEN="a-secret-of-the-stories", REQUIRE_READ_TOKEN=True) as server:  # noqa: S106
        node = Node(server.http)
        try:
            node.ask("register")
            assert node.ask("ready").startswith("401 ")
            assert stopped_in(node.end()) < 10_000
        finally:
            node.close()


@pytest.mark.with_all  # Node runs the same file; whom a browser lets ask, rest/guard/test_cors.py has
def test_a_browser_follows_and_survives_a_crash_of_the_registry() -> None:
    with ExitStack() as stack:
        page = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), _Page))
        Thread(target=page.serve_forever).start()
        stack.callback(page.shutdown)
        origin = f"http://127.0.0.1:{page.server_port}"
        first = stack.enter_context(ExitStack())
        port = free_port()
        server = first.enter_context(running(ALLOWED_ORIGINS=origin, PORT=port))
        server.register("other", port=3002, ttl=60)
        browser = stack.enter_context(chromium()).new_page()
        browser.goto(origin)
        following = """async url => {
            const { follow, register } = await import("/registry.mjs");
            window.list = follow("other", { url });
            window.own = register("in-a-browser", 3009, { ip: "127.0.0.1", ttl: 2 }, { url });
            await Promise.all([list.ready, own.ready]);
            window.missed = 0;
            setInterval(() => (missed += list.next() === undefined), 5);
            return list.retry(({ port }) => port);
        }"""
        assert browser.evaluate(following, server.http) == 3002
        first.close()
        server = stack.enter_context(running(ALLOWED_ORIGINS=origin, PORT=port))
        until(lambda: server.request("GET", "/resolve/in-a-browser").status == 200)
        server.register("other", port=3004, ttl=60)
        browser.wait_for_function("list.next().port === 3004")
        assert browser.evaluate("missed") == 0
        browser.evaluate("list.stop(); own.stop()")
        until(lambda: server.request("GET", "/resolve/in-a-browser").status == 404)


class _Page(_Busy):
    def do_GET(self) -> None:
        script = self.path == "/registry.mjs"
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if script else "text/html")
        self.end_headers()
        self.wfile.write(EXAMPLE.read_bytes() if script else b"<!doctype html><title>a page</title>")


_USE = """import { follow, register, type Instance, type Registration } from "./registry.mjs";
const registered: Registration = register("users", 3001, { tags: ["blue"], metadata: { v: 2 }, keep: 60 }, { url: "http://[::1]:3100" });
await registered.ready;
register("users db", null, { ip: "db.example.com" });
await registered.report("warning", "80 % full");
await registered.reportCheck("db-pool", "passing", "3 ms");
const list = follow("users");
const next: Instance | undefined = list.next();
if (next) list.failed(next);
const text: string = await list.retry(async ({ ip, port }) => `${ip}:${port}`, 2);
list.stop();
await registered.stop();
export { text };
"""


_WRONG = {
    "list.next().port;": "possibly 'undefined'",
    "register(1, 2);": "not assignable",
    'registered.report("great");': "not assignable",
    'registered.reportCheck("db-pool", "great");': "not assignable",
}


@pytest.mark.with_all  # the compiler takes seconds
def test_typescript_reads_the_types(tmp_path: Path) -> None:
    """In one run of the compiler, which takes seconds: nothing is wrong but these lines, each in its way."""
    compiler = node_modules() / "typescript" / "bin" / "tsc"
    for name in ("registry.mjs", "registry.d.mts"):
        (tmp_path / name).write_bytes((EXAMPLE.parent / name).read_bytes())
    (tmp_path / "use.mts").write_text(_USE + "\n".join(_WRONG))
    options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022"]
    command = [program("node"), str(compiler), *options, "use.mts"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT, check=False)
    said = re.findall(r"^use\.mts\((\d+),\d+\): error (.*)", done.stdout, re.M)
    first = _USE.count("\n") + 1
    assert [int(line) for line, _ in said] == [first + number for number in range(len(_WRONG))], done.stdout
    for (_, text), wrong in zip(said, _WRONG.values(), strict=True):
        assert wrong in text


def test_the_types_name_what_the_file_exports() -> None:
    exported = re.compile(r"^export (?:async )?function (\w+)", re.M)
    types = EXAMPLE.with_name("registry.d.mts").read_text()
    assert sorted(exported.findall(EXAMPLE.read_text())) == sorted(exported.findall(types))
