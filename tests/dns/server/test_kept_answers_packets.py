"""Packets at the edge of the hot path's shape get, octet for octet, what the responder alone says.

One instance, so there is one order of answers and equal means equal. The template is kept before each packet.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import dns.flags
import dns.message
import pytest

from tests.dns.world import World, data, parsed

HEAD = b"\xab\xcd\x01\x00"
BARE, WITH_OPT = b"\0\1\0\0\0\0\0\0", b"\0\1\0\0\0\0\0\1"
NAME = b"\3web\3svc\5local\0"
A, SRV, HTTPS, AAAA, TYPE97 = (number.to_bytes(2, "big") + b"\0\1" for number in (1, 33, 65, 28, 97))


def opt(options: bytes = b"", size: int = 1232, version: int = 0, flags: int = 0) -> bytes:
    return (
        b"\0\0\x29"
        + size.to_bytes(2, "big")
        + bytes([0, version])
        + flags.to_bytes(2, "big")
        + len(options).to_bytes(2, "big")
        + options
    )


def option(code: int, data: bytes) -> bytes:
    return code.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data


def query(rtype: bytes = A, opt: bytes = b"", name: bytes = NAME) -> bytes:
    return HEAD + (WITH_OPT if opt else BARE) + name + rtype + opt


COOKIE = opt(option(10, b"8 octets"))
BOTH = opt(option(10, b"8 octets" + b"x" * 16))


@cache
def world_of(require_cookies: bool = False) -> World:
    world = World(hot=True, require_cookies=require_cookies)
    world.add("web", "10.0.0.1", metadata={"scheme": "https"})
    for rtype in (A, SRV, HTTPS, AAAA):
        for shape in (b"", opt(), COOKIE):
            world.send(query(rtype, shape), udp=False)
    return world


@pytest.fixture(name="world")
def _world() -> World:
    return world_of()


def valid_cookie(world: World) -> bytes:
    reply = parsed(world.send(query(A, COOKIE), udp=False))
    return opt(option(10, bytes(reply.options[0].to_wire() or b"")))


def assert_alike(world: World, packet: bytes) -> None:
    for udp in (True, False):
        assert world.send(packet, udp=udp) == world.send(packet, udp=udp, plain=True), packet


def shapes(world: World) -> list[bytes]:
    both = valid_cookie(world)
    return [
        *(query(A), query(HTTPS), query(AAAA), query(A, opt()), query(SRV, COOKIE), query(A, BOTH), query(A, both)),
        query(AAAA, opt(flags=0x8000)),
    ]


def test_the_shapes_are_answered_from_what_is_kept(world: World) -> None:
    asked = world.asked
    for packet in (query(A), query(SRV), query(HTTPS), query(AAAA), query(A, opt()), query(A, COOKIE), query(A, BOTH)):
        reply = parsed(world.send(packet))
        assert reply.question[0].rdtype == dns.message.from_wire(packet).question[0].rdtype
        assert reply.answer or reply.authority
    assert world.asked == asked


def test_packets_cut_short_anywhere(world: World) -> None:
    for packet in shapes(world):
        for size in range(len(packet)):
            assert_alike(world, packet[:size])


@pytest.mark.parametrize("more", [b"\0", b"\xff", b"\0\0", opt(), b"\0" * 11, b"x" * 12, b"x" * 28, b"\0\0\x29"])
def test_octets_behind_the_end(world: World, more: bytes) -> None:
    for packet in shapes(world):
        assert_alike(world, packet + more)


def test_any_octet_changed(world: World) -> None:
    for packet in shapes(world):
        for at, octet in enumerate(packet):
            for other in {octet ^ 1 << bit for bit in range(8)} | {0, 1, 10, 41, 63, 64, 65, 97, 0xC0, 0xC1, 255}:
                assert_alike(world, packet[:at] + bytes([other]) + packet[at + 1 :])


def test_any_octet_doubled_or_taken_out(world: World) -> None:
    for packet in shapes(world):
        for at in range(len(packet)):
            assert_alike(world, packet[:at] + packet[at : at + 1] + packet[at:])
            assert_alike(world, packet[:at] + packet[at + 1 :])


@pytest.mark.parametrize("shape", [b"", opt(), COOKIE, opt() + opt()], ids=["none", "opt", "cookie", "two"])
def test_counts_that_lie(world: World, shape: bytes) -> None:
    lies = [bytes(at == one for at in range(8)) for one in range(8)]
    bases = [BARE, WITH_OPT, b"\0\1\0\0\0\1\0\0", b"\0\1\0\1\0\0\0\0", b"\0\1\0\0\0\0\0\2"]
    for total in {*lies, *bases, *(bytes(map(max, base, lie)) for base in bases for lie in lies)}:
        assert_alike(world, HEAD + total + NAME + A + shape)


def test_every_opcode_and_flag_of_the_header(world: World) -> None:
    for high, low in product(range(256), (0, 0x10, 0x20, 0x40, 0x80, 0x0F, 0xFF)):
        for shape in (b"", opt()):
            assert_alike(world, b"\xab\xcd" + bytes([high, low]) + query(A, shape)[4:])


NAMES = {
    "another case": b"\3WeB\3sVC\5LOCAL\0",
    "nul in the first label": b"\3w\0b\3svc\5local\0",
    "nul at the end of a label": b"\3we\0\3svc\5local\0",
    "a label of nuls": b"\3\0\0\0\3svc\5local\0",
    "nul behind which the name and type of a kept one stand": b"\x12\3web\3svc\5local\0\0\1\0\1\3svc\5local\0",
    "empty": b"\0",
    "a pointer": b"\3web\xc0\x0c",
    "a pointer to itself": b"\xc0\x0c",
    "label of 64": b"\x40" + b"w" * 64 + b"\3svc\5local\0",
    "label whose size is a capital letter": b"\x41" + b"w" * 65 + b"\0",
    "a dot in a label": b"\7web.svc\5local\0",
    "high octets": b"\3w\xc9b\3svc\5local\0",
    "below a service": b"\1x\3web\3svc\5local\0",
    "unknown": b"\4nope\3svc\5local\0",
    "unknown with a capital": b"\4NopE\3svc\5LOCAL\0",
    "unknown high octets": b"\3\xff\xfe\xc9\3svc\5local\0",
    "unknown with a nul": b"\4n\0pe\3svc\5local\0",
    "underscore": b"\4_tcp\3svc\5local\0",
    "the file's": b"\2ns\3svc\5local\0",
    "the zone's": b"\3svc\5local\0",
    "nobody's": b"\7example\3com\0",
    "of 63": b"\x3f" + b"n" * 63 + b"\3svc\5local\0",
}


def test_names_of_all_kinds(world: World) -> None:
    for name, number in product(NAMES.values(), (1, 33, 65, 97, 28, 255, 252, 251, 6, 41, 0, 65535, 128, 127)):
        for klass in (1, 3, 255, 0, 0x41, 0x61):
            for shape in (b"", opt(), COOKIE):
                assert_alike(world, query(number.to_bytes(2, "big") + klass.to_bytes(2, "big"), shape, name))


def test_type_97_is_not_https_in_lower_case(world: World) -> None:
    """Lower-casing the key turns 65 into 97."""
    https = parsed(world.send(query(HTTPS)))
    assert https.answer
    for _ in range(2):
        other = parsed(world.send(query(TYPE97)))
        assert not other.answer
        assert other.question[0].rdtype == 97
    assert parsed(world.send(query(HTTPS))).answer == https.answer


OPTS = {
    **{f"size {size}": opt(size=size) for size in (0, 1, 511, 512, 513, 1231, 1232, 1233, 65535)},
    "DO": opt(flags=0x8000),
    "Z": opt(flags=0x7FFF),
    "all flags": opt(flags=0xFFFF),
    **{f"version {version}": opt(version=version) for version in (1, 2, 255)},
    **{f"cookie of {size}": opt(option(10, b"c" * size)) for size in range(42)},
    "cookie and more": opt(option(10, b"8 octets") + option(65001, b"")),
    "more and cookie": opt(option(65001, b"") + option(10, b"8 octets")),
    "two cookies": opt(option(10, b"8 octets") + option(10, b"9 octets")),
    "unknown of a cookie's size": opt(option(65001, b"8 octets")),
    "unknown of both cookies' size": opt(option(65001, b"8 octets" * 3)),
    "NSID": opt(option(3, b"")),
    "NSID as large as a cookie": opt(option(3, b"8 octets")),
    "padding": opt(option(12, bytes(8))),
    "keepalive": opt(option(11, b"")),
    "upper rcode": b"\0\0\x29\x04\xd0\xff\0\0\0\0\0",
    "not the root's": b"\1x\0\x29\x04\xd0\0\0\0\0\0",
    "another type": b"\0\0\x2a\x04\xd0\0\0\0\0\0\0",
    "length beyond the end": opt()[:-1] + b"\1",
    "option beyond the end": opt(b"\0\x0a\0\x09" + b"8 octets"),
}


@pytest.mark.parametrize("require", [False, True], ids=["", "cookies required"])
def test_opts_of_all_kinds(require: bool) -> None:
    world, names = world_of(require), (NAME, b"\3wEb\3svc\5local\0", b"\4nope\3svc\5local\0")
    for shape, rtype, name in product(OPTS.values(), (A, SRV, AAAA, TYPE97), names):
        assert_alike(world, query(rtype, shape, name))


def test_a_required_cookie_is_required_of_kept_answers_too() -> None:
    world = world_of(require_cookies=True)
    assert parsed(world.send(query(A, BOTH))).rcode() == 23
    assert parsed(world.send(query(A, COOKIE))).rcode() == 23
    assert data(parsed(world.send(query(A, valid_cookie(world)))).answer) == ["10.0.0.1"]
    assert data(parsed(world.send(query(A, BOTH), udp=False)).answer) == ["10.0.0.1"]


def test_tcp_has_the_whole_answer_while_udp_is_cut_from_the_same_template() -> None:
    world = World(hot=True)
    for number in range(1, 31):
        world.add("web", f"10.0.0.{number}")
    world.send(query(SRV))
    for size in (None, 512, 700, 1232, 4096):
        packet = query(SRV, b"" if size is None else opt(size=size))
        cut, whole = parsed(world.send(packet)), parsed(world.send(packet, udp=False))
        assert len(cut.wire or b"") <= min(size or 512, 1232)
        assert cut.flags & dns.flags.TC
        assert not whole.flags & dns.flags.TC
        assert len(whole.answer) == len(whole.additional) == 30
        assert 4 < len(cut.answer) < 30
    assert world.asked == 1
