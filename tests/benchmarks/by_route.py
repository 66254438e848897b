"""DNS while 1,000 HTTP requests of one route arrive at once, over open connections and over new ones: a row a route.

python -m tests.benchmarks.by_route [part of a title …]

1,000 DNS queries a second in an open loop, from the first request to the last answer. The server on one core, the clients on another.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.benchmarks import report
from tests.benchmarks.fleet import fleet, register
from tests.benchmarks.isolation import enter
from tests.benchmarks.probe import probing
from tests.benchmarks.rivals import CLIENT_CORE, SERVER_CORE
from tests.stories.process import running

SERVICES, INSTANCES, REQUESTS, QUERIES = 200, 3, 1000, 1000
P99_MS, MAX_MS, MAX_MS_NEW = 10, 25, 50
_LENGTH = re.compile(rb"content-length: (\d+)")


def request(method: str, target: str, body: object = None, *fields: str) -> bytes:
    octets = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", *fields]
    return "\r\n".join([*lines, f"Content-Length: {len(octets)}", "", ""]).encode() + octets


def routes() -> dict[str, Callable[[int], bytes]]:
    """A request by its number."""
    known = [{"name": name, "ip": ip, "port": port} for name, ip, port in fleet(SERVICES, INSTANCES)]

    def get(target: str, *fields: str) -> Callable[[int], bytes]:
        return lambda n: request("GET", target.format(n % SERVICES), None, *fields)

    def of(method: str, target: str, count: int) -> Callable[[int], bytes]:
        if count == 1:
            return lambda n: request(method, target, known[n % len(known)])
        return lambda n: request(method, target, {"instances": [known[(n + i) % len(known)] for i in range(count)]})

    gets = (
        "/health", "/ready", "/resolve/s{}", "/resolve/s{}?explain=1", "/resolve/s{}?strategy=random&limit=2", "/services/s{}", "/services",
        "/services?status=healthy", "/services?limit=10&after=s1", "/stats", "/metrics", "/changes", "/changes?tag=a",
        "/maintenance", "/dns/s{}.svc.local", "/openapi.json", "/ui", "/docs", "/nothing",
    )  # fmt: skip
    return {
        **{f"GET {target}": get(target) for target in gets},
        "GET /services, gzip": get("/services", "Accept-Encoding: gzip"),
        "GET /metrics, no-cache": get("/metrics", "Cache-Control: no-cache"),
        "POST /heartbeat": of("POST", "/heartbeat", 1),
        "PUT /instances": of("PUT", "/instances", 1),
        "POST /register": of("POST", "/register", 1),
        "POST /heartbeats, 100": of("POST", "/heartbeats", 100),
        "POST /registrations, 20": of("POST", "/registrations", 20),
    }


def is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = _LENGTH.search(head.lower())
    return bool(end) and (len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n"))


def at_once(port: int, make: Callable[[int], bytes], socks: list[socket.socket]) -> None:
    """One request on each of these, or on as many new ones; returns when all are answered. Asserts that none was closed before."""
    with selectors.DefaultSelector() as selector:
        for number in range(REQUESTS):
            sock = socks[number] if socks else socket.create_connection(("127.0.0.1", port))
            sock.sendall(make(number))
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_READ, bytearray())
        while selector.get_map():
            for key, _ in selector.select():
                octets = key.fileobj.recv(1 << 20)  # type: ignore[union-attr]
                assert octets, "closed before its answer was whole"
                key.data.extend(octets)
                if is_whole(key.data):
                    selector.unregister(key.fileobj)
                    if not socks:
                        key.fileobj.close()  # type: ignore[union-attr]


def main() -> None:
    enter()
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    report.machine()
    names = [f"s{number}.svc.local" for number in range(SERVICES)]
    settings: dict[str, Any] = {"LOG_LEVEL": "warning", "REGISTERS_PER_SECOND": 0, "HEARTBEAT_TIMEOUT_SECONDS": 3600}
    with running(prefix=["taskset", "-c", SERVER_CORE], **settings) as server:
        register(server.port, fleet(SERVICES, INSTANCES))
        for title, make in routes().items():
            if sys.argv[1:] and not any(part in title for part in sys.argv[1:]):
                continue
            for kind in ("open", "new"):
                count = REQUESTS if kind == "open" else 0
                socks = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(count)]
                with probing(server.dns_port, names, QUERIES) as probe:
                    began = time.monotonic()
                    at_once(server.port, make, socks)
                    took = time.monotonic() - began
                for sock in socks:
                    sock.close()
                dns = probe.latencies
                note = f"p99 {dns.ms(99):.1f} (≤ {P99_MS}), {REQUESTS / took:.0f} requests/s, probe late {dns.late:.1f}"
                report.at_most(f"{title}, {kind}", dns.worst, MAX_MS if kind == "open" else MAX_MS_NEW, "ms", note)


if __name__ == "__main__":
    main()
