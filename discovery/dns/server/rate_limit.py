"""Response-rate limiting over UDP: a forged source address must not turn this server into somebody's flood.

A reply takes one token from the bucket of its client's prefix and answer, and one from the prefix's own. When either is
empty, the reply is limited: of every `slip` one is sent with TC and no records, so that a real client comes back over TCP; for
the others nothing is sent. Which bucket a reply with records takes from is known before it is made: a query that is limited
there is not looked up. Buckets stand in tables of fixed size at a keyed hash, as in Knot: nothing grows, and nobody can aim.
"""

from __future__ import annotations

import secrets
from array import array
from collections import defaultdict
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_pton

from siphashc import siphash

from discovery.core.network import LOOPBACK_AND_PRIVATE, Network, unmapped
from discovery.dns.message import names
from discovery.dns.message.query import HEADER
from discovery.dns.message.values import Rcode

# Replies a second. A cache that keeps to our TTLs asks for a name every 5 s, so 20 leave room for a hundred caches, or twenty
# hosts without one, in a prefix. BIND's examples have 5 to 15, Knot 50 for one address.
PER_ANSWER = 20
# Ten answers at that rate; NSD's default, while Knot has 1600 for a /24. In replies of 1232 octets that is 2 Mbit/s, the most
# that a victim can be sent.
PER_PREFIX = 200
# Of limited replies: with 2, fewer octets leave than come, and a client gets through at its second try. As in NSD.
SLIP = 2
# What a bucket holds, in seconds of its rate; BIND's holds as much.
BURST_SECONDS = 1.0
# No traffic from the internet comes from there, nor goes there.
EXEMPT = LOOPBACK_AND_PRIVATE

# Powers of two. At 100,000 queries a second, at most 5,000 answers' buckets and 500 prefixes' can be kept empty: a bystander
# shares one of them in 2 and 1 cases of 100, and gets TC then. Together 3 MiB.
ANSWER_BUCKETS, PREFIX_BUCKETS = 1 << 18, 1 << 16
# Clients whose place is remembered, at 0.3 KB each: the same ones come back. In a flood of forged ones it does not help.
MAX_CLIENTS = 4096

# A /24 and a /56, what one customer usually has (for IPv6, RFC 6177), as in BIND.
_V4_OCTETS, _V6_OCTETS = 3, 7
_MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291 §2.5.5.2
_NEVER = float("-inf")
# Tokens. Sums of floats are not exact where they pass a power of two.
_ROUNDING = 1 / 1024

_AA = 0x04  # in the header's third octet
_RCODES = [bytes((rcode,)) for rcode in range(16)]
_HEADER = HEADER.size
_NOERROR, _NXDOMAIN = int(Rcode.NOERROR), int(Rcode.NXDOMAIN)  # Python 3.11 takes 0.1 µs to look into an enum


class Verdict(Enum):
    PASS = "pass"  # noqa: S105 - no password
    SLIP = "slip"
    DROP = "drop"


class RateLimiter:
    """`per_answer`, `per_prefix`: replies a second, 0 for no limit. `slip`: 0 (drop all) to 255. `seed`: 16 secret octets."""

    def __init__(
        self,
        per_answer: int = PER_ANSWER,
        per_prefix: int = PER_PREFIX,
        slip: int = SLIP,
        exempt: Iterable[Network] = EXEMPT,
        seed: bytes | None = None,
    ) -> None:
        self._answers = _Buckets(per_answer, ANSWER_BUCKETS, slip)
        self._prefixes = _Buckets(per_prefix, PREFIX_BUCKETS, slip)
        self._exempt = _Networks(exempt)
        self._seed = seed or secrets.token_bytes(16)
        # A client's prefix and the number of its bucket; None: it is exempt.
        self.place = lru_cache(maxsize=MAX_CLIENTS)(self._find_place)

    def verdict(self, client: str, answer: bytes, now: float, take: bool = True) -> Verdict:
        """`client`: an address as the socket tells it. `answer`: its `answer_key`, or the `question_key` before there is an answer.
        `now`: monotonic seconds. `take` False only looks.
        """
        place = self.place(client)
        if place is None:
            return Verdict.PASS
        prefix, in_prefixes = place
        in_answers = siphash(self._seed, prefix + answer) & ANSWER_BUCKETS - 1
        if self._answers.is_empty(in_answers, now):
            return self._answers.limited(in_answers)
        if self._prefixes.is_empty(in_prefixes, now):
            return self._prefixes.limited(in_prefixes)
        if take:
            self._answers.take(in_answers, now)
            self._prefixes.take(in_prefixes, now)
        return Verdict.PASS

    def _find_place(self, client: str) -> tuple[bytes, int] | None:
        """Its prefix, and the number of that one's bucket; None when it is exempt."""
        address = packed(client)
        if address in self._exempt:
            return None
        prefix = b"4" + address[:_V4_OCTETS] if len(address) == 4 else b"6" + address[:_V6_OCTETS]
        return prefix, siphash(self._seed, prefix) & PREFIX_BUCKETS - 1


def packed(client: str) -> bytes:
    """4 or 16 octets; without a scope, and IPv4 inside IPv6 is IPv4. Many times faster than `ipaddress`."""
    if ":" not in client:
        return inet_pton(AF_INET, client)
    octets = inet_pton(AF_INET6, client.partition("%")[0] if "%" in client else client)
    return octets[12:] if octets.startswith(_MAPPED) else octets


class _Buckets:
    """`size` token buckets that gain `rate` tokens a second; they are filled when they are looked at.

    Of a bucket only the moment is kept when it will be full, in tokens gained since the clock's zero (GCRA, ITU-T I.371).
    """

    def __init__(self, rate: int, size: int, slip: int) -> None:
        self._rate = rate
        self._slip = slip
        self._one_left = rate * BURST_SECONDS - 1 + _ROUNDING if rate else float("inf")
        self._full_at = array("d", (_NEVER,)) * size
        self._limited = bytearray(size)  # replies since the last that slipped

    def is_empty(self, number: int, now: float) -> bool:
        return self._full_at[number] - now * self._rate > self._one_left

    def take(self, number: int, now: float) -> None:
        full_at, gained = self._full_at[number], now * self._rate
        self._full_at[number] = (full_at if full_at > gained else gained) + 1.0  # max() takes twice as long

    def limited(self, number: int) -> Verdict:
        """Of every `slip` the first slips: a client that is alone need not wait for a second try."""
        if not self._slip:
            return Verdict.DROP
        before = self._limited[number]
        self._limited[number] = (before + 1) % self._slip
        return Verdict.DROP if before else Verdict.SLIP


class _Networks:
    """Of packed addresses, one look-up for each length of prefix."""

    def __init__(self, networks: Iterable[Network]) -> None:
        found: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
        for network in map(unmapped, networks):
            found[network.max_prefixlen // 8, int(network.netmask)].add(int(network.network_address))
        self._masks = {
            octets: [(mask, nets) for (of, mask), nets in found.items() if of == octets] for octets in (4, 16)
        }

    def __contains__(self, address: bytes) -> bool:
        number = int.from_bytes(address, "big")
        for mask, networks in self._masks[len(address)]:  # noqa: SIM110 - any() takes three times as long
            if number & mask in networks:
                return True
        return False


def question_key(packet: bytes) -> bytes:
    """The `answer_key` of a reply with records to `packet`, a query."""
    return _RCODES[_NOERROR] + packet[_HEADER : packet.find(0, _HEADER) + 5].lower()


def answer_key(reply: bytes) -> bytes:
    """What `reply`, one of ours, says: replies with the same key are one answer, as BIND counts them.

    Records: name and type. NODATA: the name. NXDOMAIN and referrals: the zone or the cut, which own the first authority
    record, so that random names are one answer. Errors, and what has no such record: the rcode's lower four bits.
    """
    rcode = reply[3] & 0xF
    if rcode not in (_NOERROR, _NXDOMAIN) or not reply[5]:
        return _RCODES[rcode]
    end = names.skip(reply, _HEADER)
    has_answers = reply[6:8] != b"\0\0"
    if rcode == _NOERROR and (has_answers or reply[2] & _AA):
        return _RCODES[rcode] + reply[_HEADER : end + 4 if has_answers else end].lower()
    if has_answers or reply[8:10] == b"\0\0":  # aliases that lead nowhere; or the SOA did not fit
        return _RCODES[rcode]
    return _RCODES[rcode] + names.to_wire(names.read(reply, end + 4)[0])
