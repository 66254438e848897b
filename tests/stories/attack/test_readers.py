"""2,000 connections that ask for anything and read nothing, in plain text and over TLS; and 12,000 new ones in four seconds: what they
cost, and that nobody who beats is closed for them. `pytest -s` shows the figures.
"""

from __future__ import annotations

import http.client
import json
import resource
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.stories.attack.bystanders import MIB, peak
from tests.stories.process import LIMIT, Discovery, running
from tests.stories.standards.memory import descriptors, rss
from tests.stories.standards.secure import running_secure

READERS = 2000
NEW, SECONDS = 12_000, 4.0
TARGETS = (
    "/services", "/services?status=healthy", "/services?limit=50", "/resolve/large", "/changes?limit=1000", "/stats", "/metrics",
    "/openapi.json", "/ui", "/events?since=1", "/services/large", "/resolve/large?explain=1",
)  # fmt: skip
BODY = b'{"name":"beats","ip":"10.9.9.9","port":1}'
BEAT = b"POST /heartbeat HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY), BODY,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _files() -> Iterator[None]:
    _, granted = resource.getrlimit(resource.RLIMIT_NOFILE)
    with descriptors(min(granted, 20_000)):
        yield


class Server(NamedTuple):
    """`context`: of its clients, where it speaks TLS."""

    process: Discovery
    port: int
    context: ssl.SSLContext | None

    def status(self, method: str, path: str, body: object = None) -> int:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        if self.context is not None:
            client = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=LIMIT, context=self.context)
        with closing(client):
            client.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            return client.getresponse().status

    def connected(self, address: str, octets: int | None = None) -> socket.socket:
        """From there. `octets`: that the kernel here takes and nobody reads."""
        sock = socket.socket()
        if octets is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, octets)
        sock.bind((address, 0))
        sock.connect(("127.0.0.1", self.port))
        return sock if self.context is None else self.context.wrap_socket(sock, server_hostname="127.0.0.1")

    def fill(self) -> None:
        for start in range(0, 600, 200):
            many = [
                {"name": f"s{n // 3}", "ip": f"10.0.{n // 250}.{n % 250 + 1}", "port": 80}
                for n in range(start, start + 200)
            ]
            assert self.status("POST", "/registrations", {"instances": many}) == 200
        large = [{"name": "large", "ip": "10.1.0.1", "port": n, "metadata": {"x": "y" * 8000}} for n in range(1, 101)]
        assert self.status("POST", "/registrations", {"instances": large}) == 200
        assert self.status("POST", "/register", json.loads(BODY)) == 201


class Beats:
    """One who beats on one connection, as often as it is asked to. `slowest`: seconds."""

    def __init__(self, server: Server, address: str) -> None:
        self.sock = server.connected(address)
        self.sock.settimeout(LIMIT)
        self.slowest = 0.0

    def beat(self) -> None:
        began = time.monotonic()
        self.sock.sendall(BEAT)
        assert self.sock.recv(65536).startswith(b"HTTP/1.1 200 "), "it was closed"
        self.slowest = max(self.slowest, time.monotonic() - began)


def read_nothing(server: Server, most: int) -> None:
    server.fill()
    # Made once for everybody, when it is first asked for: no reader's cost.
    assert server.status("GET", "/openapi.json") == 200
    pid = server.process.process.pid
    before, slowest, beats = rss(pid), 0.0, Beats(server, "127.0.0.9")
    with ExitStack() as stack:
        stack.enter_context(closing(beats.sock))
        for number in range(READERS):
            sock = stack.enter_context(closing(server.connected(f"127.0.1.{number % 4 + 1}", 2048)))
            target = TARGETS[number % len(TARGETS)]
            sock.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() * 3)
            if number % 100 == 0:
                beats.beat()
                began = time.monotonic()
                assert server.status("GET", "/health") == 200
                slowest = max(slowest, time.monotonic() - began)
        grown = peak(pid) - before
    print(
        f"{READERS} that read nothing{'' if server.context is None else ', over TLS'}: {grown / MIB:+.1f} MiB at most; "
        f"/health within {slowest * 1000:.0f} ms, heartbeats within {beats.slowest * 1000:.0f} ms"
    )
    assert grown <= most
    assert slowest < 20


SETTINGS: dict[str, Any] = {
    "LOG_LEVEL": "warning", "REGISTERS_PER_SECOND": 0, "MAX_INSTANCES_PER_SERVICE": 1000, "HEARTBEAT_TIMEOUT_SECONDS": 600,
}  # fmt: skip


def test_those_who_read_nothing_cost_little_and_close_nobody_who_beats() -> None:
    with running(**SETTINGS) as process:
        read_nothing(Server(process, process.port, None), 100 * MIB)


@pytest.mark.with_all  # 2,000 handshakes
def test_over_tls_they_cost_no_more_than_the_page_says(tmp_path: Path) -> None:
    with running_secure(tmp_path, **SETTINGS) as secure:
        read_nothing(Server(secure.server, secure.https_port, secure.context()), 320 * MIB)


@pytest.mark.with_all  # rest/http/test_connections.py has who makes way for whom, test_slow_clients.py who is let in
def test_12000_new_connections_in_four_seconds_close_none_that_beats_and_leave_room_for_who_has_beaten() -> None:
    with running(**SETTINGS, HTTP_MAX_CONNECTIONS=2000, HTTP_MAX_CONNECTIONS_PER_ADDRESS=2000) as process:
        server = Server(process, process.port, None)
        server.fill()
        clients = [Beats(server, f"127.0.2.{number + 1}") for number in range(100)]
        began, let_in = time.monotonic(), 0
        with ExitStack() as stack:
            for client in clients:
                stack.enter_context(closing(client.sock))
                client.beat()
            for number in range(NEW):
                time.sleep(max(0.0, began + number * SECONDS / NEW - time.monotonic()))
                sock = stack.enter_context(closing(server.connected(f"127.0.1.{number % 8 + 1}")))
                sock.sendall(b"GET /resolve/beats HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                if number % 1000 == 999:
                    newcomer = stack.enter_context(closing(Beats(server, f"127.0.2.{number // 1000 + 1}").sock))
                    newcomer.sendall(BEAT)
                    let_in += newcomer.recv(65536).startswith(b"HTTP/1.1 200 ")
            took = time.monotonic() - began
            for client in clients:
                client.beat()
        print(f"{NEW} new connections in {took:.1f} s: 100 of 100 that beat are open, {let_in} of 12 new ones beat")
        assert let_in == NEW // 1000
