"""A shop of sixteen services on a dozen hosts that lives: it beats, is asked, drains, falls silent. For screenshots and axe."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dns.message
import dns.query

from tests.stories.process import LIMIT, Discovery, running, until

OPERATOR = "dsc_demo-operator-3am"

# Nobody is at the addresses below. With BRAKE_PROBE a router's refusal would let the brake go, where all of it takes long enough.
_TOKENS = f"""
[[token]]
name = "operator"
sha256 = "{hashlib.sha256(OPERATOR.encode()).hexdigest()}"
admin = true

[[token]]
name = "deploy"
sha256 = "{"0" * 63}1"
register = ["checkout", "payments", "cart", "catalog*"]
expires = 2027-01-31T00:00:00Z

[[token]]
name = "prometheus"
sha256 = "{"0" * 63}2"
read = true

[[token]]
name = "contractor"
sha256 = "{"0" * 63}3"
register = ["search"]
expires = 2026-06-30T00:00:00Z
"""

# name: instances, first host, port, tags, version, team
_SERVICES: dict[str, tuple[int, int, int, list[str], str, str]] = {
    "gateway": (3, 11, 8443, ["edge", "http2"], "7.2.1", "edge"),
    "checkout": (4, 14, 8080, ["blue"], "3.18.0", "orders"),
    "payments": (3, 15, 8081, ["pci"], "2.9.4", "payments"),
    "cart": (3, 12, 8082, ["green"], "5.0.2", "orders"),
    "catalog": (6, 11, 8083, ["blue", "cached"], "12.4.0", "catalog"),
    "search": (4, 17, 9200, ["v8"], "8.15.1", "search"),
    "users": (4, 13, 8084, ["blue"], "4.4.7", "identity"),
    "sessions": (2, 19, 8085, [], "4.4.7", "identity"),
    "inventory": (2, 20, 8086, ["green"], "1.30.0", "warehouse"),
    "shipping": (2, 21, 8087, [], "2.2.0", "warehouse"),
    "recommendations": (3, 16, 8088, ["canary"], "0.9.0-rc2", "ml"),
    "image-resizer": (2, 18, 8089, [], "1.7.3", "catalog"),
    "mailer": (2, 22, 8090, [], "3.0.1", "platform"),
    "postgres": (2, 20, 5432, ["primary"], "17.2", "platform"),
    "redis": (3, 17, 6379, [], "8.0.1", "platform"),
    "kafka": (3, 12, 9092, ["kraft"], "4.0.0", "platform"),
}


def _spec(service: str, number: int) -> dict[str, Any]:
    _, first, port, tags, version, team = _SERVICES[service]
    host = 11 + (first - 11 + number) % 12
    return {
        "name": service, "ip": f"10.20.{host % 3 + 1}.{host}", "port": port, "tags": tags, "ports": {"metrics": 9100 + number},
        "zone": f"eu-1{'abc'[host % 3]}", "metadata": {"version": version, "team": team, "commit": hash_of(service)},
    }  # fmt: skip


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


class Shop:
    """`silent`: the ids that have stopped beating. They alone have leases as short as `ttl` seconds: the others live, however late a loaded
    machine lets them beat.
    """

    def __init__(self, server: Discovery, ttl: int) -> None:
        self._ttl = ttl
        self.server = server
        self.ids: dict[tuple[str, int], str] = {}
        self.silent: set[str] = set()
        self.versions = 0
        self._end = threading.Event()

    def open(self) -> None:
        for service, (instances, *_) in _SERVICES.items():
            for number in range(instances):
                self.ids[service, number] = self.server.register(**_spec(service, number))["instance"]["id"]

    def run(self) -> None:
        while not self._end.is_set():
            beats = [{"id": id} for id in self.ids.values() if id not in self.silent]
            self.server.request("POST", "/heartbeats", {"instances": beats})
            self._is_asked()
            self._end.wait(0.5)

    def _is_asked(self) -> None:
        for service in ("catalog", "users", "checkout", "payments", "nobody"):
            query = dns.message.make_query(f"{service}.svc.local", "SRV")
            dns.query.udp(query, "127.0.0.1", port=self.server.dns_port, timeout=LIMIT)
            self.server.request("GET", f"/resolve/{service}")

    def close(self) -> None:
        self._end.set()

    # -- what an operator and life do to it

    def deploys(self, service: str, number: int) -> None:
        self.versions += 1
        spec = _spec(service, number)
        spec["metadata"] |= {"version": f"3.19.{self.versions}", "commit": hash_of(str(self.versions))}
        self.server.register(**spec)

    def drains(self, service: str, number: int) -> None:
        assert self.server.request("PUT", f"/instances/{self.ids[service, number]}/drain").status == 200

    def maintains(self, path: str, reason: str, seconds: int) -> None:
        body = {"reason": reason, "seconds": seconds}
        assert self.server.request("PUT", f"{path}/maintenance", body).status == 200

    def falls_silent(self, service: str, *numbers: int) -> None:
        self.silent |= {self.ids[service, number] for number in numbers}
        self.server.register_together([_spec(service, number) | {"ttl": self._ttl} for number in numbers])

    def has(self, status: str) -> bool:
        return bool(self.server.request("GET", "/stats").body["instancesByStatus"].get(status))


@contextmanager
def shop(folder: Path, ttl: int = 6) -> Iterator[Shop]:
    """A server with tokens, an audit and a history in `folder`; in the shop something of everything has happened.

    `ttl`: seconds that the leases last of those who fall silent.
    """
    (folder / "tokens.toml").write_text(_TOKENS)
    with running(
        TOKENS_FILE=str(folder / "tokens.toml"), AUDIT_FILE=str(folder / "audit.jsonl"), DATA_DIR=str(folder / "data"),
        HEARTBEAT_TIMEOUT_SECONDS=60, CLEANUP_INTERVAL_SECONDS=120, BRAKE_MAX_SECONDS=3600,
        BRAKE_PROBE="false",
    ) as server:  # fmt: skip
        server.token = OPERATOR
        it = Shop(server, ttl)
        it.open()
        thread = threading.Thread(target=it.run, daemon=True)
        thread.start()
        try:
            _lives(it)
            yield it
        finally:
            it.close()
            thread.join()


def _lives(it: Shop) -> None:
    it.drains("checkout", 3)
    it.maintains("/services/postgres", "minor upgrade to 17.3, ticket OPS-2231", 5400)
    it.maintains(f"/instances/{it.ids['kafka', 1]}", "disk replacement", 1800)
    for number in range(2):  # nobody beats for it
        it.server.request("PUT", "/instances", _spec("redis", number) | {"lease": "none"})
    says_of_itself(it.server, _spec("search", 1))
    lapses(it.server, _spec("sessions", 7))
    it.falls_silent("image-resizer", 1)
    until(lambda: it.has("unhealthy"))
    it.falls_silent("catalog", 2, 3, 4)
    until(lambda: it.has("suspect"))
    for number in range(3):
        it.deploys("checkout", number)
    it.drains("recommendations", 0)
    it.server.request("DELETE", f"/instances/{it.ids['recommendations', 0]}/drain")
    it.server.request("DELETE", f"/instances/{it.ids['mailer', 1]}")


def says_of_itself(server: Discovery, spec: dict[str, Any]) -> None:
    body = spec | {"health": "warning", "output": "82 % of the heap is in use", "warningWeight": 10}
    assert server.request("PUT", "/instances", body).status in (200, 201)


def lapses(server: Discovery, spec: dict[str, Any]) -> None:
    assert server.request("PUT", "/instances", spec | {"ttl": 1, "keep": 86_400}).status == 201
    until(lambda: server.request("GET", "/services?status=lapsed").body["totalServices"])


# Of the bad night: services, how many instances each has beside the large one, and what is said of a window that begins in it.
NIGHT_SERVICES = 60
LARGE = "zz-orders-with-a-name-as-long-as-people-give-them"
NIGHT_REASON = "the storage array of rack 14 is replaced by its vendor since 02:10; runbook OPS-2231, call the vendor before you end this"


@contextmanager
def night(folder: Path) -> Iterator[Discovery]:
    """60 services with 400 instances, and all of the trouble at once: a brake that holds, silent ones, failing checks, drains, maintenance;
    some have gone, in order and not. The worst have the last names.
    """
    (folder / "tokens.toml").write_text(_TOKENS)
    with running(
        TOKENS_FILE=str(folder / "tokens.toml"), AUDIT_FILE=str(folder / "audit.jsonl"), DATA_DIR=str(folder / "data"),
        HEARTBEAT_TIMEOUT_SECONDS=3600, CLEANUP_INTERVAL_SECONDS=900, BRAKE_MAX_SECONDS=3600, MAX_INSTANCES_PER_SERVICE=100,
        REGISTERS_PER_SECOND=100_000, CHECK_NETWORKS="127.0.0.0/8", BRAKE_PROBE="false",
    ) as server:  # fmt: skip
        server.token = OPERATOR
        names = [
            f"{'abcdefghijklmnopqrstuvw'[number % 23]}-service-{number:02}" for number in range(NIGHT_SERVICES - 1)
        ]
        specs = [_night_spec(name, number) for name in names for number in range(6)]
        specs += [_night_spec(LARGE, number) for number in range(400 - len(specs))]
        ids = [each["id"] for each in server.request("POST", "/registrations", {"instances": specs}).body["results"]]
        _happens_at_night(server, dict(zip(((spec["name"], spec["port"]) for spec in specs), ids, strict=True)), names)
        yield server


def _night_spec(name: str, number: int) -> dict[str, Any]:
    host = (sum(map(ord, name)) + number * 7) % 40 + 10
    return {
        "name": name, "ip": f"10.30.{host % 4}.{host}", "port": 8000 + number, "tags": ["blue"], "zone": f"eu-1{'abc'[host % 3]}",
        "metadata": {"version": f"4.{number}.0", "team": "orders", "commit": hash_of(name)}, "ttl": 3600,
    }  # fmt: skip


_REPORTED = [{"id": name, "ttl": 86_400, "status": "passing"} for name in ("pool", "disk")]


def _happens_at_night(server: Discovery, ids: dict[tuple[str, int], str], names: list[str]) -> None:
    for name in names[50:54]:  # these have nobody left who can be reached
        for port in range(8000, 8006):
            check = {"tcp": True, "interval": 1, "timeout": 0.5, "failures": 1}
            server.register(name, "127.0.0.1", port - 7990, check=check)
            server.request("DELETE", f"/instances/{ids[name, port]}")
    for name in names[20:30]:
        assert server.request("PUT", f"/instances/{ids[name, 8001]}/drain").status == 200
    for id in (f"/instances/{ids[LARGE, 8000]}", f"/services/{names[40]}"):
        assert server.request("PUT", f"{id}/maintenance", {"reason": NIGHT_REASON, "seconds": 7200}).status == 200
    says_of_itself(server, _night_spec(names[10], 0))
    lapses(server, _night_spec(names[11], 9))
    server.request("PUT", "/instances", _night_spec(names[12], 0) | {"ttl": None, "lease": "none", "checks": _REPORTED})
    for name in names[30:34]:
        server.register(name, "10.30.9.9", 9, ttl=1)  # these fall silent one by one
    until(lambda: server.request("GET", "/stats").body["instancesByStatus"].get("unhealthy"))
    server.register_together([_night_spec(LARGE, number) | {"ttl": 2} for number in range(10, 40)])
    until(lambda: (server.request("GET", "/stats").body["instancesByStatus"].get("suspect") or 0) >= 30)
    until(lambda: (server.request("GET", "/stats").body["instancesByStatus"].get("failing") or 0) >= 24)
