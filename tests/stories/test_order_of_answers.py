"""Shuffling and cutting on the wire: who stands first, how often, and that everybody's turn comes."""

from __future__ import annotations

import math
import socket
from collections import Counter
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.rrset
import pytest

from tests.stories.process import LIMIT, Discovery, running

QUERIES = 400
# Of 512 octets' worth a few fit; the others must have their turn too.
CROWD = 40


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    with running(HEARTBEAT_TIMEOUT_SECONDS=600, MAX_INSTANCES_PER_SERVICE=CROWD) as discovery:
        discovery.register("weighted", "10.0.0.1", 1, weight=90, priority=1)
        discovery.register("weighted", "10.0.0.2", 2, weight=10, priority=1)
        for number in range(3):
            discovery.register("equal", f"10.0.1.{number}", 1)
        for number, priority in enumerate((20, 1, 10, 10, 1)):
            # The heaviest have the worst priority: weight counts within a priority only.
            discovery.register("tiers", f"10.0.2.{number}", 1 + number, priority=priority, weight=priority * 100)
        discovery.register("last-resort", "10.0.3.1", 1, weight=0)
        discovery.register("last-resort", "10.0.3.2", 2, weight=100)
        for number in range(CROWD):
            discovery.register("crowd", f"10.0.4.{number}", 9000 + number)
        yield discovery


@pytest.fixture
def sock(server: Discovery) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(LIMIT)
        sock.connect(("127.0.0.1", server.dns_port))
        yield sock


def test_the_heavy_one_is_first_in_proportion_to_its_weight(sock: socket.socket) -> None:
    first = Counter(_rdata(_ask(sock, "weighted", "SRV"))[0].split()[2] for _ in range(QUERIES))
    print(first)
    assert first.total() == QUERIES
    assert _within_six_sigma(first["1"], 0.9)


def test_addresses_are_ordered_with_regard_to_weights_too(sock: socket.socket) -> None:
    first = Counter(_rdata(_ask(sock, "weighted", "A"))[0] for _ in range(QUERIES))
    print(first)
    assert _within_six_sigma(first["10.0.0.1"], 0.9)


@pytest.mark.parametrize("rtype", ["A", "SRV"])
def test_equals_are_first_equally_often(sock: socket.socket, rtype: str) -> None:
    first = Counter(_rdata(_ask(sock, "equal", rtype))[0] for _ in range(QUERIES))
    assert len(first) == 3
    assert all(_within_six_sigma(count, 1 / 3) for count in first.values()), first


def test_lower_priorities_always_come_first_whatever_the_weights(sock: socket.socket) -> None:
    orders = set()
    for _ in range(100):
        rdata = _rdata(_ask(sock, "tiers", "SRV"))
        assert [text.split()[0] for text in rdata] == ["1", "1", "10", "10", "20"]
        orders.add(tuple(rdata))
    assert len(orders) > 1, "within a priority they are shuffled"


def test_weight_0_is_almost_never_first(sock: socket.socket) -> None:
    """RFC 2782: "a very small chance of being selected". At 1 in 1,000 thirty of 400 are 10^-40."""
    first = Counter(_rdata(_ask(sock, "last-resort", "SRV"))[0].split()[2] for _ in range(QUERIES))
    assert first["1"] < 30


@pytest.mark.parametrize("rtype", ["A", "SRV"])
def test_it_is_cut_after_the_shuffle_so_everybody_has_a_turn(sock: socket.socket, rtype: str) -> None:
    """At three a reply the chance that one of 40 is missing from 400 replies is 40 * (37/40)^400, under 10^-11."""
    seen: set[str] = set()
    for _ in range(QUERIES):
        reply = _ask(sock, "crowd", rtype)
        assert reply.flags & dns.flags.TC
        rdata = _rdata(reply)
        assert 3 <= len(rdata) < CROWD
        seen.update(rdata)
        if rtype == "SRV":
            targets = {text.split()[3] for text in rdata}
            assert {rrset.name.to_text() for rrset in reply.additional} <= targets, (
                "of no other's address is there room"
            )
    assert len(seen) == CROWD


def _ask(sock: socket.socket, service: str, rtype: str) -> dns.message.Message:
    """Without EDNS, so 512 octets. Each record is an RRset of its own, so that the order on the wire is kept."""
    query = dns.message.make_query(f"{service}.svc.local", rtype)
    sock.send(query.to_wire())
    packet = sock.recv(65535)
    assert len(packet) <= 512
    reply = dns.message.from_wire(packet, one_rr_per_rrset=True)
    assert query.is_response(reply)
    return reply


def _rdata(reply: dns.message.Message) -> list[str]:
    return [rrset[0].to_text() for rrset in reply.answer]


def _within_six_sigma(count: int, probability: float) -> bool:
    return abs(count - QUERIES * probability) <= 6 * math.sqrt(QUERIES * probability * (1 - probability))
