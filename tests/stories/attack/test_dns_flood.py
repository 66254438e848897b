"""A UDP flood from addresses that look foreign, beside 500 idle TCP connections: what is left for those who mean no harm.

The figures are of a machine that server, attackers and bystanders share: `pytest -s` shows them. The strong version is
tests/benchmarks/attack.py.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import dns.flags
import dns.message
import dns.query
import pytest

from tests.stories.attack.bystanders import LEASE, MIB, NAME, watching
from tests.stories.attack.flood import flooding
from tests.stories.process import LIMIT, Discovery, running, until
from tests.stories.standards.streams import connected

SECONDS = 3
IDLE = 500
# Of a stub resolver: another prefix than the flood's, and as patient as a hurried one is.
STUB, TRIES, PATIENCE = "127.2.0.1", 3, 0.3
# Seconds between two questions of it.
PACE = 0.1


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[Discovery]:
    """One that does not know loopback from any other network."""
    settings: dict[str, Any] = {"HEARTBEAT_TIMEOUT_SECONDS": LEASE, "LOG_LEVEL": "warning"}
    with running(DNS_RATE_EXEMPT="192.0.2.0/24", **settings) as server:
        yield server
        assert "Traceback" not in "\n".join(server.log)


class Stubbed(NamedTuple):
    """Of `asked` questions, those answered whole over UDP within so many tries, and then over TCP."""

    seconds: float
    asked: int
    by_udp: int
    by_tcp: int


def asking(server: Discovery, seconds: float) -> Stubbed:
    """As glibc and others do: a few tries over UDP, TCP for what came cut; and at last TCP for what did not come at all.

    For so long, and until one was answered over UDP: while 97 of 100 queries are shed, of a question's three tries all are lost nine times
    of ten.
    """
    asked = by_udp = by_tcp = 0
    began = time.monotonic()
    while (spent := time.monotonic() - began) < seconds or (not by_udp and spent < LIMIT):
        query = dns.message.make_query(NAME, "A")
        asked += 1
        if _over_udp(server, query):
            by_udp += 1
        else:
            reply = dns.query.tcp(query, "127.0.0.1", port=server.dns_port, timeout=LIMIT, source=STUB)
            by_tcp += len(reply.answer[0]) == 10
        time.sleep(PACE)
    return Stubbed(time.monotonic() - began, asked, by_udp, by_tcp)


def _over_udp(server: Discovery, query: dns.message.QueryMessage, patience: float = PATIENCE) -> bool:
    for _ in range(TRIES):
        with contextlib.suppress(dns.exception.Timeout):
            reply = dns.query.udp(query, "127.0.0.1", port=server.dns_port, timeout=patience, source=STUB)
            return not reply.flags & dns.flags.TC
    return False


def stats(server: Discovery) -> Any:
    return server.request("GET", "/stats").body["dns"]


def test_heartbeats_do_not_notice_a_flood_and_a_resolver_still_gets_its_answers(server: Discovery) -> None:
    with watching(server) as bystanders, contextlib.ExitStack() as idle:
        for _ in range(IDLE):
            idle.enter_context(connected(server.dns_port))
        with flooding(server.dns_port, NAME, "nobody.svc.local", "www.example.com") as flood:
            stub = asking(server, SECONDS)
        seen = stats(server)
        limited, shed = seen["rateLimited"], seen["shed"]
        print(
            f"{flood.sent / stub.seconds:,.0f} queries a second: {shed / flood.sent:.0%} shed, {limited}. {stub}. {bystanders}"
        )
        beats, answered, grown = len(bystanders.beats), bystanders.answered, bystanders.grown
    assert beats > SECONDS * 20
    assert answered >= 0.999
    assert grown < 32 * MIB
    assert stub.by_udp + stub.by_tcp == stub.asked
    assert stub.by_udp > 0
    assert shed > 0
    assert min(limited.values()) > 0
    assert sum(limited.values()) + shed > flood.sent * 0.9, "nearly all of it was turned away"


def test_after_it_everything_is_as_it_was(server: Discovery) -> None:
    until(lambda: stats(server) == stats(server))
    got = [_over_udp(server, dns.message.make_query("nobody-else.svc.local", "A"), LIMIT) for _ in range(5)]
    assert got == [True] * 5


def test_tcp_is_never_limited(server: Discovery) -> None:
    server.register("steady", "10.0.0.1", ttl=3600)
    query = dns.message.make_query("steady.svc.local", "A")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.3.0.1", 0))
        sock.settimeout(LIMIT)
        for _ in range(100):
            sock.sendto(query.to_wire(), ("127.0.0.1", server.dns_port))
        replies = [sock.recv(4096) for _ in range(50)]
    assert any(reply[2] & 2 for reply in replies), "over UDP it is"
    with connected(server.dns_port) as stream:
        assert all(stream.ask("steady.svc.local").answer for _ in range(500))
