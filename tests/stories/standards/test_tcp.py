"""DNS over TCP (RFC 7766) and its keepalive (RFC 7828), by sockets that do what clients should, and what they should not."""

from __future__ import annotations

import resource
import select
import time
from collections.abc import Iterator
from contextlib import ExitStack

import dns.edns
import dns.message
import dns.query
import pytest

from discovery.dns.server.tcp import TCP_IDLE_SECONDS
from discovery.system.limits import shares
from tests.stories.process import LIMIT, Discovery, running
from tests.stories.standards.memory import descriptors, processor, rss
from tests.stories.standards.streams import Stream, connected, framed

SHOP = "shop.svc.local"


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    with running(HEARTBEAT_TIMEOUT_SECONDS=3600, MAX_INSTANCES_PER_SERVICE=60) as discovery:
        discovery.register("shop", "10.0.0.1")
        for number in range(60):
            discovery.register("crowd", f"10.1.0.{number}", 8000 + number)
        for number in range(16):
            discovery.register("big", f"10.2.0.{number}", metadata=dict.fromkeys("abcde", f"{number:03}" * 80))
        yield discovery
        assert "Traceback" not in "\n".join(discovery.log)


def assert_unaffected(server: Discovery) -> None:
    """UDP, a new TCP connection and HTTP answer, before those that may disturb them have been idle for too long."""
    begun = time.monotonic()
    assert len(server.ask(SHOP).answer) == 1
    with connected(server.dns_port) as stream:
        assert len(stream.ask(SHOP).answer) == 1
    assert server.request("GET", "/health").status == 200
    assert time.monotonic() - begun < TCP_IDLE_SECONDS


def test_rfc7766_6_2_1_1_queries_sent_together_are_all_answered(server: Discovery) -> None:
    names = [SHOP, "nobody.svc.local", "crowd.svc.local", "www.example.com"]
    queries = [dns.message.make_query(names[number % 4], "SRV", id=number) for number in range(200)]
    with connected(server.dns_port) as stream:
        stream.send(b"".join(framed(query.to_wire()) for query in queries))
        replies = {}
        for _ in queries:
            wire = stream.receive()
            assert wire is not None
            message = dns.message.from_wire(wire)
            replies[message.id] = message
        assert all(query.is_response(replies[query.id]) for query in queries)
        assert stream.ask(SHOP).answer, "and the connection is still open"


def test_rfc7766_8_a_message_may_come_octet_by_octet(server: Discovery) -> None:
    query = dns.message.make_query(SHOP, "A")
    with connected(server.dns_port) as stream:
        for octet in framed(query.to_wire()):
            stream.send(bytes([octet]))
        wire = stream.receive()
        assert wire is not None
        assert query.is_response(dns.message.from_wire(wire))


def test_a_client_that_has_said_all_and_only_listens_is_answered(server: Discovery) -> None:
    query = dns.message.make_query("crowd.svc.local", "SRV")
    with connected(server.dns_port) as stream:
        stream.send(framed(query.to_wire()) * 20)
        stream.end()
        assert [stream.receive() is None for _ in range(21)] == [False] * 20 + [True]


KEEPALIVE = dns.edns.GenericOption(dns.edns.OptionType(11), b"")


def keepalives(message: dns.message.Message) -> list[bytes]:
    return [option.to_wire() or b"" for option in message.options if option.otype == 11]


def test_rfc7828_3_3_2_the_idle_timeout_is_told_to_who_asks_over_tcp(server: Discovery) -> None:
    asked = dns.message.make_query(SHOP, "A", use_edns=0, options=[KEEPALIVE])
    [data] = keepalives(dns.query.tcp(asked, "127.0.0.1", LIMIT, server.dns_port))
    assert int.from_bytes(data, "big") == TCP_IDLE_SECONDS * 10, "in units of 100 ms"
    bare = dns.message.make_query(SHOP, "A", use_edns=0)
    assert keepalives(dns.query.tcp(bare, "127.0.0.1", LIMIT, server.dns_port)) == []


def test_rfc7828_3_2_1_over_udp_there_is_nothing_to_keep_alive(server: Discovery) -> None:
    asked = dns.message.make_query(SHOP, "A", use_edns=0, options=[KEEPALIVE])
    assert keepalives(dns.query.udp(asked, "127.0.0.1", LIMIT, server.dns_port)) == []


BROKEN: dict[str, bytes] = {
    "half a length prefix": b"\0",
    "a length of 0": b"\0\0",
    "a length of 0, a hundred times": bytes(200),
    "a length and nothing": b"\xff\xff",
    "half a message": framed(dns.message.make_query(SHOP, "A").to_wire())[:20],
    "65,535 octets of zero": framed(bytes(65535)),
    "a thousand messages of one octet": framed(b"x") * 1000,
    "HTTP": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(190),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_octets_on_a_connection_disturb_nobody(server: Discovery, broken: str) -> None:
    with connected(server.dns_port) as stream:
        stream.send(BROKEN[broken])
        assert_unaffected(server)


@pytest.mark.parametrize(
    "junk", [bytes(65535), b"", b"x", b"\0\0\x80"], ids=["zeros", "empty", "one octet", "a response"]
)
def test_a_good_query_after_a_bad_message_is_answered(server: Discovery, junk: bytes) -> None:
    with connected(server.dns_port) as stream:
        stream.send(framed(junk))
        assert len(stream.ask(SHOP).answer) == 1


def test_five_hundred_idle_connections_and_udp_tcp_and_http_go_on(server: Discovery) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(connected(server.dns_port)) for _ in range(500)]
        assert_unaffected(server)
        assert idle[-1].ask(SHOP).answer, "the latest is still open"


def test_beyond_the_limit_the_connection_that_was_idle_longest_makes_way(server: Discovery) -> None:
    _, granted = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack, descriptors(min(granted, 4096)):
        first, second = (stack.enter_context(connected(server.dns_port)) for _ in range(2))
        first.ask(SHOP)
        second.ask(SHOP)
        first.ask(SHOP)  # now the second is the one that was idle longest
        for number in range(shares(granted).dns - 1):
            other = stack.enter_context(connected(server.dns_port))
            if number % 100 == 0:
                first.ask(SHOP)  # that it is idle for too long is not what ends one here
        other.ask(SHOP)
        assert second.receive() is None
        assert first.ask(SHOP).answer
        assert_unaffected(server)


def test_clients_that_never_read_are_bounded_and_disturb_nobody(server: Discovery) -> None:
    query = framed(dns.message.make_query("big.svc.local", "TXT").to_wire())
    before = rss(server.process.pid)
    with ExitStack() as stack:
        sent = [flood_until_it_blocks(stack.enter_context(connected(server.dns_port)), query) for _ in range(4)]
        assert_unaffected(server)
        grown = rss(server.process.pid) - before
    print(f"{sum(sent)} queries of clients that never read, each for 20 kB: the server grew by {grown // 1024} KiB")
    assert grown < 8 * 1024 * 1024


def flood_until_it_blocks(stream: Stream, query: bytes) -> int:
    """How many queries the server took, a block of them at a time, before it stopped reading."""
    count = 0
    while select.select([], [stream], [], 0.5)[1]:
        stream.send(query * 50)
        count += 50
        assert count < 500_000, "it takes everything, where do the answers go?"
    return count


def test_clients_that_ask_for_much_at_once_do_not_keep_udp_waiting(server: Discovery) -> None:
    query = framed(dns.message.make_query("crowd.svc.local", "SRV").to_wire())
    with ExitStack() as stack:
        for _ in range(12):
            stack.enter_context(connected(server.dns_port)).send(query * 64)
        used = processor(server.process.pid)
        assert server.ask(SHOP).answer
        used = processor(server.process.pid) - used
    print(f"UDP was answered within {used:.2f} s of the server's work on 768 large answers over TCP")
    assert used < 1
