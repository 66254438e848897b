"""What a forged query makes this server send to somebody who never asked: octets out for octets in, for every name form and type.

`pytest -s` prints the table. The responder and the limiter are those of the server, in this process; nothing here shows a cookie.
"""

from __future__ import annotations

from functools import cache
from itertools import cycle, islice
from typing import Any, NamedTuple

import dns.message
import pytest

from discovery.dns.message.query import UDP
from discovery.dns.server.cookies import Cookies
from discovery.dns.server.limited import Limited
from discovery.dns.server.rate_limit import PER_ANSWER, PER_PREFIX, RateLimiter
from discovery.dns.zones.live import LIVE_TYPES
from tests.dns.world import World, make_query

PLAIN, EDNS = 512, 1232
VICTIM = "203.0.113.7"
NOW = 10_000.0
# The table of names in docs/dns.md, and what is not in it; `svc.local` has services with ten instances, the most by default.
FORMS = {
    "SERVICE.Z": "api.svc.local",
    "_SERVICE._tcp.Z": "_api._tcp.svc.local",
    "_PORTNAME._tcp.SERVICE.Z": "_metrics._tcp.api.svc.local",
    "TAG.SERVICE.Z": "blue.api.svc.local",
    "p3001.SERVICE.Z": "p3001.api.svc.local",
    "ZONE.zone.SERVICE.Z": "eu-1.zone.api.svc.local",
    "ip-….SERVICE.Z": "ip-192-0-2-1-p3001.api.svc.local",
    "ip-….SERVICE.Z (v6)": "ip-2001-db8--1-p3001.api.svc.local",
    "_PORT._https.SERVICE.Z": "_8443._https.api.svc.local",
    "_services._dns-sd._udp.Z": "_services._dns-sd._udp.svc.local",
    "_TAG._sub._SERVICE._tcp.Z": "_blue._sub._api._tcp.svc.local",
    "ip-…._SERVICE._tcp.Z": "ip-192-0-2-1-p3001._api._tcp.svc.local",
    "b._dns-sd._udp.Z": "b._dns-sd._udp.svc.local",
    "in-addr.arpa": "1.2.0.192.in-addr.arpa",
    "ip6.arpa": ".".join(reversed("20010db8" + "0" * 23 + "1")) + ".ip6.arpa",
    "SERVICE.default.Z": "api.default.svc.local",
    "_PORTNAME._tcp.SERVICE.default.Z": "_metrics._tcp.api.default.svc.local",
    "Z": "svc.local",
    "known, nothing healthy": "gone.svc.local",
    "unknown": "nobody.svc.local",
    "unknown, almost known": "apj.svc.local",
    "not our zone": "www.example.com",
    "the root": ".",
}
TYPES = (*(kind.name for kind in LIVE_TYPES), "SOA", "NS", "MX", "DNSKEY", "RRSIG", "AXFR", "ANY")


class Row(NamedTuple):
    """Octets in and out without EDNS, and with a buffer of 1232."""

    form: str
    rtype: str
    plain: tuple[int, int]
    edns: tuple[int, int]

    @property
    def factor(self) -> float:
        return max(out / came for came, out in (self.plain, self.edns))


@cache
def world() -> World:
    made = World(hot=True)
    for host in range(1, 11):
        fields: dict[str, Any] = {"tags": ["blue"], "ports": {"metrics": 9100, "https": 8443}, "zone": "eu-1"}
        fields["metadata"] = {"text": f"{host} " * 100, "scheme": "https"}
        made.add("api", f"192.0.2.{host}", now=NOW, **fields)
        made.add("six", f"2001:db8::{host}", now=NOW, **fields)
    made.add("api", "2001:db8::1", now=NOW, tags=["blue"])
    for number in range(200):
        made.add(f"service-{number}", "192.0.2.1", 4000 + number, now=NOW)
    made.add("gone", "192.0.2.1", now=NOW - 1000)
    made.settle(NOW)
    return made


def packet(name: str, rtype: str, edns: int | None) -> bytes:
    return make_query(name, rtype, edns=edns).to_wire()


def out_for(asked: bytes) -> int:
    reply = world().send(asked, now=NOW)
    assert reply is not None
    return len(reply)


@cache
def table() -> list[Row]:
    rows = []
    for form, name in FORMS.items():
        for rtype in TYPES:
            plain, edns = packet(name, rtype, None), packet(name, rtype, EDNS)
            rows.append(Row(form, rtype, (len(plain), out_for(plain)), (len(edns), out_for(edns))))
    return rows


def test_the_table() -> None:
    print(f"\n{'name':33}{'type':8}{'in':>5}{'out':>6}{'':>8}{'in':>5}{'out':>6}   EDNS 1232")
    for row in sorted(table(), key=lambda row: -row.factor):
        (came, out), (came_edns, out_edns) = row.plain, row.edns
        print(
            f"{row.form:33}{row.rtype:8}{came:5}{out:6}{out / came:8.1f}{came_edns:5}{out_edns:6}{out_edns / came_edns:8.1f}"
        )
    worst = max(table(), key=lambda row: row.factor)
    came, out = (sum(row.edns[way] for row in table()) for way in (0, 1))
    print(f"the worst {worst.factor:.1f} ({worst.form} {worst.rtype}), all of them together {out / came:.1f}")
    assert len(table()) == len(FORMS) * len(TYPES)
    assert worst.factor <= EDNS / (12 + 5 + 11 + len("six.svc.local")), "a whole datagram for the shortest of names"


def test_no_reply_is_larger_than_the_client_s_buffer_allows() -> None:
    for row in table():
        assert row.plain[1] <= PLAIN, row
        assert row.edns[1] <= EDNS, row


@pytest.mark.parametrize("claimed", [0, 100, 511, 512, 1231, 1233, 4096, 65535])
def test_a_buffer_that_is_claimed_counts_from_512_to_1232(claimed: int) -> None:
    for name in FORMS.values():
        for rtype in ("TXT", "SRV", "PTR"):
            assert out_for(packet(name, rtype, claimed)) <= min(max(claimed, PLAIN), EDNS)


def test_rfc8482_any_is_small() -> None:
    """Less than a plain A query for the same name would bring, and nowhere more than an SOA and a reason."""
    for row in table():
        if row.rtype == "ANY":
            assert row.plain[1] <= row.plain[0] + 120, row
            assert row.edns[1] <= row.edns[0] + 200, row


def test_what_is_refused_gives_little_more_than_it_takes() -> None:
    for row in table():
        if row.form in ("not our zone", "the root") or row.rtype == "AXFR":
            assert row.plain[1] <= row.plain[0], row
            assert row.edns[1] <= row.edns[0] + 100, row


@pytest.mark.parametrize(
    "asked",
    [b"", b"id", b"id\x80" + bytes(9), b"id" + bytes(10), b"id\0\0\0\1" + bytes(6) + b"\xc0\x0c\0\1\0\1", b"x" * 600],
)
def test_garbage_never_gives_more_than_it_takes_or_a_header(asked: bytes) -> None:
    reply = world().send(asked, now=NOW)
    assert len(reply or b"") <= max(12, len(asked))


# -- with response-rate limiting, as it is by default


class Flood(NamedTuple):
    """Of a flood after its first second: octets in, out, and of what was cut; replies that left whole."""

    came: int
    out: int
    cut: int
    whole: int

    @property
    def factor(self) -> float:
        return self.out / self.came


def flood(packets: list[bytes], rate: int, seconds: int = 5) -> Flood:
    """So many a second, in turn, all from one victim's address."""
    it = Limited(world().responder.respond, RateLimiter(seed=bytes(16)), Cookies(bytes(16)))
    came = out = cut = whole = 0
    for number, asked in enumerate(islice(cycle(packets), rate * (seconds + 1))):
        reply = it.respond(asked, NOW + number / rate, VICTIM, UDP)
        assert reply is None or isinstance(reply, bytes)
        if number >= rate:
            came += len(asked)
            out += len(reply or b"")
            is_cut = reply is not None and bool(reply[2] & 2) and reply[6:8] == bytes(2)
            cut += len(reply or b"") * is_cut
            whole += reply is not None and not is_cut
    return Flood(came, out, cut, whole)


@pytest.mark.parametrize("rate", [2000, 10_000])
def test_a_flood_for_the_answer_that_is_worst_gives_less_than_it_takes(rate: int) -> None:
    """In its first second, a burst of 20 whole replies more. Below some 1,000 a second, 20 replies of a datagram each are more than
    what comes; but they are never more than 0.2 Mbit/s."""
    worst = max(table(), key=lambda row: row.edns[1] / row.edns[0])
    seen = flood([packet(FORMS[worst.form], worst.rtype, EDNS)], rate)
    print(f"{worst.form} {worst.rtype}, {rate} a second: {seen.factor:.2f}")
    assert seen.factor < 1
    assert seen.whole <= PER_ANSWER * 5 + 1


def test_so_does_one_for_all_of_them_at_once() -> None:
    """The limit for the prefix: 200 whole replies a second, 2 Mbit/s, whatever is asked for."""
    every = [packet(name, rtype, EDNS) for name in FORMS.values() for rtype in TYPES]
    seen = flood(every, 10_000)
    print(f"all names and types, 10,000 a second: {seen.factor:.2f}")
    assert seen.factor < 1
    assert seen.whole <= (PER_PREFIX + 1) * 5


@pytest.mark.parametrize("rate", [100, 500, 2000])
def test_what_is_cut_is_half_of_what_it_is_for_at_the_most(rate: int) -> None:
    """Slip 2: of two that are too many, one leaves, as long as the query. Only whole replies amplify, 20 a second for each answer."""
    for name in ("api.svc.local", "nobody.svc.local", "www.example.com"):
        seen = flood([packet(name, "SRV", EDNS)], rate)
        assert seen.cut <= seen.came / 2
        assert seen.whole <= PER_ANSWER * 5 + 1


def test_a_flood_for_random_names_gives_less_than_it_takes() -> None:
    names = [f"x{number}.svc.local" for number in range(5000)]
    seen = flood([packet(name, "A", EDNS) for name in names], 5000)
    print(f"random names, 5,000 a second: {seen.factor:.2f}")
    assert seen.factor < 1


def test_with_a_client_s_cookie_alone_it_gives_no_more_than_16_octets_above() -> None:
    cookie = dns.edns.CookieOption(bytes(8), b"")
    asked = make_query("api.svc.local", "TXT", edns=EDNS, options=[cookie]).to_wire()
    seen = flood([asked], 10_000)
    print(f"with a client's cookie: {seen.factor:.2f}")
    assert seen.factor < 1
