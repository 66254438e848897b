"""Promise 1, measured from outside: not an answer names an instance whose lease has run out, and no TTL outlasts the lease.

The client and the server share CLOCK_MONOTONIC. A lease begins somewhere between the client's sending of a registration or
heartbeat and the arrival of its reply, so it ends between `earliest` and `latest`: what is asked after `latest` must not
contain the instance, what is answered before `earliest` must.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import dns.message
import dns.rcode

from tests.stories.process import LIMIT, running

FAST_IP, SLOW_IP = "10.0.0.1", "10.0.0.2"
# Seconds.
FAST, SLOW = 2.0, 3.5
# Between two rounds of questions: the server's core is for others, too.
PACE = 0.005


class Lease(NamedTuple):
    earliest: float
    latest: float


class Seen(NamedTuple):
    """One answer: when it was asked for and received, the addresses in it, its TTL (None on HTTP)."""

    sent: float
    received: float
    ips: frozenset[str]
    ttl: int | None


def test_no_answer_outlives_the_lease_on_either_face() -> None:
    with running(HEARTBEAT_TIMEOUT_SECONDS=FAST, CLEANUP_INTERVAL_SECONDS=5) as server:
        http_client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(LIMIT)
            sock.connect(("127.0.0.1", server.dns_port))
            server.register("pair", FAST_IP, 3001)
            leases = {
                SLOW_IP: _timed(lambda: server.register("pair", SLOW_IP, 3001, ttl=SLOW), SLOW),
                FAST_IP: _timed(lambda: server.heartbeat("pair", FAST_IP, 3001), FAST),
            }
            seen: dict[str, list[Seen]] = {"HTTP": [], "DNS A": [], "DNS SRV": []}
            while time.monotonic() < leases[SLOW_IP].latest + 0.1:
                seen["HTTP"].append(_resolve(http_client))
                seen["DNS A"].append(_ask(sock, "A"))
                seen["DNS SRV"].append(_ask(sock, "SRV"))
                time.sleep(PACE)
        http_client.close()

    for face, answers in seen.items():
        print(face, dict(Counter(", ".join(sorted(answer.ips)) or "nobody" for answer in answers)), end="; ")
        print("TTLs", dict(Counter(answer.ttl for answer in answers)))
        for ip, lease in leases.items():
            asked_late = [answer for answer in answers if answer.sent >= lease.latest]
            answered_early = [answer for answer in answers if answer.received < lease.earliest]
            print(f"  {ip}: {len(answered_early)} before, {len(asked_late)} after its end")
            assert answered_early
            assert asked_late, "the loop went past the end"
            assert all(ip in answer.ips for answer in answered_early), "a lease holds until its end"
            assert not [answer for answer in asked_late if ip in answer.ips], "dead, and served"
        _assert_no_ttl_outlasts_a_lease(answers, leases)
    assert {answer.ttl for answer in seen["DNS A"] if answer.ips} == {0, 1}


def _assert_no_ttl_outlasts_a_lease(answers: list[Seen], leases: dict[str, Lease]) -> None:
    """The answer was made after it was asked for; a cache keeps it for its TTL from then on at least."""
    for answer in answers:
        if answer.ttl is not None:
            for ip in answer.ips:
                assert answer.sent + answer.ttl <= leases[ip].latest, (ip, answer)


def _timed(renew: Callable[[], object], ttl: float) -> Lease:
    sent = time.monotonic()
    renew()
    return Lease(sent + ttl, time.monotonic() + ttl)


def _resolve(client: http.client.HTTPConnection) -> Seen:
    sent = time.monotonic()
    client.request("GET", "/resolve/pair")
    response = client.getresponse()
    body = json.loads(response.read())
    received = time.monotonic()
    assert response.status == (200 if body["instances"] else 404)
    assert all(instance["status"] == "healthy" for instance in body["instances"])
    return Seen(sent, received, frozenset(instance["ip"] for instance in body["instances"]), None)


def _ask(sock: socket.socket, rtype: str) -> Seen:
    query = dns.message.make_query("pair.svc.local", rtype)
    wire = query.to_wire()
    sent = time.monotonic()
    sock.send(wire)
    packet = sock.recv(65535)
    received = time.monotonic()
    reply = dns.message.from_wire(packet)
    assert query.is_response(reply)
    assert reply.rcode() == dns.rcode.NOERROR, "listed until the cleanup"
    if not reply.answer:
        return Seen(sent, received, frozenset(), None)
    addresses = reply.answer[0] if rtype == "A" else [rr for rrset in reply.additional for rr in rrset]
    ips = frozenset(address.to_text() for address in addresses)
    ttls = [rrset.ttl for rrset in (*reply.answer, *reply.additional)]
    assert len(ips) == len(reply.answer[0])
    return Seen(sent, received, ips, max(ttls))


def test_a_heartbeat_after_the_end_brings_it_back_until_the_cleanup() -> None:
    with running(HEARTBEAT_TIMEOUT_SECONDS=FAST, CLEANUP_INTERVAL_SECONDS=5) as server:
        before = server.register("pair", FAST_IP, 3001)["instance"]["id"]
        deadline = time.monotonic() + LIMIT
        while server.request("GET", "/resolve/pair").status == 200:
            assert time.monotonic() < deadline
            time.sleep(PACE)
        reply = server.heartbeat("pair", FAST_IP, 3001)
        assert (reply.status, reply.body["instance"]["id"]) == (200, before)
        assert server.request("GET", "/resolve/pair").status == 200
        assert len(server.ask("pair.svc.local").answer) == 1
