"""Which zone answers: the one with the longest origin at or above the name. Whoever reloads zones puts whole zones here.

Aliases are followed here and nowhere else, from zone to zone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from discovery.dns.message.names import Name, from_wire
from discovery.dns.message.query import Request
from discovery.dns.message.values import OTHER, RR, Answer, Class, Deferred, Explanation, Question, Type
from discovery.dns.zones.zone import Zone

# The Lookup seam: a request that has a question, and the time (monotonic seconds); what is true out, or where it is known, or
# None: "not mine", which is not "no". A feature may wrap one Lookup in another.
Lookup = Callable[[Request, float], "Answer | Deferred | None"]

# Aliases in one answer. Resolvers follow 11 (unbound, BIND 9.20) to 16 by themselves.
MAX_CHAIN = 16


def first_of(*lookups: Lookup) -> Lookup:
    """Asks one after the other."""

    def lookup(request: Request, now: float) -> Answer | Deferred | None:
        for one in lookups:
            if (answer := one(request, now)) is not None:
                return answer
        return None

    return lookup


def following(inner: Lookup) -> Lookup:
    """`inner` answers about one name; aliases are followed as long as it knows where they lead (RFC 1034 §4.3.2, step 3a)."""

    def lookup(request: Request, now: float) -> Answer | Deferred | None:
        answer = inner(request, now)
        alias = _alias(answer, request.question)
        return answer if alias is None else follow(request, now, alias)

    def follow(request: Request, now: float, alias: _Alias) -> Answer | Deferred:
        chain: tuple[RR, ...] = ()
        for _ in range(MAX_CHAIN):
            chain += alias.records
            if any(rr.type == Type.CNAME and rr.name == alias.target for rr in chain):
                break
            question = request.question._replace(name=alias.target)
            answer = inner(request._replace(question=question), now)
            if not isinstance(answer, Answer):
                return Answer.of(chain)
            next_alias = _alias(answer, question)
            if next_alias is None:
                return answer.after(chain)
            alias = next_alias
        return Answer.failed(Explanation(OTHER, f"more than {MAX_CHAIN} aliases in a row, or a circle of them"))

    return lookup


class _Alias(NamedTuple):
    """`records`: a CNAME, with the DNAME that it comes from before it."""

    records: tuple[RR, ...]
    target: Name


def _alias(answer: Answer | Deferred | None, question: Question) -> _Alias | None:
    """The alias that the answer ends with, unless the question was about the alias itself."""
    if not isinstance(answer, Answer) or not answer.answer or answer.answer[-1].type != Type.CNAME:
        return None
    asked_for = question.type in (Type.CNAME, Type.ANY)
    return None if asked_for else _Alias(answer.answer, from_wire(answer.answer[-1].rdata))


class Catalog:
    def __init__(self, zones: Iterable[Zone]) -> None:
        self.replace(zones)

    def replace(self, zones: Iterable[Zone]) -> None:
        """All at once: a reader sees the old set or the new one."""
        self._zones = {zone.origin: zone for zone in zones}

    @property
    def zones(self) -> tuple[Zone, ...]:
        return tuple(self._zones.values())

    def zone_of(self, name: Name) -> Zone | None:
        for start in range(len(name) + 1):
            if zone := self._zones.get(name[start:]):
                return zone
        return None

    def lookup(self, request: Request, now: float) -> Answer | None:
        question = request.question
        zone = self._zone_for(question) if question.klass == Class.IN else None
        return None if zone is None else zone.lookup(question, now, request.transport.locality)

    def _zone_for(self, question: Question) -> Zone | None:
        zone = self.zone_of(question.name)
        if zone is not None and question.type == Type.DS and question.name == zone.origin:
            return self.zone_of(question.name[1:]) or zone  # the parent's side of the cut (RFC 4035 §3.1.4.1)
        return zone
