"""What is no query: silence for what must not be answered, FORMERR or NOTIMP for the rest (RFC 1035 §4.1, RFC 8906)."""

from __future__ import annotations

import struct

import dns.flags
import dns.opcode
import dns.rcode
import pytest

from tests.dns.world import World, make_query, outcome, parsed

GOOD = make_query("web.svc.local", id=0x1234).to_wire()
EDNS = make_query("web.svc.local", id=0x1234, edns=1232).to_wire()
QUESTION = GOOD[12:]
OPT = EDNS[len(GOOD) :]


def message(counts: tuple[int, int, int, int], body: bytes, flags: int = 0x0100) -> bytes:
    return struct.pack("!HHHHHH", 0x1234, flags, *counts) + body


def question(*labels: bytes) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0\0\1\0\1"


@pytest.fixture(name="world")
def _world() -> World:
    world = World("* A 192.0.2.99\n")
    world.add("web", "10.0.0.1")
    return world


SILENCE = {
    **{f"RFC8906-{size}-octets": GOOD[:size] for size in range(12)},
    "RFC1035-4.1.1-response": message((1, 0, 0, 0), QUESTION, 0x8100),
    "RFC1035-4.1.1-response-with-an-error": message((1, 0, 0, 0), QUESTION, 0x8101),
    "RFC1035-4.1.1-response-of-an-unknown-opcode": message((1, 0, 0, 0), QUESTION, 0xF800),
    "RFC1035-4.1.1-response-header-only": message((0, 0, 0, 0), b"", 0x8000),
    "RFC1035-4.1.1-response-cut-to-three-octets": b"\x12\x34\x80",
}


@pytest.mark.parametrize("packet", SILENCE.values(), ids=SILENCE)
@pytest.mark.parametrize("udp", [True, False], ids=["udp", "tcp"])
def test_what_must_not_be_answered_meets_silence(world: World, packet: bytes, udp: bool) -> None:
    assert world.send(packet, udp=udp) is None


FORMERR = {
    "RFC9619-qdcount-0": message((0, 0, 0, 0), b""),
    "RFC9619-qdcount-0-with-opt": message((0, 0, 0, 1), OPT),
    "RFC9619-qdcount-2": message((2, 0, 0, 0), QUESTION * 2),
    "RFC9619-qdcount-65535": message((65535, 0, 0, 0), QUESTION),
    "RFC1035-4.1.2-no-question-where-one-is-counted": message((1, 0, 0, 0), b""),
    "RFC1035-4.1.2-question-cut-in-the-name": GOOD[:16],
    "RFC1035-4.1.2-question-without-its-root": message((1, 0, 0, 0), b"\3web"),
    "RFC1035-4.1.2-question-cut-in-the-class": GOOD[:-1],
    "RFC1035-4.1.2-question-without-type": GOOD[:-4],
    "RFC1035-4.1.4-pointer-to-itself": message((1, 0, 0, 0), b"\xc0\x0c\0\1\0\1"),
    "RFC1035-4.1.4-pointer-after-a-label": message((1, 0, 0, 0), b"\3web\xc0\x0c\0\1\0\1"),
    "RFC1035-4.1.4-pointer-into-the-header": message((1, 0, 0, 0), b"\3web\xc0\0\0\1\0\1"),
    "RFC1035-4.1.4-pointer-past-the-end": message((1, 0, 0, 0), b"\xff\xff\0\1\0\1"),
    "RFC6891-5-label-type-01": message((1, 0, 0, 0), b"\x41a\0\0\1\0\1"),
    "RFC1035-4.1.4-label-type-10": message((1, 0, 0, 0), b"\x81a\0\0\1\0\1"),
    "RFC1035-2.3.4-label-of-64": message((1, 0, 0, 0), question(b"a" * 64, b"svc", b"local")),
    "RFC1035-4.1-trailing-octet": GOOD + b"\0",
    "RFC1035-4.1-trailing-opt-not-counted": GOOD + OPT,
    "RFC1035-4.1.3-record-counted-but-not-there": message((1, 0, 0, 1), QUESTION),
    "RFC1035-4.1.3-record-longer-than-the-message": message((1, 0, 0, 1), QUESTION + OPT[:-2] + b"\0\1"),
    "RFC6891-6.1.1-two-opts": message((1, 0, 0, 2), QUESTION + OPT * 2),
    "RFC6891-6.1.1-opt-in-answer": message((1, 1, 0, 0), QUESTION + OPT),
    "RFC6891-6.1.1-opt-in-authority": message((1, 0, 1, 0), QUESTION + OPT),
    "RFC6891-6.1.1-opt-not-at-the-root": message((1, 0, 0, 1), QUESTION + b"\1a" + OPT),
    "RFC6891-6.1.2-option-cut-short": message((1, 0, 0, 1), QUESTION + OPT[:-2] + b"\0\5\xfd\xe9\0\2x"),
    "RFC6891-6.1.2-option-without-length": message((1, 0, 0, 1), QUESTION + OPT[:-2] + b"\0\2\xfd\xe9"),
}


@pytest.mark.parametrize("packet", FORMERR.values(), ids=FORMERR)
def test_garbage_with_a_header_is_a_format_error(world: World, packet: bytes) -> None:
    reply = world.send(packet)
    message = parsed(reply)
    assert message.rcode() == dns.rcode.FORMERR
    assert message.id == int.from_bytes(packet[:2], "big")
    assert message.flags & dns.flags.QR
    assert not message.flags & (dns.flags.AA | dns.flags.RA | dns.flags.AD | dns.flags.TC)
    assert not [*message.answer, *message.authority]
    assert world.asked == 0


@pytest.mark.parametrize("opcode", [1, 2, 3, *range(5, 16)], ids=lambda number: f"RFC8906-3.1.4-opcode-{number}")
@pytest.mark.parametrize("body", [QUESTION, b""], ids=["with-question", "header-only"])
def test_an_unknown_opcode_is_not_implemented(world: World, opcode: int, body: bytes) -> None:
    reply = parsed(world.send(message((1 if body else 0, 0, 0, 0), body, opcode << 11 | 0x0100)))
    assert reply.rcode() == dns.rcode.NOTIMP
    assert reply.opcode() == opcode
    assert reply.id == 0x1234
    assert not reply.flags & dns.flags.RD, "it means nothing there (ISC genreport looks)"
    assert world.asked == 0


def test_a_notify_is_answered_and_its_opcode_echoed(world: World) -> None:
    reply = parsed(world.send(message((1, 0, 0, 0), question(b"svc", b"local"), dns.opcode.NOTIFY << 11)))
    assert reply.opcode() == dns.opcode.NOTIFY
    assert reply.rcode() in (dns.rcode.REFUSED, dns.rcode.NOTIMP)


def of_length(octets: int) -> list[bytes]:
    """Labels below svc.local that make a name of so many octets on the wire."""
    left, labels = octets - len(b"\3svc\5local\0"), []
    while left > 0:
        size = min(left, 64 if left != 65 else 63)
        labels.append(b"x" * (size - 1))
        left -= size
    return [*labels, b"svc", b"local"]


@pytest.mark.parametrize("octets", [100, 253, 254, 255])
def test_rfc1035_2_3_4_a_name_of_up_to_255_octets_is_a_name(world: World, octets: int) -> None:
    body = question(*of_length(octets))
    assert len(body) == octets + 4
    reply = parsed(world.send(message((1, 0, 0, 0), body)))
    assert outcome(reply) == "ANSWER"  # the wildcard's
    assert len(reply.answer[0].name.to_wire() or b"") == octets


@pytest.mark.parametrize("octets", [256, 257, 300, 500])
def test_rfc1035_2_3_4_a_longer_name_is_a_format_error(world: World, octets: int) -> None:
    body = question(*of_length(octets))
    assert len(body) == octets + 4
    assert parsed(world.send(message((1, 0, 0, 0), body))).rcode() == dns.rcode.FORMERR


def test_rfc1035_2_3_4_a_label_of_63_octets_is_a_label(world: World) -> None:
    world.add("w" * 63, "10.0.0.7")
    assert outcome(world.ask("W" * 63 + ".svc.local")) == "ANSWER"


def test_records_that_a_query_brings_along_are_stepped_over(world: World) -> None:
    """RFC 1995 §3: a query may have records, their owners compressed."""
    record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4\x0a\0\0\1"
    assert outcome(parsed(world.send(message((1, 1, 1, 2), QUESTION + record * 3 + OPT)))) == "ANSWER"
