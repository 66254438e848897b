"""The values between a query and a reply: Question, RR, Answer.

An Answer is made by one of its verbs (`of`, `nodata`, `nxdomain`, `referral`, `refused`, `failed`); whoever answers says
what is true, the zone adds the SOA to negatives, the wire turns it into octets and cuts it to size.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from random import Random
from typing import NamedTuple

import dns.rdatatype

from discovery.core.draw import draw
from discovery.core.lease import Lease
from discovery.dns.message.names import Name
from discovery.dns.message.reason import Reason


class Type:
    """The RR types that this server knows by name, as plain numbers: Python 3.11 takes 0.1 µs to look into an enum."""

    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    PTR = 12
    HINFO = 13
    MX = 15
    TXT = 16
    AAAA = 28
    SRV = 33
    DNAME = 39
    OPT = 41
    DS = 43
    SVCB = 64
    HTTPS = 65
    IXFR = 251
    AXFR = 252
    MAILB = 253
    MAILA = 254
    ANY = 255


def type_name(rtype: int) -> str:
    """`TYPE65280` where there is no name (RFC 3597 §5)."""
    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(rtype))


class Class:
    IN = 1
    CH = 3


class Rcode(IntEnum):
    """RFC 1035 §4.1.1; YXDOMAIN and NOTAUTH are RFC 2136 §2.2, BADVERS is RFC 6891 §9, BADCOOKIE RFC 7873 §8."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    YXDOMAIN = 6
    NOTAUTH = 9
    BADVERS = 16
    BADCOOKIE = 23


class Question(NamedTuple):
    name: Name
    type: int
    klass: int = Class.IN


class RR(NamedTuple):
    """`rdata` is in wire form, names in it uncompressed; `ttl` in seconds."""

    name: Name
    type: int
    ttl: int
    rdata: bytes


# As RR(*fields), in a third of the time.
new_rr: Callable[[tuple[Name, int, int, bytes]], RR] = partial(tuple.__new__, RR)

# Info-codes of RFC 8914 §4 that are used here.
OTHER = 0
STALE = 3
NOT_READY = 14
PROHIBITED = 18
NOT_AUTHORITATIVE = 20


class Explanation(NamedTuple):
    """An Extended DNS Error (RFC 8914): its info-code and a text for the person who looks.

    A text that takes work is a function: it is called only for clients that can be told. `reason`: for whoever counts, where the
    answer does not say it by itself.
    """

    code: int
    text: str | Callable[[], str]
    reason: Reason | None = None


# Priority and weight of one of several alternatives: lower priorities first, within one by weight (RFC 2782).
Rank = tuple[int, int]


class Lifetime:
    """How long an answer about a service (its folded name) that is made at `now` stays as it is: until the service changes, and not past
    a lease. `cap`: the upper bound of its TTL, seconds.

    `ttl`: of its records, whole seconds, rounded down: never past the end of the shortest lease. `until`: when that becomes too long, or a
    lease runs out, unless it is renewed before.
    """

    __slots__ = ("_cap", "_leases", "service", "ttl", "until")

    def __init__(self, service: str, leases: Sequence[Lease], cap: int, now: float) -> None:
        self.service = service
        self._leases = leases
        self._cap = cap
        self.ttl, self.until = self._at(now)

    def _at(self, now: float) -> tuple[int, float]:
        end = min([lease.expires_at for lease in self._leases])
        ttl = max(0, min(self._cap, math.floor(end - now)))
        return ttl, end - ttl

    def renew(self, now: float) -> bool:
        """`until` is over: whether the TTL is right all the same, because leases were renewed since."""
        ttl, until = self._at(now)
        if ttl != self.ttl or now >= until:
            return False
        self.until = until
        return True


class Cut(NamedTuple):
    """How an answer is cut to a datagram, where it is not as usual. `limit`: octets at the most. `silent`: TC is not set, and always the
    first of the alternatives stay: for clients that take TC for an error, and what is missing for gone.
    """

    limit: int
    silent: bool


class Answer(NamedTuple):
    """What is true about a question. `companions[i]` are the additional records that go with `answer[i]`.

    When the answer is cut, an RR and its companions go together. `glue` goes with the authority section.
    `complete` False: there is more than the answer lists. `ranks`: the answer's records are alternatives, laid down in an
    order drawn anew for every reply, `most` of them at the most (None is all), with companions that no two share; the first
    `aliases` records are none and stay in front.
    `lifetime`: the answer is the same for every client of a locality and may be kept so long; None when it may not. `by_locality`:
    another locality may have another answer. `cut`: None is as usual. `others`: the same name's answer of another type that instances
    have, at another time within the lifetime; None: ask. Who changes an answer takes it away.
    """

    rcode: int = Rcode.NOERROR
    answer: tuple[RR, ...] = ()
    companions: tuple[tuple[RR, ...], ...] = ()
    authority: tuple[RR, ...] = ()
    glue: tuple[RR, ...] = ()
    authoritative: bool = True
    complete: bool = True
    ranks: Sequence[Rank] = ()
    most: int | None = None
    aliases: int = 0
    lifetime: Lifetime | None = None
    by_locality: bool = False
    explanation: Explanation | None = None
    cut: Cut | None = None
    others: Callable[[int, float], Answer] | None = None

    @classmethod
    def of(cls, answer: Iterable[RR], companions: Iterable[tuple[RR, ...]] = ()) -> Answer:
        return cls(answer=tuple(answer), companions=tuple(companions))

    @classmethod
    def nodata(cls, explanation: Explanation | None = None) -> Answer:
        """The name exists, records of this type do not (RFC 2308 §2.2)."""
        return cls(explanation=explanation)

    @classmethod
    def nxdomain(cls, explanation: Explanation | None = None) -> Answer:
        """Nothing exists at or below the name (RFC 8020)."""
        return cls(rcode=Rcode.NXDOMAIN, explanation=explanation)

    @classmethod
    def referral(cls, authority: Iterable[RR], glue: Iterable[RR]) -> Answer:
        """Another server's (RFC 1034 §4.3.2, step 3b)."""
        return cls(authority=tuple(authority), glue=tuple(glue), authoritative=False)

    @classmethod
    def refused(cls, explanation: Explanation | None = None) -> Answer:
        return cls(rcode=Rcode.REFUSED, authoritative=False, explanation=explanation)

    @classmethod
    def failed(cls, explanation: Explanation | None = None) -> Answer:
        """Cannot be answered now (SERVFAIL)."""
        return cls(rcode=Rcode.SERVFAIL, authoritative=False, explanation=explanation)

    @property
    def negative(self) -> bool:
        """Authoritative, and there is no such name or no such type: the SOA belongs to it (RFC 2308 §3)."""
        return self.authoritative and not self.answer and self.rcode in (Rcode.NOERROR, Rcode.NXDOMAIN)

    @property
    def reason(self) -> Reason:
        explained = None if self.explanation is None else self.explanation.reason
        if explained is not None:
            return explained
        if self.rcode != Rcode.NOERROR:
            return _REASONS.get(self.rcode, Reason.OTHER)
        if self.answer:
            return Reason.ANSWER
        return Reason.REFERRAL if self.authority and not self.authoritative else Reason.NO_SUCH_TYPE

    def drawn(self, random: Random) -> Answer:
        """One of its alternatives, as a reply would draw it. It is not kept: the next question has another one."""
        if not self.ranks:
            return self
        one = draw(self.ranks, random)[0] + self.aliases
        companions = self.companions[one : one + 1]
        return self._replace(
            answer=self.answer[one : one + 1], companions=companions, ranks=(), most=None, lifetime=None
        )

    def after(self, aliases: Answer) -> Answer:
        """The same answer at the end of a chain of aliases (RFC 1034 §3.6.2), which stay in front. What these explain counts where it
        explains nothing.
        """
        chain = aliases.answer
        return self._replace(
            answer=chain + self.answer,
            companions=((),) * len(chain) + (self.companions or ((),) * len(self.answer)),
            aliases=len(chain),
            authoritative=True,  # AA speaks of the first name (RFC 1035 §4.1.1), which is ours even when the last one is delegated
            by_locality=self.by_locality or aliases.by_locality,
            explanation=self.explanation or aliases.explanation,
        )


# Of an answer that does not say more.
_REASONS: dict[int, Reason] = {
    Rcode.FORMERR: Reason.MALFORMED,
    Rcode.SERVFAIL: Reason.FAILED,
    Rcode.NXDOMAIN: Reason.UNKNOWN_NAME,
    Rcode.NOTIMP: Reason.NOT_IMPLEMENTED,
    Rcode.BADVERS: Reason.BAD_VERSION,
    Rcode.BADCOOKIE: Reason.BAD_COOKIE,
}


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not known here: `ask` gets the Answer from another server. Never raises; a failure is an Answer too.

    `unasked`: the answer to a client that does not desire recursion; None is REFUSED.
    """

    ask: Callable[[], Awaitable[Answer]]
    unasked: Answer | None = None
