"""How soon a registration is served, and whether an instance is ever served after its lease.

Client and server read the same monotonic clock, so a lease is known from outside: it begins between the sending of the
registration or heartbeat and the reading of its reply. Answers that were asked for after the latest possible end must not have
the instance; answers that arrived before the earliest must have it. python -m tests.benchmarks.freshness
"""

from __future__ import annotations

import json
import socket
import time
from typing import IO, NamedTuple

import dns.message

from tests.benchmarks import report
from tests.benchmarks.fleet import Instance, post, read_reply
from tests.benchmarks.isolation import enter
from tests.benchmarks.probe import come_first
from tests.benchmarks.rivals import SERVER_CORE
from tests.stories.process import running

REGISTRATIONS = 500
SERVED_MS = 2
# Leases at once, in how many turns; their ends are this far apart and this closely watched, seconds.
LEASES, TURNS = 100, 5
LEASE, APART, MARGIN = 1.0, 0.008, 0.003

_clock = time.monotonic


class Lease(NamedTuple):
    """It ended between `earliest` and `latest`."""

    member: Instance
    earliest: float
    latest: float


class Sight(NamedTuple):
    """An answer."""

    asked: float
    received: float
    has_it: bool
    ttl: int


class Client:
    def __init__(self, http_port: int, dns_port: int) -> None:
        self._http = socket.create_connection(("127.0.0.1", http_port))
        self._http.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies: IO[bytes] = self._http.makefile("rb")
        self._dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._dns.connect(("127.0.0.1", dns_port))
        self._dns.settimeout(2)

    def register(self, member: Instance, ttl: float) -> Lease:
        return self._send("/register", {**member._asdict(), "ttl": ttl}, member, ttl)

    def heartbeat(self, member: Instance, ttl: float) -> Lease:
        return self._send("/heartbeat", member._asdict(), member, ttl)

    def _send(self, path: str, body: dict[str, object], member: Instance, ttl: float) -> Lease:
        request = post(path, json.dumps(body).encode())
        sent = _clock()
        self._http.sendall(request)
        read_reply(self._replies)
        return Lease(member, sent + ttl, _clock() + ttl)

    def look(self, query: bytes, address: bytes) -> Sight:
        asked = _clock()
        self._dns.send(query)
        reply = self._dns.recv(4096)
        received = _clock()
        place = reply.find(address, len(query))  # rdata follows the TTL, 32 bits, and the length, 16
        ttl = int.from_bytes(reply[place - 6 : place - 2], "big") if place > 0 else 0
        return Sight(asked, received, place > 0, ttl)


def main() -> None:
    enter()
    report.machine()
    with running(prefix=["taskset", "-c", SERVER_CORE], LOG_LEVEL="error", REGISTERS_PER_SECOND=0) as server:
        come_first()
        client = Client(server.port, server.dns_port)
        _served(client)
        for renewed in (False, True):
            _ended(client, renewed)


def _served(client: Client) -> None:
    """Half are the first of their service, whose name was unknown until then; half join one that was asked for just before."""
    waits, first = [], 0
    for number in range(REGISTRATIONS):
        member = _member(f"new{number // 2}", number)
        query, address = _query(member)
        client.look(query, address)  # what the server keeps of the answer before must not be in the way
        client.register(member, 60)
        registered = _clock()
        looks = 1
        while not (seen := client.look(query, address)).has_it:
            looks += 1
        waits.append((seen.received - registered) * 1000)
        first += looks == 1
    title = "registration answered → A record served"
    note = f"the first answer had it in {first} of {REGISTRATIONS}"
    report.at_most(f"{title}, median of {REGISTRATIONS}", report.percentile(waits, 50), SERVED_MS, "ms", note)
    report.at_most(f"{title}, p99", report.percentile(waits, 99), SERVED_MS, "ms")
    report.fact(f"{title}, max", max(waits), "ms")


def _ended(client: Client, renewed: bool) -> None:
    sights, late, early, outlived, gaps = 0, 0, 0, 0, []
    for turn in range(TURNS):
        leases = []
        for number in range(LEASES):
            start = _clock()
            member = _member(f"{'renewed' if renewed else 'lease'}{number}", turn)
            lease = client.register(member, LEASE)
            leases.append(client.heartbeat(member, LEASE) if renewed else lease)
            time.sleep(max(0.0, start + APART - _clock()))
        for lease in leases:
            seen = _watch(client, lease)
            sights += len(seen)
            late += sum(each.has_it and each.asked >= lease.latest for each in seen)
            early += sum(not each.has_it and each.received < lease.earliest for each in seen)
            outlived += sum(each.has_it and each.asked + each.ttl > lease.latest for each in seen)
            gaps += [(lease.latest - max(had)) * 1000] if (had := [each.asked for each in seen if each.has_it]) else []
    how = "renewed lease" if renewed else "lease"
    watched = f"{len(gaps)} of {LEASES * TURNS} ends were seen coming"
    print(f"{how}s: {watched}, {sights:,} answers around them", flush=True)
    report.at_most(f"{how}: answers that had it, asked for after its end", late, 0)
    report.at_most(f"{how}: answers without it, received before its end", early, 0)
    report.at_most(f"{how}: answers whose TTL, from the asking on, outlives it", outlived, 0)
    report.fact(f"{how}: from the last answer with it to its latest end, median", report.percentile(gaps, 50), "ms")


def _watch(client: Client, lease: Lease) -> list[Sight]:
    query, address = _query(lease.member)
    time.sleep(max(0.0, lease.earliest - MARGIN - _clock()))
    sights = []
    while _clock() < lease.latest + MARGIN:
        sights.append(client.look(query, address))
    return sights


def _member(service: str, number: int) -> Instance:
    return Instance(service, f"10.77.{number // 256}.{number % 256}", 3000)


def _query(member: Instance) -> tuple[bytes, bytes]:
    wire: bytes = dns.message.make_query(f"{member.name}.svc.local", "A").to_wire()
    return wire, socket.inet_aton(member.ip)


if __name__ == "__main__":
    main()
