"""Consul's clients by the thousand: what a TTL beat costs beside a plain heartbeat, in processor time of the server; and 5,000 blocking
queries for 5,000 services, of which the change of one wakes one.

python -m tests.benchmarks.consul
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import closing

from tests.benchmarks import report
from tests.benchmarks.isolation import enter
from tests.benchmarks.watch import Crowd
from tests.benchmarks.write_path.checkout import ours
from tests.stories.process import Discovery
from tests.stories.standards.memory import processor

CLIENTS, ROUNDS, TURNS = 5000, 6, 4
CHANGES = 500
_AT_A_TIME = 50

_clock = time.perf_counter


def request(method: str, target: str, body: object = None) -> bytes:
    octets = b"" if body is None else json.dumps(body).encode()
    return f"{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(octets)}\r\n\r\n".encode() + octets


def send_all(port: int, requests: Sequence[bytes], marker: bytes = b"HTTP/1.1 200") -> None:
    """One after another in groups over one connection; each is answered 200."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        for start in range(0, len(requests), _AT_A_TIME):
            some = requests[start : start + _AT_A_TIME]
            sock.sendall(b"".join(some))
            answers = b""
            while answers.count(b"HTTP/1.1 ") < len(some) or not answers.endswith((b"\r\n\r\n", b"}", b"]")):
                answers += sock.recv(1 << 20)
            assert answers.count(marker) == len(some), answers[:500]


def beats(server: Discovery) -> None:
    """The same 5,000 instances each way, in turns; the median of the turns' ratios."""
    register = "/v1/agent/service/register"
    ttl = {"TTL": "3600s", "Status": "passing"}
    names = [f"s{number}" for number in range(CLIENTS)]
    send_all(server.port, [request("PUT", register, {"Name": name, "Port": 80, "Check": ttl}) for name in names])
    keys = [{"name": f"n-{name}", "ip": "10.0.0.1", "port": 80} for name in names]
    send_all(server.port, [request("POST", "/register", {**key, "ttl": 3600}) for key in keys], b"HTTP/1.1 201")
    ways = {
        "plain": [request("POST", "/heartbeat", key) for key in keys],
        "ttl": [request("PUT", f"/v1/agent/check/pass/service:{name}") for name in names],
        "ttl, note": [request("PUT", f"/v1/agent/check/pass/service:{name}?note=all+well") for name in names],
    }
    used: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, requests in ways.items():
            before = processor(server.process.pid)
            for _ in range(TURNS):
                send_all(server.port, requests)
            used[way].append((processor(server.process.pid) - before) / TURNS / CLIENTS * 1e6)
    for way, costs in used.items():
        report.fact(f"{way}: processor time of one", sorted(costs)[len(costs) // 2], "µs")
    for way in ("ttl", "ttl, note"):
        ratios = sorted(cost / plain for cost, plain in zip(used[way], used["plain"], strict=True))
        report.at_most(f"{way}: beside a plain heartbeat", ratios[len(ratios) // 2], 1.5, "")


def waiting(server: Discovery) -> None:
    """Each waits for a service of its own."""
    delays: list[float] = []
    with closing(Crowd(server.port)) as crowd:
        for number in range(CLIENTS):
            index = int(server.request("GET", f"/v1/health/service/s{number}").headers["X-Consul-Index"])
            crowd.come(1, f"/v1/health/service/s{number}?passing=1&stale=&index={index}&wait=600s")
        assert crowd.listen(1) == 0
        before, woken, change = processor(server.process.pid), 0, changer(server.port)
        for number in range(CHANGES):
            sock = crowd.sockets[number * 7 % CLIENTS]
            done = change(number * 7 % CLIENTS, number)
            assert crowd.listen(5, until=1) == 1
            assert sock in crowd.heard
            woken += 1 + crowd.listen(0)
            delays.append(max(0.0, crowd.heard.get(sock, _clock()) - done) * 1000)
        report.fact(
            "… of the server, for a change with its answer",
            (processor(server.process.pid) - before) / CHANGES * 1e6,
            "µs",
        )
    report.at_most(f"{CLIENTS} wait for {CLIENTS} services: woken by the change of one", woken / CHANGES, 1, "")
    report.at_most("… told after the change was answered, p99", report.percentile(delays, 99), 5, "ms")


def changer(port: int) -> Callable[[int, int], float]:
    """Changes a service; when that was answered."""
    sock = socket.create_connection(("127.0.0.1", port))

    def change(number: int, version: int) -> float:
        ttl = {"TTL": "3600s"}
        body = {"Name": f"s{number}", "Port": 80, "Meta": {"version": str(version)}, "Check": ttl}
        sock.sendall(request("PUT", "/v1/agent/service/register", body))
        assert b" 200 " in sock.recv(65536)
        return _clock()

    return change


def main() -> None:
    enter()
    report.machine()
    limits: dict[str, str | int] = {
        "DATA_DIR": "", "LOG_LEVEL": "warning", "CONSUL": "true", "CHECK_ENABLED": "false", "REGISTERS_PER_SECOND": 0,
        "MAX_WATCHERS": CLIENTS + 100, "HTTP_MAX_CONNECTIONS": 3 * CLIENTS, "HTTP_MAX_CONNECTIONS_PER_ADDRESS": 3 * CLIENTS,
    }  # fmt: skip
    with ours().serving(limits) as server:
        beats(server)
        waiting(server)


if __name__ == "__main__":
    main()
