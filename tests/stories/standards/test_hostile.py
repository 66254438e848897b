"""100,000 broken packets over UDP and some thousands over TCP: good queries are answered, memory stays, the log has no traceback."""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import dns.edns
import dns.exception
import dns.message
import dns.rcode
import pytest

from tests.examples import examples
from tests.stories.dig import dig
from tests.stories.process import Discovery, running
from tests.stories.standards.hostile import packets
from tests.stories.standards.memory import rss
from tests.stories.standards.streams import connected, framed

SHOP = "shop.svc.local"
MIB = 1024 * 1024
# Datagrams between two good queries: so many fit in the server's receive buffer, none is lost.
BATCH = 100


@pytest.fixture(scope="module")
def server() -> Iterator[Discovery]:
    with running(HEARTBEAT_TIMEOUT_SECONDS=3600) as discovery:
        discovery.register("shop", "10.0.0.1", 8080, ports={"https": 8443})
        yield discovery
        assert "Traceback" not in "\n".join(discovery.log)
        assert not [line for line in discovery.log if "ERROR" in line]


@pytest.fixture
def peer(server: Discovery) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(60)
        sock.connect(("127.0.0.1", server.dns_port))
        yield sock


def drained(peer: socket.socket) -> list[bytes]:
    """What has come."""
    peer.setblocking(False)
    replies = []
    try:
        while True:
            replies.append(peer.recv(65535))
    except BlockingIOError:
        peer.settimeout(60)
    return replies


def test_broken_packets_by_the_ten_thousand_over_udp(server: Discovery, peer: socket.socket) -> None:
    count = examples(100_000)
    source = packets(seed=3, count=count)
    sent, unwarranted, rcodes, warm = 0, 0, Counter[str](), 0
    while batch := list(islice(source, BATCH)):
        for packet in batch:
            peer.send(packet)
        good = server.ask(SHOP)  # behind them all: its answer says that they were read
        assert [str(record) for record in good.answer[0]] == ["10.0.0.1"]
        replies = drained(peer)
        ids = {packet[:2] for packet in batch if len(packet) >= 2 and not (len(packet) > 2 and packet[2] & 0x80)}
        unwarranted += sum(reply[:2] not in ids or not reply[2] & 0x80 or len(reply) > 1232 for reply in replies)
        for reply in replies[:10]:
            rcodes[dns.rcode.to_text(dns.message.from_wire(reply).rcode())] += 1
        sent += len(batch)
        if sent <= count // 5:
            warm = rss(server.process.pid)
    grown = rss(server.process.pid) - warm
    print(
        f"{sent} packets; rcodes of a tenth of the replies: {dict(rcodes)}; memory grew by {grown // 1024} KiB after a fifth"
    )
    assert sent == count
    assert unwarranted == 0, "a reply to a response or to what has no id, or too large"
    assert {"NOERROR", "FORMERR", "NOTIMP", "REFUSED", "NXDOMAIN"} <= set(rcodes)
    assert grown < 8 * MIB


def test_thousands_of_broken_messages_over_tcp(server: Discovery) -> None:
    source = packets(seed=4, count=5_000)
    answered = connections = 0
    warm = rss(server.process.pid)
    while batch := list(islice(source, 100)):
        with connected(server.dns_port) as stream:
            connections += 1
            for packet in batch:
                stream.send(framed(packet))
            good = dns.message.make_query(SHOP, "A", use_edns=0)
            stream.send(framed(good.to_wire()))
            while (wire := stream.receive()) is not None:
                answered += 1
                reply = dns.message.from_wire(wire)
                if reply.id == good.id and good.is_response(reply) and reply.answer:
                    break
            assert wire is not None, "the connection was closed on a good query"
    print(f"5000 messages on {connections} connections, {answered} replies")
    assert answered > 2_500
    assert rss(server.process.pid) - warm < 8 * MIB


def header(questions: int = 1, flags: int = 0, answers: int = 0) -> bytes:
    return struct.pack("!HHHHHH", 0x1234, flags, questions, answers, 0, 0)


NAME = b"\4shop\3svc\5local\0"
A_IN = struct.pack("!HH", 1, 1)
LABEL_64 = b"\x40" + b"a" * 64
FORMERRS: dict[str, bytes] = {
    "a name that points to itself": header() + b"\xc0\x0c" + A_IN,
    "two pointers in a circle": header() + b"\xc0\x0e\xc0\x0c" + A_IN,
    "a pointer forward": header() + b"\xc0\x20" + A_IN,
    "a pointer into the header": header() + b"\xc0\x00" + A_IN,
    "a pointer behind a label": header() + b"\4shop\xc0\x0c" + A_IN,
    "a label of 64": header() + LABEL_64 + NAME + A_IN,
    "a label of 128, a type that is reserved": header() + b"\x80" + bytes(128) + NAME + A_IN,
    "a name of 256 octets": header() + (b"\x3f" + b"a" * 63) * 3 + b"\x3e" + b"a" * 62 + b"\0" + A_IN,
    "a name that does not end": header() + b"\x3f" + b"a" * 63,
    "no question": header(0),
    "two questions": header(2) + NAME + A_IN + NAME + A_IN,
    "65,535 questions": header(65535) + NAME + A_IN,
    "a question without class": header() + NAME + b"\0\1",
    "a record that is not there": header(answers=1) + NAME + A_IN,
    "octets behind the end": header() + NAME + A_IN + b"x",
}


@pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])
@pytest.mark.parametrize("row", FORMERRS)
def test_rfc8906_what_cannot_be_read_is_a_format_error(
    server: Discovery, peer: socket.socket, row: str, tcp: bool
) -> None:
    reply: bytes | None
    if tcp:
        with connected(server.dns_port) as stream:
            stream.send(framed(FORMERRS[row]))
            reply = stream.receive()
    else:
        peer.send(FORMERRS[row])
        reply = peer.recv(65535)
    assert reply is not None
    message = dns.message.from_wire(reply)
    assert (message.id, message.rcode(), message.answer) == (0x1234, dns.rcode.FORMERR, [])
    assert len(reply) <= max(12, len(FORMERRS[row])), "no amplifier"


@pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])
def test_a_query_that_was_just_answered_is_a_format_error_when_cut_anywhere(
    server: Discovery, peer: socket.socket, tcp: bool
) -> None:
    """The shape of a good query, for a name that the server has just answered and may know how to answer again."""
    cookie: dns.edns.Option = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, bytes(8))
    for options in ([], [cookie]):
        whole = dns.message.make_query(SHOP, "A", id=0x1234, use_edns=0, options=options).to_wire()
        for end in (len(whole), len(whole), *range(12, len(whole)), len(whole)):
            reply: bytes | None
            if tcp:
                with connected(server.dns_port) as stream:
                    stream.send(framed(whole[:end]))
                    reply = stream.receive()
            else:
                peer.send(whole[:end])
                reply = peer.recv(65535)
            assert reply is not None, end
            expected = dns.rcode.NOERROR if end == len(whole) else dns.rcode.FORMERR
            assert dns.message.from_wire(reply).rcode() == expected, end


SILENCES: dict[str, bytes] = {
    "an id and nothing": b"\x12\x34",
    "half a header": header()[:7],
    "a header but for an octet": header()[:11],
    "a response": header(flags=0x8000) + NAME + A_IN,
    "our own answer": header(flags=0x8400, answers=1)
    + NAME
    + A_IN
    + b"\xc0\x0c"
    + A_IN
    + struct.pack("!IH", 5, 4)
    + bytes(4),
    "a response that is broken": header(flags=0x8000)[:5],
    "a format error": header(questions=0, flags=0x8001),
    "nothing": b"",
    "one octet": b"\x12",
}


@pytest.mark.parametrize("row", SILENCES)
def test_what_is_no_query_meets_silence(server: Discovery, peer: socket.socket, row: str) -> None:
    peer.send(SILENCES[row])
    peer.send(dns.message.make_query(SHOP, "A", id=0x4321).to_wire())
    assert dns.message.from_wire(peer.recv(65535)).id == 0x4321, "the first reply is to the query behind it"
    assert drained(peer) == []


@pytest.mark.parametrize("klass", ["CH", "ANY", "HS", "CLASS4711", "NONE"])
def test_other_classes_are_answered_without_our_records_or_with_them(server: Discovery, klass: str) -> None:
    dug = dig(server, "-c", klass, SHOP, "A")
    assert dug.status in ("REFUSED", "NOTIMP", "NOERROR")
    if klass != "ANY":
        assert dug.answer == [], "the names of class IN are not those of another"
        assert dug.status == "REFUSED"
    assert "aa" not in dug.flags or klass == "ANY"


def test_a_name_of_255_octets_and_labels_of_63_are_names(server: Discovery) -> None:
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 51, "svc", "local"])
    assert dig(server, longest).status == "NXDOMAIN"
    with pytest.raises(dns.exception.DNSException):
        dns.message.make_query("e" + longest, "A")
