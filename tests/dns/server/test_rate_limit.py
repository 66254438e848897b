"""Limits against a plain model of token buckets, keys and cut replies against what the whole server answers."""

from __future__ import annotations

import ipaddress
import tracemalloc
from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from itertools import product
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from discovery.dns.server.rate_limit import EXEMPT, MAX_CLIENTS, RateLimiter, Verdict, answer_key, packed
from tests.dns.world import World, make_query

SEED = bytes(range(16))
ALICE, BOB, CAROL = "203.0.113.7", "198.51.100.7", "2001:db8:0:7::1"
KEY, OTHER = b"\0\3api\0\0\1\0\1", b"\0\3web\0\0\1\0\1"
PASS, SLIP, DROP = Verdict.PASS, Verdict.SLIP, Verdict.DROP
COOKIE = bytes(range(8))


def limiter(per_answer: int = 0, per_prefix: int = 0, slip: int = 2, **more: object) -> RateLimiter:
    return RateLimiter(per_answer, per_prefix, slip, seed=SEED, **more)  # type: ignore[arg-type]


def verdicts(limit: RateLimiter, times: int, now: float, client: str = ALICE, answer: bytes = KEY) -> list[Verdict]:
    return [limit.verdict(client, answer, now) for _ in range(times)]


class Bucket:
    """The model: exact, and with its name for a key, so that no two are ever one."""

    def __init__(self, rate: int) -> None:
        self.rate, self.tokens, self.at, self.limited = rate, Fraction(rate), Fraction(0), 0

    def fill(self, now: Fraction) -> bool:
        self.tokens = min(Fraction(self.rate), self.tokens + (now - self.at) * self.rate)
        self.at = now
        return self.tokens >= 1

    def refuse(self, slip: int) -> Verdict:
        self.limited += 1
        return SLIP if slip and (self.limited - 1) % slip == 0 else DROP


class Model:
    def __init__(self, per_answer: int, per_prefix: int, slip: int) -> None:
        self.rates, self.slip = (per_answer, per_prefix), slip
        self.buckets: dict[tuple[str, bytes | None], Bucket] = {}

    def verdict(self, client: str, answer: bytes, now: Fraction) -> Verdict:
        prefix = str(ipaddress.ip_network((client, 24 if "." in client else 56), strict=False))
        keys = ((prefix, answer), (prefix, None))
        limits = [
            self.buckets.setdefault(key, Bucket(rate)) for key, rate in zip(keys, self.rates, strict=True) if rate
        ]
        for bucket in limits:
            if not bucket.fill(now):
                return bucket.refuse(self.slip)
        for bucket in limits:
            bucket.tokens -= 1
        return PASS


RATES = st.sampled_from((0, 1, 2, 3, 7, 20))
# Sixty-fourths of a second, so that the model's fractions and floats say the same.
GAPS = st.sampled_from((0, 0, 0, 1, 2, 5, 64, 640))
CLIENTS = st.sampled_from((ALICE, "203.0.113.250", BOB, CAROL, "2001:db8:0:7ff::1"))


@given(RATES, RATES, st.integers(0, 4), st.lists(st.tuples(CLIENTS, st.sampled_from((KEY, OTHER)), GAPS), max_size=150))
def test_verdicts_are_those_of_token_buckets_one_for_each_prefix_and_answer_and_one_for_each_prefix(
    per_answer: int, per_prefix: int, slip: int, asked: list[tuple[str, bytes, int]]
) -> None:
    limit, model, now = limiter(per_answer, per_prefix, slip), Model(per_answer, per_prefix, slip), 0
    for client, answer, gap in asked:
        now += gap
        assert limit.verdict(client, answer, now / 64) is model.verdict(client, answer, Fraction(now, 64))


@given(
    st.integers(1, 300),
    st.floats(0, 1e9),
    st.lists(st.floats(0, 0.2) | st.just(0.0), min_size=1, max_size=120),
    st.booleans(),
)
def test_no_stretch_of_time_passes_more_than_its_rate_and_one_burst(
    rate: int, start: float, gaps: list[float], by_prefix: bool
) -> None:
    limit = limiter(per_prefix=rate) if by_prefix else limiter(per_answer=rate)
    now, passed = start, []
    for gap in gaps:
        now += gap
        passed += [now for verdict in verdicts(limit, 5, now) if verdict is PASS]
    for first, last in product(range(0, len(passed), 7), range(len(passed))):
        if first <= last:
            assert last - first + 1 <= rate * (passed[last] - passed[first]) + rate + 0.01


@pytest.mark.parametrize("now", [0.0, 0.1, 5592404.982831487, 838860.7439489639, 1e9 + 1 / 3])
@pytest.mark.parametrize("rate", [1, 3, 20, 200, 12345])
def test_a_burst_is_a_second_of_the_rate_whatever_the_clock_says(rate: int, now: float) -> None:
    assert verdicts(limiter(per_answer=rate), rate + 1, now) == [PASS] * rate + [SLIP]


def test_a_steady_flood_gets_the_rate_and_not_less() -> None:
    limit = limiter(per_answer=20)
    flood = [limit.verdict(ALICE, KEY, number / 1000) for number in range(10_000)]
    assert flood.count(PASS) == 20 + 20 * 10 - 1
    assert flood.count(SLIP) == flood.count(DROP) + 1 or flood.count(SLIP) == flood.count(DROP)


@pytest.mark.parametrize("slip", [0, 1, 2, 3, 10, 255])
def test_of_the_limited_replies_the_first_slips_and_every_slip_th_from_there(slip: int) -> None:
    limit = limiter(per_answer=1, slip=slip)
    assert verdicts(limit, 1, 0.0) == [PASS]
    expected = [SLIP if slip and number % slip == 0 else DROP for number in range(600)]
    assert verdicts(limit, 600, 0.0) == expected


def test_the_prefix_slips_too() -> None:
    limit = limiter(per_prefix=1)
    assert [limit.verdict(ALICE, b"%d" % name, 0.0) for name in range(5)] == [PASS, SLIP, DROP, SLIP, DROP]


def test_a_reply_that_one_limit_holds_back_takes_nothing_from_the_other() -> None:
    limit = limiter(per_answer=1, per_prefix=3)
    assert verdicts(limit, 50, 0.0).count(PASS) == 1
    assert [limit.verdict(ALICE, name, 0.0) for name in (b"a", b"b", b"c")] == [PASS, PASS, SLIP]
    assert limit.verdict(ALICE, b"c", 0.5) is PASS


def test_silence_fills_a_bucket_up_to_a_burst_and_not_beyond() -> None:
    limit = limiter(per_answer=20)
    verdicts(limit, 1000, 5.0)
    assert verdicts(limit, 20, 5.25).count(PASS) == 5
    assert verdicts(limit, 40, 1000.0).count(PASS) == 20


def test_zero_is_no_limit() -> None:
    assert set(verdicts(limiter(0, 0), 5000, 1.0)) == {PASS}
    assert verdicts(limiter(0, 3), 5, 1.0).count(PASS) == 3
    assert verdicts(limiter(3, 0), 5, 1.0).count(PASS) == 3


def test_by_default_twenty_a_second_of_one_answer_and_two_hundred_in_all() -> None:
    assert verdicts(RateLimiter(seed=SEED), 1000, 1.0).count(PASS) == 20
    limit = RateLimiter(seed=SEED)
    assert [limit.verdict(ALICE, b"%d" % name, 1.0) for name in range(1000)].count(PASS) == 200


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.0", "203.0.113.255", True),
        ("203.0.113.0", "203.0.112.255", False),
        ("2001:db8:1:100::", "2001:db8:1:1ff:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:100::", "2001:db8:1:200::", False),
        ("2001:db8:1:100::", "2001:db9:1:100::", False),
        ("::ffff:203.0.113.1", "203.0.113.2", True),
        ("::ffff:cb00:7101", "203.0.113.2", True),
        ("::FFFF:203.0.113.1", "::ffff:203.0.114.1", False),
        ("::203.0.113.1", "203.0.113.1", False),
        ("2001:db8::1%eth0", "2001:db8::1", True),
        # A prefix of either family that begins with the other's octets.
        ("32.1.13.184", "2001:db8::", False),
        ("32.1.13.0", "2001:d00::", False),
    ],
)
def test_a_prefix_is_a_24_or_a_56(one: str, other: str, same: bool) -> None:
    limit = limiter(per_prefix=1)
    assert limit.verdict(one, KEY, 0.0) is PASS
    assert (limit.verdict(other, OTHER, 0.0) is not PASS) is same


def test_no_answer_makes_one_prefix_look_like_another() -> None:
    limit = limiter(per_answer=1)
    assert limit.verdict("32.1.13.1", b"\xb8\0\0\0" + KEY, 0.0) is PASS
    assert limit.verdict("2001:db8::1", KEY, 0.0) is PASS


EXEMPT_CLIENTS = (
    "127.0.0.1 127.255.0.9 ::1 ::ffff:127.0.0.1 10.255.1.2 172.16.0.1 172.31.255.255 192.168.7.7 ::ffff:10.0.0.1"
)
EXEMPT_V6 = "fc00::1 fdff:1:2::3 fe80::1 fe80::1%eth0 febf::1"
LIMITED_CLIENTS = "8.8.8.8 11.0.0.1 126.255.255.255 128.0.0.1 172.15.255.255 172.32.0.0 192.169.0.0 192.167.255.255"
LIMITED_V6 = "::2 fbff::1 fec0::1 2001:db8::1 ::ffff:8.8.8.8 ::127.0.0.1 fe00::1"


@pytest.mark.parametrize("client", (EXEMPT_CLIENTS + " " + EXEMPT_V6).split())
def test_loopback_and_private_ranges_are_exempt_by_default(client: str) -> None:
    assert set(verdicts(RateLimiter(1, 1), 50, 0.0, client)) == {PASS}


@pytest.mark.parametrize("client", (LIMITED_CLIENTS + " " + LIMITED_V6).split())
def test_nobody_else_is(client: str) -> None:
    assert verdicts(RateLimiter(1, 1), 3, 0.0, client) == [PASS, SLIP, DROP]


def networks(*texts: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(text) for text in texts]


@pytest.mark.parametrize(
    ("exempt", "free", "limited"),
    [
        (networks(), [], ["127.0.0.1", "::1", "10.0.0.1"]),
        (networks("203.0.113.7"), ["203.0.113.7", "::ffff:203.0.113.7"], ["203.0.113.8"]),
        (networks("0.0.0.0/0"), ["8.8.8.8", "::ffff:8.8.8.8"], ["::1"]),
        (networks("::/0"), ["::1", "2001:db8::1"], ["10.0.0.1", "::ffff:10.0.1.1"]),
        (networks("::ffff:203.0.113.0/120"), ["203.0.113.7", "::ffff:203.0.113.7"], ["203.0.114.7"]),
        (networks("203.0.113.0/25", "198.51.100.0/25"), ["203.0.113.127", "198.51.100.1"], ["203.0.113.128"]),
    ],
)
def test_other_networks_can_be_exempt(
    exempt: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network], free: list[str], limited: list[str]
) -> None:
    limit = limiter(1, 1, exempt=exempt)
    assert all(set(verdicts(limit, 5, 0.0, client)) == {PASS} for client in free)
    assert all(verdicts(limit, 5, 0.0, client).count(PASS) == 1 for client in limited)


@given(st.ip_addresses(), st.sampled_from(("", "%eth0")))
@example(ipaddress.ip_address("::ffff:1.2.3.4"), "%2")
@example(ipaddress.ip_address("::"), "")
def test_addresses_are_read_as_the_standard_library_does(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, scope: str
) -> None:
    if isinstance(address, ipaddress.IPv4Address):
        assert packed(str(address)) == address.packed == packed(f"::ffff:{address}")
    else:
        assert packed(f"{address}{scope}") == (address.ipv4_mapped or address).packed
        assert packed(address.exploded.upper()) == packed(str(address))


@given(st.ip_addresses())
@example(ipaddress.ip_address("::ffff:10.0.0.0"))
def test_the_exempt_are_those_that_the_standard_library_finds_in_the_networks(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    exempt = any((mapped or address) in network for network in EXEMPT)
    assert (verdicts(limiter(1), 2, 0.0, str(address))[1] is PASS) is exempt


def limited_by_others(seed: bytes) -> set[int]:
    """Of 5,000 prefixes that ask once, those that find another's bucket."""
    limit = RateLimiter(0, 1, exempt=(), seed=seed)
    return {
        number for number in range(5000) if limit.verdict(f"198.{number >> 8}.{number & 255}.1", KEY, 0.0) is not PASS
    }


def test_who_shares_a_bucket_hangs_on_the_seed() -> None:
    first, again, other = limited_by_others(SEED), limited_by_others(SEED), limited_by_others(bytes(16))
    assert first == again != other
    assert 0 < len(first) < 5000 * 5000 / 65_536


def test_in_a_flood_from_forged_sources_bystanders_pass() -> None:
    """100,000 queries in one second, each from a prefix of its own: as fast as this server could ever answer."""
    limit, random, passed = RateLimiter(seed=SEED), Random(1), 0
    for number in range(100_000):
        now = 1.0 + number / 100_000
        limit.verdict(f"{random.randrange(1, 224)}.{random.randrange(256)}.{random.randrange(256)}.1", KEY, now)
        if number % 100 == 0:
            passed += limit.verdict(f"198.18.{number // 1000}.1", OTHER, now) is PASS
    assert passed == 1000


def test_memory_stays_what_it_is_after_the_first_clients() -> None:
    def flood(numbers: range) -> int:
        for number in numbers:
            limit.verdict(f"2001:{number >> 8:x}:0:{number & 255:x}00::1", b"%d" % number, number / 1e5)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        limit = RateLimiter(seed=SEED)
        first = flood(range(MAX_CLIENTS * 2))
        assert first < 5 * 2**20
        assert flood(range(MAX_CLIENTS * 2, MAX_CLIENTS * 6)) - first < 2**16
    finally:
        tracemalloc.stop()


# What a reply says.

ZONE = """*.wild IN TXT "w"
*.lost IN CNAME nowhere
elsewhere IN NS ns.example.net.
"""


@cache
def world(hot: bool = False) -> World:
    made = World(ZONE, fixed={"example.org": "www IN A 192.0.2.1\n"}, hot=hot)
    for host in range(10):
        made.add("api", f"192.0.2.{host + 1}", 3001, tags=["blue"])
    made.add("web", "192.0.2.1")
    return made


def key(of: World, name: str, rtype: str = "A", edns: int | None = 1232) -> bytes:
    reply = of.send(make_query(name, rtype, edns=edns).to_wire())
    assert reply is not None
    return answer_key(reply)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("api.svc.local", "A"), ("API.svc.Local", "A")),
        (("nobody.svc.local", "A"), ("anybody.svc.local", "TXT")),
        (("nobody.svc.local", "A"), ("a.b.c.nobody.svc.local", "A")),
        (("nobody.svc.local", "A"), ("nobody.SVC.local", "A")),
        (("api.svc.local", "AAAA"), ("api.svc.local", "MX")),
        (("a.elsewhere.svc.local", "A"), ("b.c.elsewhere.svc.local", "AAAA")),
        (("example.com", "A"), ("example.net", "SRV")),
        (("a.lost.svc.local", "A"), ("b.c.lost.svc.local", "AAAA")),
        ((".".join("x" * 60 for _ in range(4)) + ".svc.local", "A"), ("nobody.svc.local", "A")),
    ],
)
@pytest.mark.parametrize("hot", [False, True])
@pytest.mark.parametrize("edns", [None, 1232])
def test_these_are_one_answer(one: tuple[str, str], other: tuple[str, str], hot: bool, edns: int | None) -> None:
    of = world(hot)
    for _ in range(3):
        assert key(of, *one, edns) == key(of, *other, edns)


DIFFERENT = [
    ("api.svc.local", "A"),
    ("api.svc.local", "SRV"),
    ("blue.api.svc.local", "A"),
    ("web.svc.local", "A"),
    ("api.svc.local", "AAAA"),
    ("web.svc.local", "AAAA"),
    ("nobody.svc.local", "A"),
    ("nobody.example.org", "A"),
    ("www.example.org", "A"),
    ("a.elsewhere.svc.local", "A"),
    ("example.com", "A"),
]


def test_these_are_all_different_answers() -> None:
    of = world()
    assert len({key(of, *question) for question in DIFFERENT}) == len(DIFFERENT)


@given(st.binary(min_size=1, max_size=63), st.integers(0, 0xFFFF))
@example(b"\0\0\1\0\1", 1)
@example(b"\xc0\x0c\0\0", 255)
@example(b"A" * 63, 41)
def test_random_names_are_few_answers_whatever_octets_are_in_them(label: bytes, rtype: int) -> None:
    of, few = world(), {key(world(), "nobody.svc.local"), b"\1", b"\4", b"\5"}  # FORMERR, NOTIMP, REFUSED
    question = bytes((len(label),)) + label + b"\3svc\5local\0" + rtype.to_bytes(2, "big") + b"\0\1"
    reply = of.send(b"id\1\0\0\1\0\0\0\0\0\0" + question)
    assert reply is not None
    if reply[3] & 15 in (3, 1, 4, 5):
        assert answer_key(reply) in few
    else:
        assert len(answer_key(reply)) <= 1 + len(question)


@pytest.mark.parametrize("packet", [b"id\x28\0" + bytes(8), b"id\1\0\0\1" + bytes(6)])
def test_replies_to_garbage_are_one_answer_for_each_rcode(packet: bytes) -> None:
    reply = world().send(packet)
    assert reply is not None
    assert answer_key(reply) == bytes((reply[3] & 15,))
