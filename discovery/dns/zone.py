"""A zone as it answers: its fixed records, its live names beside them, aliases followed, the SOA in every negative.

Live names are a function from (relative name, type, now) to an Answer or None ("not mine"). Fixed records win over live
names; wildcards of the file come last, for names that neither has.
"""

from __future__ import annotations

from collections.abc import Callable

from discovery.dns import records
from discovery.dns.message import OTHER, RR, Answer, Explanation, Question, Rcode, Type
from discovery.dns.names import Name, from_wire
from discovery.dns.static_zone import StaticZone

Live = Callable[[Name, int, float], "Answer | None"]

# RFC 8482 §4.2: what a name of any kind says to ANY.
_HINFO = b"\x07RFC8482\x00"
_HINFO_TTL = 3600
# Aliases in one answer. Resolvers give up between 8 (older BIND) and 16.
MAX_CHAIN = 8


def no_live_names(relative: Name, qtype: int, now: float) -> Answer | None:
    return None


class Zone:
    """`serial`: the SOA's serial at the moment. `negative_ttl`: the upper bound of a negative answer's TTL, seconds."""

    def __init__(self, fixed: StaticZone, live: Live, serial: Callable[[], int], negative_ttl: int) -> None:
        self.fixed = fixed
        self._live = live
        self._serial = serial
        self._negative_ttl = negative_ttl

    @property
    def origin(self) -> Name:
        return self.fixed.origin

    def soa(self) -> RR:
        rr = self.fixed.soa
        return rr._replace(rdata=records.soa_with_serial(rr.rdata, self._serial()))

    def lookup(self, question: Question, now: float) -> Answer:
        """`question.name` is at or below the origin."""
        answer = self._any(question, now) if question.type == Type.ANY else self._chase(question, now)
        return answer.with_authority([self._negative_soa()]) if answer.negative else answer

    def _any(self, question: Question, now: float) -> Answer:
        """One small answer (RFC 8482), so that ANY is no amplifier."""
        found = self._find(question.name, Type.HINFO, now)
        if found.negative and found.rcode == Rcode.NOERROR:
            return Answer.of([RR(question.name, Type.HINFO, _HINFO_TTL, _HINFO)])
        return found

    def _chase(self, question: Question, now: float) -> Answer:
        """Follows aliases as far as this zone goes (RFC 1034 §4.3.2, step 3a)."""
        chain: tuple[RR, ...] = ()
        name = question.name
        while True:
            answer = self._find(name, question.type, now)
            alias = _alias(answer, question.type)
            if alias is None:
                return answer.after(chain) if chain else answer
            if len(chain) == MAX_CHAIN or any(rr.name == name for rr in chain):
                return Answer.failed(Explanation(OTHER, f"more than {MAX_CHAIN} aliases in a row, or a circle of them"))
            chain += answer.answer
            name = alias
            if name[len(name) - len(self.origin) :] != self.origin:
                return Answer.of(chain)

    def _find(self, name: Name, qtype: int, now: float) -> Answer:
        relative = name[: len(name) - len(self.origin)]
        return (
            self._apex_soa(name, qtype)
            or self.fixed.exact(name, qtype)
            or self._live(relative, qtype, now)
            or self.fixed.otherwise(name, qtype)
        )

    def _apex_soa(self, name: Name, qtype: int) -> Answer | None:
        return Answer.of([self.soa()]) if qtype == Type.SOA and name == self.origin else None

    def _negative_soa(self) -> RR:
        """RFC 2308 §3: its TTL is how long the negative may be kept."""
        soa = self.soa()
        return soa._replace(ttl=min(soa.ttl, records.soa_minimum(soa.rdata), self._negative_ttl))


def _alias(answer: Answer, qtype: int) -> Name | None:
    if len(answer.answer) == 1 and answer.answer[0].type == Type.CNAME and qtype != Type.CNAME:
        return from_wire(answer.answer[0].rdata)
    return None
