"""Garbage in: tens of thousands of mutated and random packets; each gets a reply that dnspython reads, or silence."""

from __future__ import annotations

from collections import Counter
from random import Random

import dns.exception
import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dns.world import World, data, make_query, outcome, parsed
from tests.examples import examples

PACKETS = 30_000

NAMES = [
    *("web.svc.local", "_web._tcp.svc.local", "t.web.svc.local", "nope.svc.local", "svc.local", "example.com"),
    *("alias.svc.local", "live.svc.local", "x.sub.svc.local", "x.wild.svc.local", "_services._dns-sd._udp.svc.local"),
]
SEEDS = [
    make_query(name, rtype, edns=edns).to_wire()
    for name in NAMES
    for rtype in ("A", "SRV", "TXT", "PTR", "ANY")
    for edns in (None, 512, 4096)
]
# Octets that mean something in a message: counts, pointers, label sizes, OPT's type, flags.
TELLING = bytes([0, 1, 2, 3, 12, 16, 33, 41, 63, 64, 65, 128, 192, 193, 255])


def mutated(random: Random) -> bytes:
    """A good query with some octets changed, taken out, doubled or cut off; or, one time in ten, noise."""
    if random.random() < 0.1:
        return random.randbytes(random.choice((0, 1, 2, 3, 11, 12, 13, 17, 40, 300, 600)))
    packet = bytearray(random.choice(SEEDS))
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(len(packet) + 1)
        match random.randrange(10):
            case 0 | 1 if at < len(packet):
                packet[at] = random.choice(TELLING)
            case 2 | 3 | 4 if at < len(packet):
                packet[at] ^= 1 << random.randrange(8)
            case 5 | 6 if at < len(packet):
                packet[at] = random.randrange(256)
            case 7:
                del packet[at : at + random.randint(1, 8)]
            case 8:
                packet[at:at] = packet[random.randrange(len(packet) + 1) :][: random.randint(1, 40)]
            case _:
                del packet[at:]
    return bytes(packet)


def limit_of(packet: bytes) -> int:
    """Octets allowed over UDP: by the query's OPT as dnspython reads it, 512 where it reads none."""
    try:
        query = dns.message.from_wire(packet)
    except (dns.exception.DNSException, ValueError):
        return 1232
    return 512 if query.edns < 0 else max(512, min(1232, query.payload))


@pytest.fixture(name="world", scope="module")
def _world() -> World:
    world = World(
        "alias CNAME host\nlive CNAME web\nhost A 192.0.2.1\nsub NS ns.sub\nns.sub A 192.0.2.54\n*.wild TXT x\n"
    )
    for number in range(1, 31):
        world.add("web", f"10.0.0.{number}", tags=["t"], metadata={"number": number})
        world.add("web", f"2001:db8::{number:x}", tags=["t"])
    return world


def check(world: World, packet: bytes) -> str:
    """What became of it, in one word."""
    reply = world.send(packet)
    if reply is None:
        assert len(packet) < 12 or packet[2:3] >= b"\x80"
        return "SILENCE"
    assert reply[:2] == packet[:2]
    assert reply[2] & 0x80
    assert len(reply) <= 512 or len(reply) <= limit_of(packet)
    return outcome(parsed(reply))


@pytest.mark.parametrize("seed", range(3))
def test_every_mutated_packet_gets_a_reply_that_can_be_read_or_silence(world: World, seed: int) -> None:
    random = Random(seed)
    seen = Counter(check(world, mutated(random)) for _ in range(examples(PACKETS // 3)))
    for what in ("SILENCE", "FORMERR", "ANSWER", "NODATA", "NXDOMAIN", "REFERRAL", "REFUSED", "NOTIMP", "BADVERS"):
        assert seen[what], "the mutations reach every kind of reply"
    assert outcome(world.ask("web.svc.local")) == "ANSWER"


@settings(max_examples=examples(300))
@given(st.binary(max_size=600))
def test_noise_gets_a_reply_that_can_be_read_or_silence(packet: bytes) -> None:
    check(NOISY, packet)
    check(NOISY, packet[:2] + b"\1\0\0\1\0\0\0\0\0\0" + packet)


NOISY = World()


@settings(max_examples=examples(300))
@given(st.lists(st.binary(min_size=1, max_size=63), max_size=3), st.integers(0, 65535), st.sampled_from([1, 3, 4, 255]))
def test_a_name_of_any_octets_is_a_name(labels: list[bytes], rtype: int, klass: int) -> None:
    """RFC 2181 §11: a label may have any octets."""
    wire = b"".join(bytes([len(label)]) + label for label in labels) + b"\3svc\5local\0"
    packet = b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + wire + rtype.to_bytes(2, "big") + klass.to_bytes(2, "big")
    reply = NOISY.send(packet) or b""
    if check(NOISY, packet) != "FORMERR":
        assert reply[12 : 12 + len(wire)] == wire


def test_the_good_query_after_the_garbage_is_answered_as_before(world: World) -> None:
    world.add("calm", "10.9.9.9")
    for size in range(600):
        world.send(b"\xff" * size)
        world.send(bytes(size))
    assert data(world.ask("calm.svc.local").answer) == ["10.9.9.9"]
