"""Following changes with the programs that people have: curl, an EventSource, and clients that never read, in a crowd, at the end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.programs import program
from tests.stories.node_js import node_running
from tests.stories.process import LIMIT, ROOT, Discovery, running, until

README = ROOT / "discovery" / "rest" / "watch" / "README.md"


@contextmanager
def curl(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [program("curl"), "--silent", "--show-error", "--no-buffer", "--max-time", str(LIMIT), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def watchers(server: Discovery, count: int) -> None:
    until(lambda: server.request("GET", "/stats").body["watchers"]["now"] == count)


def lines(process: subprocess.Popen[str], count: int) -> list[Any]:
    assert process.stdout is not None
    return [json.loads(process.stdout.readline()) for _ in range(count)]


# -- curl


def test_the_loop_of_the_readme_hears_of_every_change(tmp_path: Path) -> None:
    script = re.search(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    assert script
    with running() as server:
        server.register("user-service")
        text = script[1].replace("localhost:3100", server.http)
        said = tmp_path / "said"
        command = [program("bash"), "-c", text]
        with (
            said.open("wb") as file,
            subprocess.Popen(command, cwd=tmp_path, stdout=file, start_new_session=True) as loop,
        ):
            try:
                for number in range(1, 6):
                    until(lambda number=number: said.read_text().count("instanceCount") == number)  # type: ignore[misc]
                    watchers(server, 1)
                    server.register("user-service", port=3001 + number)
            finally:
                os.killpg(loop.pid, signal.SIGKILL)
        assert re.findall(r'"instanceCount":(\d)', said.read_text())[:5] == ["1", "2", "3", "4", "5"]
        watchers(server, 0)


def test_curl_sees_what_happens_at_once_and_is_forgotten_when_it_ends() -> None:
    with running() as server, curl(f"{server.http}/events?service=user-service&kind=registered,deregistered") as client:
        watchers(server, 1)
        server.register("user-service")
        server.register("other")
        server.request("DELETE", "/services/user-service")
        assert client.stdout is not None
        seen: list[Any] = []
        while len(seen) < 2:
            line = client.stdout.readline()
            seen += [json.loads(line.removeprefix("data: "))] if line.startswith("data: ") else []
        assert [(each["kind"], each["service"]) for each in seen] == [
            ("registered", "user-service"),
            ("deregistered", "user-service"),
        ]
        client.kill()
        watchers(server, 0)


# -- EventSource


def test_an_eventsource_comes_back_after_a_restart_and_misses_nothing(tmp_path: Path) -> None:
    port = free_port()
    settings: dict[str, Any] = {"DATA_DIR": str(tmp_path), "PORT": port, "HEARTBEAT_TIMEOUT_SECONDS": 3600}
    with ExitStack() as stack:
        server = stack.enter_context(running(**settings))
        follower = stack.enter_context(node_running("follow.js", f"{server.http}/events"))
        assert lines(follower, 1) == [{"open": True}]
        first = server.register("user-service")["index"]
        assert lines(follower, 1) == [{"index": first, "kind": "registered", "id": str(first)}]
        assert server.stop() == 0
        assert "error" in lines(follower, 1)[0]
        server = stack.enter_context(running(**settings))
        heard = lines(follower, 1)
        while "error" in heard[0]:
            heard = lines(follower, 1)
        assert heard == [{"open": True}]
        # The index has moved with the start, and nobody knows what came before: it reads everything anew.
        [said] = lines(follower, 1)
        assert said["reset"]["index"] == said["reset"]["oldest"] == int(said["id"]) > first
        again = server.register("user-service", port=3002)["index"]
        assert lines(follower, 1) == [{"index": again, "kind": "registered", "id": str(again)}]


# -- the end


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_when_the_server_is_asked_to_end_polls_are_answered_and_streams_end_at_once(signum: int) -> None:
    with running() as server, ExitStack() as stack:
        index = server.register("user-service")["index"]
        polls = [
            stack.enter_context(curl("--write-out", "\n%{http_code}", f"{server.http}{path}?index={index}&wait=10m"))
            for path in ("/resolve/user-service", "/resolve/nobody", "/services")
        ]
        streams = [stack.enter_context(curl("--write-out", "\n%{http_code}", f"{server.http}/events"))]
        watchers(server, 4)
        assert server.stop(signum) == 0
        ends = [process.communicate(timeout=LIMIT)[0].rsplit("\n", 1)[1] for process in (*polls, *streams)]
        assert ends == ["200", "404", "200", "200"]
        assert "Traceback" not in "\n".join(server.log)


# -- those who mean no good, or do not know better


def ask(sock: socket.socket, target: str) -> None:
    sock.sendall(f"GET {target} HTTP/1.1\r\nHost: registry\r\n\r\n".encode())


def connected(port: int, address: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket()
    sock.bind((address, 0))
    sock.settimeout(LIMIT)
    sock.connect(("127.0.0.1", port))
    return sock


def test_one_who_never_reads_is_cut_and_counted_and_memory_stays() -> None:
    with running(MAX_INSTANCES_PER_SERVICE=1000, REGISTERS_PER_SECOND=0) as server, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        ask(deaf, "/events")
        watchers(server, 1)
        text = "x" * 15_000
        for round in range(30):
            bodies = [
                {"name": "large", "ip": "10.0.0.1", "port": port, "metadata": {"x": text, "n": round}}
                for port in range(1, 51)
            ]
            assert server.request("POST", "/registrations", {"instances": bodies}).body["registered"] == 50
            if server.request("GET", "/stats").body["watchers"]["cut"]:
                break
        assert server.request("GET", "/stats").body["watchers"]["cut"] == 1
        watchers(server, 0)


def crowd(stack: ExitStack, port: int, addresses: Sequence[str], each: int, target: str) -> list[socket.socket]:
    found = []
    for address in addresses:
        for _ in range(each):
            sock = stack.enter_context(closing(connected(port, address)))
            ask(sock, target)
            found.append(sock)
    return found


def test_a_crowd_finds_an_end_and_heartbeats_go_on() -> None:
    """The limits are lowered, so that it need not be 20,000."""
    limits: dict[str, Any] = {"HTTP_MAX_CONNECTIONS": 420, "HTTP_MAX_CONNECTIONS_PER_ADDRESS": 40, "MAX_WATCHERS": 4096}
    with running(HEARTBEAT_TIMEOUT_SECONDS=3600, **limits) as server, ExitStack() as stack:
        server.register("user-service")
        addresses = [f"127.0.2.{number}" for number in range(1, 16)]
        socks = crowd(stack, server.port, addresses, 25, "/events?service=user-service")
        heads = [sock.recv(65536).decode() for sock in socks]
        let_in = sum(head.startswith("HTTP/1.1 200 ") for head in heads)
        refused = [head for head in heads if head.startswith("HTTP/1.1 503 ")]
        assert (let_in, let_in + len(refused)) == (210, 375)  # half of all; of one address, 20
        assert all("Retry-After: 5\r\n" in head and "TOO_MANY_WATCHERS" in head for head in refused)
        assert all(heads[start].startswith("HTTP/1.1 200 ") for start in range(20))
        for _ in range(20):
            assert server.heartbeat("user-service").status == 200
        assert server.request("GET", "/stats").body["watchers"] == {"now": 210, "refused": 165, "cut": 0}
        assert server.request("GET", "/resolve/user-service?index=0").status == 200
        server.register("user-service", port=3002)
        for sock, head in zip(socks, heads, strict=True):
            if " 200 " in head:
                octets = b""
                while b"registered" not in octets:
                    octets += sock.recv(65536)
