"""Packets that no client would send: good queries with something broken, and noise. The same for the same seed."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from random import Random
from typing import Any

import dns.edns
import dns.message

from discovery.dns.zones.live import LIVE_TYPES

NAMES = [
    "shop.svc.local", "_shop._tcp.svc.local", "nobody.svc.local", "ip-10-0-0-1-p8080.shop.svc.local", "p8080.shop.svc.local",
    "_services._dns-sd._udp.svc.local", "1.0.0.10.in-addr.arpa", "svc.local", "www.example.com", ".", "version.bind",
    "_8080._https.shop.svc.local", "shop.default.svc.local", "a.wild.svc.local", "x.old.svc.local",
]  # fmt: skip
TYPES = [*(kind.name for kind in LIVE_TYPES), "ANY", "SOA", "NS", "AXFR", "IXFR", "CNAME", "TYPE65280", "OPT"]


def packets(seed: int, count: int) -> Iterator[bytes]:
    random = Random(seed)
    good = [_query(random) for _ in range(200)]
    for _ in range(count):
        breaking = random.choice(_BREAKING)
        yield breaking(random.choice(good), random)[:4000]


def _query(random: Random) -> bytes:
    options = [dns.edns.GenericOption(dns.edns.OptionType(code), random.randbytes(size)) for code, size in (
        (random.choice([3, 8, 10, 11, 12, 15, 65001]), random.choice([0, 1, 8, 16, 24, 40])) for _ in range(random.randint(0, 3))
    )]  # fmt: skip
    edns: dict[str, Any] = random.choice(
        [{}, {"use_edns": 0, "payload": random.choice([0, 512, 1232, 65535]), "options": options}]
    )
    klass = random.choice(["IN", "IN", "IN", "CH", "ANY"])
    return dns.message.make_query(random.choice(NAMES), random.choice(TYPES), klass, **edns).to_wire()


def _noise(packet: bytes, random: Random) -> bytes:
    return random.randbytes(random.randint(0, 600))


def _noise_behind_a_header(packet: bytes, random: Random) -> bytes:
    return packet[:12] + random.randbytes(random.randint(0, 300))


def _octets_changed(packet: bytes, random: Random) -> bytes:
    changed = bytearray(packet)
    for _ in range(random.randint(1, 6)):
        changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def _counts_changed(packet: bytes, random: Random) -> bytes:
    counts = struct.pack("!HHHH", *(random.choice([0, 1, 2, 3, 255, 65535]) for _ in range(4)))
    return packet[:4] + counts + packet[12:]


def _flags_changed(packet: bytes, random: Random) -> bytes:
    return packet[:2] + random.randbytes(2) + packet[4:]


def _cut(packet: bytes, random: Random) -> bytes:
    return packet[: random.randrange(len(packet) + 1)]


def _longer(packet: bytes, random: Random) -> bytes:
    return packet + random.randbytes(random.randint(1, 200))


def _twice(packet: bytes, random: Random) -> bytes:
    return packet + packet[12:]


def _with_pointer(packet: bytes, random: Random) -> bytes:
    at = random.randrange(12, len(packet))
    return packet[:at] + struct.pack("!H", 0xC000 | random.choice([0, 12, at, at + 2, 0x3FFF])) + packet[at + 2 :]


def _with_records(packet: bytes, random: Random) -> bytes:
    record = b"\xc0\x0c" + struct.pack("!HHIH", random.choice([1, 6, 41, 250, 255]), 1, 0, random.choice([0, 4, 65535]))
    return (
        packet[:6]
        + struct.pack("!HHH", random.randint(0, 3), 0, random.randint(0, 3))
        + packet[12:]
        + record * random.randint(0, 5)
    )


_BREAKING = (
    _noise, _noise_behind_a_header, _octets_changed, _octets_changed, _octets_changed, _counts_changed, _flags_changed, _cut,
    _longer, _twice, _with_pointer, _with_records,
)  # fmt: skip
